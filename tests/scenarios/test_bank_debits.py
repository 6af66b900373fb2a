"""Bank debits over HTTP: the answer comes days later, and what came back is presented again as its scheme allows."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.charging import charge_due, charge_now
from billing.models import AttemptStatus, Invoice, InvoiceStatus, PaymentMethod, ProcessorAccount, RetryState
from billing.resolving import resolve_unknown
from billing.retries.loop import plan_retries
from campaigns.engine.assess import assess_customers
from campaigns.models import Case
from customers.errors import SollecitoError
from customers.models import Interaction
from dunning_site.embedded.stripe_sandbox.ledger import report
from tests.billing.test_charging import plan
from tests.factories import NOW
from tests.stripe_world import StripeWorld, account

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
#: Until every bank of the sandbox has answered, whatever the scheme.
ANSWERED = timedelta(days=6)


def presented(world: StripeWorld) -> list[datetime]:
    """When the sandbox was asked to debit the account, oldest first."""
    return sorted(datetime.fromtimestamp(c["created"], UTC) for c in world.server.world.tables["charge"].all())


def play(world: StripeWorld, invoice: Invoice, days: int) -> datetime:
    """Days go by with all loops at work each noon; returns when they were over."""
    now = NOW
    for _day in range(days):
        charge_due(now=now, limit=10)
        now += DAY
        world.pass_time(now)
        resolve_unknown(now=now, limit=10)
        plan_retries(now=now, limit=10)
    invoice.refresh_from_db()
    return now


def test_what_the_account_tells_is_known_of_the_method(stripe_world):
    stripe_world.owing(account("sepa_debit"))
    method = PaymentMethod.objects.get()
    assert (method.type, method.country, method.last4, method.issuer) == ("sepa_debit", "DE", "3000", "de:37040044")
    assert method.fingerprint


@pytest.mark.parametrize("kind", ["us_bank_account", "sepa_debit", "bacs_debit"])
@pytest.mark.parametrize("told", ["by its event", "by asking"])
def test_a_debit_is_under_way_for_days_and_then_paid_once(stripe_world, kind, told):
    invoice = stripe_world.owing(account(kind))
    attempt = plan(invoice)
    assert charge_due(now=NOW, limit=10).unknown == 1
    # Meanwhile nobody charges it again, nothing is planned, and the processor is not asked to charge.
    for origin in ("staff", "portal"):
        with pytest.raises(SollecitoError):
            charge_now(invoice_id=invoice.pk, origin=origin, now=NOW + DAY)
    for hours in range(1, 60, 6):
        resolve_unknown(now=NOW + timedelta(hours=hours), limit=10)
        assert charge_due(now=NOW + timedelta(hours=hours), limit=10).total == 0
    attempt.refresh_from_db()
    invoice.refresh_from_db()
    assert (attempt.status, invoice.status) == (AttemptStatus.UNKNOWN, InvoiceStatus.OPEN)
    assert (stripe_world.charged(invoice), stripe_world.tried()) == ([], 1)
    if told == "by its event":
        stripe_world.pass_time(NOW + ANSWERED)
    else:
        stripe_world.clock(NOW + ANSWERED)
        resolve_unknown(now=NOW + ANSWERED, limit=10)
        resolve_unknown(now=NOW + ANSWERED + DAY, limit=10)
    attempt.refresh_from_db()
    invoice.refresh_from_db()
    assert (attempt.status, invoice.status, invoice.balance) == (AttemptStatus.SUCCEEDED, InvoiceStatus.PAID, 0)
    assert (stripe_world.charged(invoice), stripe_world.tried()) == ([4900], 1)
    assert report(stripe_world.server.world)["double_charges"] == []


@pytest.mark.parametrize("told", ["by its event", "by asking"])
def test_a_debit_that_comes_back_late_is_a_decline_with_its_reason(stripe_world, told):
    invoice = stripe_world.owing(account("sepa_debit", "AM04"))
    attempt = plan(invoice)
    charge_due(now=NOW, limit=10)
    if told == "by its event":
        stripe_world.pass_time(NOW + ANSWERED)
    else:
        stripe_world.clock(NOW + ANSWERED)
        resolve_unknown(now=NOW + ANSWERED, limit=10)
    attempt.refresh_from_db()
    assert (attempt.status, attempt.network_decline_code) == (AttemptStatus.DECLINED, "AM04")
    assert (attempt.decline_code, attempt.decline_category) == ("insufficient_funds", "insufficient_funds")
    assert attempt.at == NOW, "it was presented then"
    assert Interaction.objects.filter(kind="attempt.declined").count() == 1


@pytest.mark.parametrize(
    ("kind", "code", "gap", "rule", "days"),
    [
        ("us_bank_account", "R01", 2, "ach-3-180d", 175),
        ("us_bank_account", "R09", 2, "ach-3-180d", 175),
        ("sepa_debit", "AM04", 3, "sepa-3-30d", 28),
        ("sepa_debit", "MS03", 3, "sepa-3-30d", 28),
        ("bacs_debit", "0", 3, "bacs-3-30d", 28),
    ],
)
def test_a_debit_for_lack_of_funds_is_presented_three_times_in_its_window(stripe_world, kind, code, gap, rule, days):
    invoice = stripe_world.owing(account(kind, code))
    # Every other rule would allow more.
    ProcessorAccount.objects.update(retry_window_days=days, retry_max_attempts=9)
    plan(invoice)
    now = play(stripe_world, invoice, days)
    made = presented(stripe_world)
    assert len(made) == 3
    assert all(later - earlier >= gap * DAY for earlier, later in zip(made, made[1:], strict=False))
    assert {row.network_decline_code for row in invoice.attempts.exclude(external_id=None)} == {code}
    assert invoice.retry_state == RetryState.STOPPED
    assert f"limit.{rule}" in set(Interaction.objects.filter(kind="retries.stopped").values_list("outcome", flat=True))
    assert stripe_world.charged(invoice) == []
    # Nor by staff; what the customer orders is a debit of its own.
    with pytest.raises(SollecitoError) as caught:
        charge_now(invoice_id=invoice.pk, origin="staff", now=now)
    assert caught.value.code == "limit_reached"
    assert charge_now(invoice_id=invoice.pk, origin="portal", now=now).status == AttemptStatus.UNKNOWN


def test_the_window_begins_when_the_bank_has_answered(stripe_world):
    """A window of five days would be over before it could be used."""
    invoice = stripe_world.owing(account("sepa_debit", "AM04"), first_failed_at=None, last_decline_code="")
    ProcessorAccount.objects.update(retry_window_days=5)
    stripe_world.first_charge(invoice)
    stripe_world.pass_time(NOW + DAY)
    answered = NOW + ANSWERED
    stripe_world.pass_time(answered)
    assert plan_retries(now=answered, limit=10).planned == 1
    again = invoice.attempts.get(status=AttemptStatus.PLANNED)
    assert answered < again.scheduled_for <= answered + 5 * DAY
    failure = invoice.attempts.get(status=AttemptStatus.DECLINED)
    assert (failure.at, failure.finished_at) == (NOW, answered)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("us_bank_account", "R02"),
        ("us_bank_account", "R07"),
        ("us_bank_account", "R16"),
        ("sepa_debit", "MD01"),
        ("sepa_debit", "AC04"),
        ("bacs_debit", "1"),
    ],
)
def test_a_debit_that_came_back_for_another_reason_is_never_presented_again(stripe_world, kind, code):
    invoice = stripe_world.owing(account(kind, code))
    plan(invoice)
    play(stripe_world, invoice, 20)
    assert len(presented(stripe_world)) == 1
    assert invoice.retry_state == RetryState.STOPPED
    assert invoice.retry_reason


def test_a_debit_returned_once_is_collected_by_the_next_one(stripe_world):
    """Money comes on the 15th: the second presentation finds it."""
    bank = {"issuer_profile": "nsf_until_day", "issuer_day": str((NOW + 7 * DAY).day), "issuer_days": "25"}
    invoice = stripe_world.owing(account("us_bank_account") | {"metadata": bank})
    plan(invoice)
    play(stripe_world, invoice, 25)
    assert (invoice.status, invoice.recovered_by) == (InvoiceStatus.PAID, "silent_retry")
    assert stripe_world.charged(invoice) == [4900]
    assert invoice.attempts.filter(status=AttemptStatus.DECLINED).get().network_decline_code == ""


@pytest.mark.parametrize("lost", [(), ("charge.pending",), ("charge.pending", "payment_intent.processing")])
@pytest.mark.parametrize("code", [None, "AM04"])
def test_the_processors_own_debit_is_under_way_until_the_bank_answers(stripe_world, lost, code):
    """Tried and not paid is not failed: nobody is written to and nothing is charged while the bank takes its days."""
    invoice = stripe_world.owing(account("sepa_debit", code), first_failed_at=None, last_decline_code="")
    stripe_world.first_charge(invoice)
    for day in range(1, 4):
        now = NOW + day * DAY
        stripe_world.pass_time(now, lost=lost)
        resolve_unknown(now=now, limit=10)
        assess_customers(now=now, limit=10)
        assert plan_retries(now=now, limit=10).planned == 0
        with pytest.raises(SollecitoError):
            charge_now(invoice_id=invoice.pk, origin="staff", now=now)
    invoice.refresh_from_db()
    attempt = invoice.attempts.get()
    assert (attempt.status, attempt.origin, attempt.number) == (AttemptStatus.UNKNOWN, "processor", 1)
    assert (invoice.first_failed_at, Case.objects.exists()) == (None, False)
    now = NOW + ANSWERED
    stripe_world.pass_time(now, lost=lost)
    assess_customers(now=now, limit=10)
    attempt.refresh_from_db()
    invoice.refresh_from_db()
    assert invoice.attempts.count() == stripe_world.tried() == 1
    if code is None:
        assert (attempt.status, invoice.status) == (AttemptStatus.SUCCEEDED, InvoiceStatus.PAID)
        assert not Case.objects.exists()
    else:
        assert (attempt.status, attempt.network_decline_code) == (AttemptStatus.DECLINED, code)
        assert invoice.first_failed_at is not None
        assert plan_retries(now=now, limit=10).planned == 1
