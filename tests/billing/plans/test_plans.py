"""A plan takes its invoices out of dunning, charges exactly what is due when it is due, and never anything twice."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from billing.charging import charge_due, charge_now, resolve_unknown
from billing.matching import ChargeFact
from billing.models import AttemptOrigin, AttemptStatus, CustomerRisk, Invoice, PaymentAttempt, PaymentPlan, RetryState
from billing.outcomes import charge_record
from billing.plans.collecting import AGAIN, LOOK, InstalmentRun, instalments_due
from billing.plans.offering import plan_offers
from billing.plans.paid import plans_paid
from billing.plans.services import plan_cancel, plan_create
from billing.resolving import DEAD_AFTER, KEY_LIFE
from billing.retries.loop import plan_retries
from campaigns.engine.assess import assess_customers
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW
from tests.stripe_world import declining

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
TODAY = NOW.date()
FAULTS = ["timeout_before", "timeout_after", "reset", "reset_after", "server_error_after"]
STEPS = ["/payment_intents$", "/attach_payment$", "/confirm$"]


def agreed(invoice: Invoice, **options: Any) -> PaymentPlan:
    """Three monthly instalments, the first today, charged to the customer's card."""
    values: dict[str, Any] = {
        "customer_id": invoice.customer_id, "brand_id": invoice.brand_id, "currency": invoice.currency, "count": 3,
        "interval": "month", "first_on": TODAY, "now": NOW,
    } | options  # fmt: skip
    if "payment_method_id" not in values:
        values["payment_method_id"] = invoice.customer.payment_methods.get(is_default=True).pk
    return plan_create(**values)


def go(now: datetime) -> None:
    """One turn of the loops a plan needs."""
    instalments_due(now=now, limit=10)
    charge_due(now=now, limit=10)
    resolve_unknown(now=now, limit=10)
    assess_customers(now=now)


def at_ten(day: date) -> datetime:
    """Ten o'clock in Rome before the clocks change."""
    return datetime(day.year, day.month, day.day, 9, tzinfo=UTC)


def test_a_plan_charges_each_instalment_on_its_day_and_is_completed(stripe_world: Any) -> None:
    invoice = stripe_world.owing(amount=10000)
    plan = agreed(invoice)
    assert list(plan.instalments.values_list("amount", flat=True)) == [3334, 3333, 3333]
    go(NOW)
    assert stripe_world.charged(invoice) == [3334]
    invoice.refresh_from_db()
    assert (invoice.amount_paid, invoice.balance, invoice.status, invoice.in_plan) == (3334, 6666, "open", True)
    assert plan.instalments.get(number=1).paid_at is not None
    go(NOW + LOOK)
    assert instalments_due(now=NOW + 20 * DAY, limit=10) == InstalmentRun()
    for days in (31, 62):
        go(NOW + days * DAY)
        go(NOW + days * DAY + LOOK)
    assert stripe_world.charged(invoice) == [3334, 3333, 3333]
    invoice.refresh_from_db()
    plan.refresh_from_db()
    assert (invoice.status, invoice.balance, invoice.in_plan, plan.status) == ("paid", 0, False, "completed")
    told = list(Interaction.objects.filter(kind__startswith="plan.").order_by("id").values_list("kind", flat=True))
    assert told == ["plan.made", *["plan.instalment_paid"] * 3, "plan.completed"]


def test_run_twice_it_acts_once(stripe_world: Any) -> None:
    invoice = stripe_world.owing(amount=10000)
    agreed(invoice)
    for _run in range(3):
        instalments_due(now=NOW, limit=10)
        instalments_due(now=NOW + LOOK, limit=10)
    assert PaymentAttempt.objects.count() == 1
    for _run in range(3):
        charge_due(now=NOW + LOOK, limit=10)
        go(NOW + LOOK * 2)
    assert stripe_world.charged(invoice) == [3334]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_breaks_on_the_way_one_part_is_charged(stripe_world: Any, fault: str, step: str) -> None:
    invoice = stripe_world.owing(amount=10000)
    agreed(invoice)
    instalments_due(now=NOW, limit=10)
    stripe_world.fault(fault, path=step)
    charge_due(now=NOW, limit=10)
    later = NOW
    for minutes in (2, 10, 70, 140):
        later = NOW + timedelta(minutes=minutes)
        stripe_world.server.world.virtual_now = int(later.timestamp())
        go(later)
    assert stripe_world.charged(invoice) == [3334]
    assert not PaymentAttempt.objects.filter(status__in=["in_flight", "unknown"]).exists()
    invoice.refresh_from_db()
    assert invoice.amount_paid == 3334


def test_a_worker_that_died_is_resolved_before_anything_else(stripe_world: Any) -> None:
    """Claimed, charged, and gone before the answer was written: after the key's life the charges are read."""
    invoice = stripe_world.owing(amount=10000)
    agreed(invoice)
    instalments_due(now=NOW, limit=10)
    stripe_world.fault("timeout_after", path="/confirm$")
    charge_due(now=NOW, limit=10)
    assert PaymentAttempt.objects.get().status == AttemptStatus.UNKNOWN
    with pytest.raises(SollecitoError) as refused:
        charge_now(invoice_id=invoice.pk, origin=AttemptOrigin.PORTAL, now=NOW)
    assert refused.value.code == "in_flight"
    assert instalments_due(now=NOW + LOOK, limit=10).ordered == 0
    go(NOW + KEY_LIFE + DEAD_AFTER)
    assert PaymentAttempt.objects.get().status == AttemptStatus.SUCCEEDED
    assert stripe_world.charged(invoice) == [3334]


def test_a_plan_over_several_invoices_pays_the_oldest_first_and_conserves_the_sum(stripe_world: Any) -> None:
    first = stripe_world.owing(amount=5000)
    second = stripe_world.another(first, amount=5000)
    plan = agreed(first, invoice_ids=[first.pk, second.pk])
    now = NOW
    for days in (0, 31, 62):
        for turn in range(4):
            now = NOW + days * DAY + turn * LOOK
            go(now)
    charged = stripe_world.charged(first) + stripe_world.charged(second)
    assert stripe_world.charged(first) == [3334, 1666]
    assert stripe_world.charged(second) == [1667, 3333]
    assert sum(charged) == plan.amount == 10000
    plan.refresh_from_db()
    assert plan.status == "completed"


def test_a_declined_instalment_is_tried_daily_then_missed_and_the_plan_breaks(stripe_world: Any) -> None:
    invoice = stripe_world.owing(declining("insufficient_funds"), amount=10000)
    plan = agreed(invoice)
    for days in range(4):
        for turn in range(3):
            go(NOW + days * AGAIN + turn * LOOK)
    # Two days of grace after the first day: three tries, then it is broken and the invoice pressed for again.
    plan.refresh_from_db()
    invoice.refresh_from_db()
    assert (plan.status, invoice.in_plan) == ("broken", False)
    assert PaymentAttempt.objects.filter(origin="instalment", status="declined").count() == 3
    assert stripe_world.charged(invoice) == []
    assert Interaction.objects.filter(kind="plan.broken").count() == 1
    # From here on the retries are the planner's again.
    plan_retries(now=NOW + 4 * DAY, limit=10)
    assert not PaymentAttempt.objects.filter(origin="instalment", status="planned").exists()


def test_paid_by_other_means_the_instalment_is_not_charged(stripe_world: Any) -> None:
    invoice = stripe_world.owing(amount=10000)
    plan = agreed(invoice, first_on=TODAY + DAY)
    fact = ChargeFact("ch_bank", succeeded=True, amount=4000, currency="EUR", at=NOW)
    charge_record(invoice_id=invoice.pk, fact=fact, now=NOW)
    assert plans_paid([plan.pk]) == {plan.pk: 4000}
    go(at_ten(TODAY + DAY))
    assert stripe_world.charged(invoice) == []
    assert plan.instalments.get(number=1).paid_at is not None


def test_retries_of_an_invoice_in_a_plan_are_called_off_and_come_back_with_its_end(stripe_world: Any) -> None:
    invoice = stripe_world.owing(declining("insufficient_funds"), amount=10000)
    factories.attempt(invoice)
    Invoice.objects.filter(pk=invoice.pk).update(retry_state=RetryState.NEEDS_PLAN)
    plan_retries(now=NOW, limit=10)
    assert PaymentAttempt.objects.filter(status="planned").count() == 1
    plan = agreed(invoice, first_on=TODAY + DAY)
    invoice.refresh_from_db()
    assert invoice.retry_state == RetryState.NONE
    assert not PaymentAttempt.objects.filter(status="planned").exists()
    with pytest.raises(SollecitoError) as refused:
        charge_now(invoice_id=invoice.pk, origin=AttemptOrigin.STAFF, now=NOW)
    assert refused.value.code == "not_collectible"
    actor = User.objects.create_user("mia").pk
    plan_cancel(plan_id=plan.pk, reason="They have the money after all.", actor_id=actor, now=NOW)
    invoice.refresh_from_db()
    assert (invoice.in_plan, invoice.retry_state) == (False, RetryState.NEEDS_PLAN)
    assert instalments_due(now=NOW + 90 * DAY, limit=10) == InstalmentRun()


def test_the_same_form_sent_twice_makes_one_plan() -> None:
    invoice = factories.invoice(factories.customer(), amount_due=10000)
    first = agreed(invoice, payment_method_id=None, key="form")
    assert agreed(invoice, payment_method_id=None, key="form") == first
    with pytest.raises(SollecitoError) as refused:
        agreed(invoice, payment_method_id=None, key="other")
    assert refused.value.code == "plan_invoices"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"count": 1}, "plan_count"),
        ({"first_on": TODAY - DAY}, "plan_date"),
        ({"currency": "USD"}, "plan_invoices"),
        ({"count": 7}, "plan_rules"),
        ({"count": 7, "beyond_rules": True}, "plan_rules"),
        ({"payment_method_id": 0}, "no_method"),
    ],
)
def test_what_is_no_plan_is_refused(change: dict[str, Any], code: str) -> None:
    invoice = factories.invoice(factories.customer(), amount_due=100000)
    with pytest.raises(SollecitoError) as refused:
        agreed(invoice, **({"payment_method_id": None} | change))
    assert refused.value.code == code
    assert not PaymentPlan.objects.exists()


def test_a_person_may_pass_the_rules_and_the_log_says_what_they_passed() -> None:
    invoice = factories.invoice(factories.customer(), amount_due=100000)
    actor = User.objects.create_user("boss").pk
    plan = agreed(invoice, payment_method_id=None, count=12, beyond_rules=True, actor_id=actor)
    assert plan.instalments.count() == 12
    line = Interaction.objects.get(kind="plan.made")
    assert (line.actor_id, line.body) == (actor, "At most 6 instalments.")


def test_no_plan_is_made_while_a_charge_is_under_way() -> None:
    invoice = factories.invoice(factories.customer(), amount_due=10000)
    factories.attempt(invoice, status="unknown", claimed_at=NOW)
    with pytest.raises(SollecitoError) as refused:
        agreed(invoice, payment_method_id=None)
    assert refused.value.code == "in_flight"


def test_offers_end_with_broken_words() -> None:
    customer = factories.customer()
    invoice = factories.invoice(customer, amount_due=10000)
    values = {"customer_id": customer.pk, "brand_id": customer.brand_id, "currency": "EUR", "now": NOW}
    assert {offer.count for offer in plan_offers(**values)} == {2, 3, 4, 5}
    for _word in range(2):
        PaymentPlan.objects.create(
            customer=customer, brand=customer.brand, currency="EUR", amount=1, status="broken",
            created_at=NOW - 90 * DAY, closed_at=NOW - 60 * DAY,
        )  # fmt: skip
    assert plan_offers(**values) == ()
    assert plan_offers(**(values | {"now": NOW + 400 * DAY})) != ()
    assert invoice.balance == 10000


def test_what_insights_keep_of_a_payer_limits_offers_and_plans() -> None:
    invoice = factories.invoice(factories.customer(), amount_due=10_000)
    customer = invoice.customer
    asked = {"customer_id": customer.pk, "brand_id": customer.brand_id, "currency": "EUR", "now": NOW}
    assert {offer.count for offer in plan_offers(**asked)} == {2, 3, 4, 5}
    CustomerRisk.objects.create(customer=customer, band="high", rating="E", basis="history", scored_at=NOW)
    assert {offer.parts[0].amount for offer in plan_offers(**asked)} == {4000, 5000}
    with pytest.raises(SollecitoError) as refused:
        plan_create(**asked, count=4, interval="month", first_on=TODAY)
    assert refused.value.code == "plan_rules"
    plan = plan_create(**asked, count=3, interval="month", first_on=TODAY)
    assert list(plan.instalments.values_list("amount", flat=True)) == [4000, 3000, 3000]
