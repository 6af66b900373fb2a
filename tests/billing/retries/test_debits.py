"""Bank debits are presented again for their schemes' reasons only; Indian cards off session by their law."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from billing.charging import charge_due, charge_now
from billing.models import AttemptStatus, PaymentAttempt, PaymentMethod, ProcessorAccount
from billing.retries.debits import mandate_of
from billing.retries.loop import plan_retries
from billing.retries.planner import plan_next
from billing.retries.services import retries_hasten
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext, Stop
from customers.models import Interaction
from tests.billing.retries.test_loop import failed, plan
from tests.billing.test_charging import plan as due
from tests.factories import NOW
from tests.stripe_world import approving

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("brand", "codes", "gap"),
    [
        ("us_bank_account", {"network_decline_code": "R01"}, 2),
        ("us_bank_account", {"network_decline_code": "R09"}, 2),
        ("ach", {"decline_code": "insufficient_funds"}, 2),
        ("us_bank_account", {"decline_code": "processing_error"}, None),
        ("us_bank_account", {"network_decline_code": "R07"}, None),
        ("us_bank_account", {}, None),
        ("sepa_debit", {"network_decline_code": "AM04"}, 3),
        ("sepa_debit", {"network_decline_code": "MS03"}, 3),
        ("sepa_debit", {"network_decline_code": "MD01"}, None),
        ("sepa_debit", {"decline_code": "of_next_year"}, None),
        ("bacs_debit", {"network_decline_code": "0"}, 3),
        ("bacs_debit", {"decline_code": "generic_decline"}, None),
        ("visa", {"decline_code": "processing_error"}, 0),
    ],
)
def test_a_debit_is_presented_again_for_its_schemes_reasons_only(brand, codes, gap):
    context = RetryContext("in_1", NOW, brand=brand)
    found = plan_next(context, [PastAttempt(at=NOW, **codes)], [], NOW + timedelta(hours=1))
    if gap is None:
        assert isinstance(found, Stop)
    else:
        assert isinstance(found, PlannedRetry)
        assert found.at >= NOW + gap * DAY


def test_a_debit_is_presented_three_times_at_most():
    """ACH counts 180 days, and the window is what is set; each is days after the one before."""
    context = RetryContext("in_1", NOW, brand="us_bank_account", window_days=60)
    made = [PastAttempt(at=NOW, network_decline_code="R01", origin="first")]
    while isinstance(found := plan_next(context, made, [], made[-1].at + DAY), PlannedRetry):
        assert found.at - made[-1].at >= 2 * DAY
        made.append(PastAttempt(at=found.at, network_decline_code="R01"))
    assert (len(made), found.rule) == (3, "limit.ach-3-180d")


def test_a_debit_is_presented_within_its_schemes_time_however_long_the_window():
    """The last chance comes before the scheme's month is over, not before the window is."""
    context = RetryContext("in_1", NOW, brand="sepa_debit", window_days=90)
    late = [PastAttempt(at=NOW, network_decline_code="AM04", origin="first")]
    found = plan_next(context, late, [], NOW + 29 * DAY)
    assert NOW + 29 * DAY < found.at <= NOW + 30 * DAY
    assert isinstance(plan_next(context, late, [], NOW + 31 * DAY), Stop)


@pytest.mark.parametrize(
    ("amount", "currency", "stops"),
    [(1_500_000, "INR", False), (1_500_001, "INR", True), (100, "USD", True), (None, "INR", True)],
)
@pytest.mark.parametrize("code", ["insufficient_funds", None], ids=["the same card", "a new card"])
def test_an_indian_card_is_charged_off_session_up_to_the_limit_a_day_after_the_notice(amount, currency, stops, code):
    context = RetryContext(
        "in_1", NOW, brand="visa", card_country="IN", amount=amount, currency=currency, fingerprint="fp"
    )
    past = PastAttempt(at=NOW, decline_code="insufficient_funds", fingerprint="fp" if code else "another")
    asked = NOW + 3 * DAY
    found = plan_next(context, [past], [], asked)
    if stops:
        assert (found.rule, found.asks_for) == ("mandate.limit", "authenticate")
        assert "15,000 INR" in found.reason
    else:
        assert found.at >= asked + DAY


@pytest.mark.parametrize(
    ("brand", "days"), [("sepa_debit", 5), ("bacs_debit", 5), ("us_bank_account", 0), ("visa", 0), ("", 0)]
)
@pytest.mark.parametrize("own", [True, False], ids=["the same account", "a new account"])
def test_what_the_account_announces_itself_is_planned_so_long_ahead(brand, days, own):
    context = RetryContext("in_1", NOW, brand=brand, fingerprint="fp", decline_code="insufficient_funds")
    past = PastAttempt(at=NOW, decline_code="insufficient_funds", fingerprint="fp" if own else "another")
    asked = NOW + 4 * DAY
    for announced in (0, 5):
        found = plan_next(replace(context, debit_notice=announced * DAY), [past], [], asked)
        assert found.at >= asked + min(announced, days) * DAY
        if not own:
            assert found.at == asked + min(announced, days) * DAY


def test_a_notice_that_no_longer_fits_the_window_stops_the_retries():
    context = RetryContext("in_1", NOW, brand="sepa_debit", decline_code="insufficient_funds", debit_notice=14 * DAY)
    found = plan_next(context, [PastAttempt(at=NOW, network_decline_code="AM04")], [], NOW + 8 * DAY)
    assert (type(found), found.rule) == (Stop, "window.closed")


@pytest.mark.django_db
def test_a_debit_we_announce_is_told_with_day_and_sum_and_nobody_undercuts_it():
    invoice = failed(card={"type": "sepa_debit", "brand": ""}, amount_due=6100)
    ProcessorAccount.objects.update(debit_notice_days=6)
    plan()
    planned = invoice.attempts.get(status=AttemptStatus.PLANNED)
    assert planned.scheduled_for >= NOW + 6 * DAY
    told = Interaction.objects.get(kind="attempt.planned").data
    assert (told["at"], told["amount"], told["currency"]) == (planned.scheduled_for.isoformat(), 6100, "EUR")
    PaymentAttempt.objects.filter(pk=planned.pk).update(scheduled_for=NOW + 19 * DAY)
    later = NOW + 3 * DAY
    retries_hasten(invoice_ids=[invoice.pk], reason="They opened the mail.", now=later)
    told = Interaction.objects.get(kind="attempt.hastened").data
    assert (told["at"], told["amount"]) == ((later + 6 * DAY).isoformat(), 6100)
    planned.refresh_from_db()
    assert planned.scheduled_for == later + 6 * DAY


def test_a_law_binds_from_its_day_on():
    before, after = datetime(2022, 6, 15, tzinfo=UTC), datetime(2022, 6, 16, tzinfo=UTC)
    assert mandate_of("IN", datetime(2021, 9, 30, tzinfo=UTC)) is None
    assert (mandate_of("IN", before).limit, mandate_of("in", after).limit) == (500_000, 1_500_000)
    assert mandate_of("IT", after) is None


@pytest.mark.django_db
def test_nobody_brings_a_charge_forward_over_the_notice():
    invoice = failed(currency="INR", card={"country": "IN"}, code="do_not_honor")
    plan()
    retries_hasten(invoice_ids=[invoice.pk], reason="They opened the mail.", now=NOW)
    assert invoice.attempts.get(status=AttemptStatus.PLANNED).scheduled_for >= NOW + DAY


@pytest.mark.django_db
def test_nobody_brings_a_debit_forward_over_its_schemes_gap():
    """Stripe's word for a debit returned without a reason asks for no wait of its own; the scheme does."""
    invoice = failed(card={"type": "sepa_debit", "brand": ""}, code="generic_decline", category="do_not_honor")
    plan()
    planned = invoice.attempts.get(status=AttemptStatus.PLANNED)
    PaymentAttempt.objects.filter(pk=planned.pk).update(scheduled_for=NOW + 9 * DAY)
    retries_hasten(invoice_ids=[invoice.pk], reason="They opened the mail.", now=NOW)
    presented = invoice.attempts.get(status=AttemptStatus.DECLINED).at
    planned.refresh_from_db()
    assert planned.scheduled_for == presented + 3 * DAY


@pytest.mark.django_db
def test_above_the_limit_only_the_customer_charges(stripe_world, django_user_model):
    invoice = stripe_world.owing(approving(), amount=1_500_001, currency="inr")
    PaymentMethod.objects.update(country="IN")
    due(invoice)
    assert charge_due(now=NOW, limit=10).cancelled == 1
    assert plan_retries(now=NOW, limit=10).stopped == 1
    carla = django_user_model.objects.create(username="carla")
    stripe_world.only_the_customer_charges(invoice, carla, now=NOW, why="15,000 INR")
    assert stripe_world.tried() == 0
    assert charge_now(invoice_id=invoice.pk, origin="portal", now=NOW).status == AttemptStatus.SUCCEEDED
    assert stripe_world.charged(invoice) == [1_500_001]
