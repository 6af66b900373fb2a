"""What opens a case besides a failure: days that are coming, broken words; and which ladder a customer follows."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Allocation, Payment, PaymentPlan, PlanInstalment, Promise
from campaigns.engine.assess import assess_all, assess_customers
from campaigns.engine.run import escalate_all
from campaigns.models import Case, CloseReason, LadderOverride, Message
from campaigns.services.versions import ladder_draft, ladder_publish
from customers.models import Interaction
from tests import factories
from tests.campaigns.engine.test_assess import due, pay
from tests.factories import NOW

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def look(customer, at):
    """The loops at `at`, the customer's facts having changed; messages leave at once."""
    due(customer, at)
    list(assess_all(now=at))
    list(escalate_all(now=at))
    Message.objects.filter(status="queued").update(status="sent", sent_at=at)


def live():
    return Case.objects.get(closed_at=None)


@pytest.fixture
def coming():
    return factories.ladder(trigger="invoice_due", steps=[{"offset": -7}, {"offset": -1}], min_gap_hours=0)


def bill(customer, when, **fields):
    return factories.invoice(customer, collection_method="manual", first_failed_at=None, due_at=when, **fields)


def day_begins(moment):
    """First moment of the customer's local day."""
    return moment.astimezone(ZoneInfo("Europe/Rome")).replace(hour=0, minute=0)


def test_an_invoice_coming_due_is_announced_and_its_case_ends_on_the_day_without_thanks(coming):
    factories.template("payment_received")
    overdue = factories.ladder(trigger="invoice_overdue")
    customer, when = due(factories.customer()), NOW + 10 * DAY
    bill(customer, when)
    assess_customers(now=NOW)
    customer.refresh_from_db()
    assert (Case.objects.count(), customer.reassess_at) == (0, day_begins(when - 7 * DAY))
    list(assess_all(now=when - 7 * DAY))
    case = live()
    assert (case.trigger, case.anchor_at, case.ladder_version) == ("invoice_due", when, coming)
    customer.refresh_from_db()
    assert customer.reassess_at == when
    for hours in range(0, 7 * 24, 12):
        list(escalate_all(now=when - 7 * DAY + hours * HOUR))
        Message.objects.filter(status="queued").update(status="sent")
    assert [(message.queued_at - when).days for message in Message.objects.order_by("id")] == [-7, -1]
    list(assess_all(now=when))
    case.refresh_from_db()
    assert (case.state, case.close_reason) == ("cancelled", CloseReason.MOOT)
    # The same look takes it over: what was announced has happened.
    assert (live().trigger, live().ladder_version, live().anchor_at) == ("invoice_overdue", overdue, when)
    assert not Message.objects.filter(purpose="receipt").exists()


def test_paid_before_the_day_closes_without_thanks(coming):
    factories.template("payment_received")
    customer = factories.customer()
    invoice = bill(customer, NOW + 3 * DAY)
    look(customer, NOW)
    pay(invoice, NOW + DAY)
    look(customer, NOW + DAY)
    assert [(case.state, case.close_reason) for case in Case.objects.all()] == [("cancelled", CloseReason.MOOT)]
    assert not Message.objects.filter(purpose="receipt").exists()


def test_only_the_latest_of_what_was_missed_is_announced(coming):
    customer = factories.customer()
    bill(customer, NOW + 12 * HOUR)
    look(customer, NOW)
    assert [message.step_run.step.key for message in Message.objects.all()] == ["step-2"]


def test_a_due_date_that_moves_moves_the_case(coming):
    customer = factories.customer()
    invoice = bill(customer, NOW + 6 * DAY)
    look(customer, NOW)
    invoice.due_at = NOW + 4 * DAY
    invoice.save()
    look(customer, NOW + DAY)
    assert (live().anchor_at, live().position, live().round) == (NOW + 4 * DAY, 1, 2)
    # Far away it is a new matter, when its time comes.
    invoice.due_at = NOW + 30 * DAY
    invoice.save()
    look(customer, NOW + 2 * DAY)
    assert [case.close_reason for case in Case.objects.all()] == [CloseReason.MOOT]
    customer.refresh_from_db()
    assert customer.reassess_at == day_begins(NOW + 23 * DAY)
    look(customer, NOW + 23 * DAY)
    assert (live().anchor_at, Message.objects.count()) == (NOW + 30 * DAY, 2)


def test_a_failure_takes_over_from_an_announcement():
    factories.ladder(trigger="card_expiring", steps=[{"offset": -30}, {"offset": -7}])
    failed = factories.ladder(trigger="payment_failed")
    customer = factories.customer()
    card = factories.payment_method(customer, exp_month=3, exp_year=2026)
    factories.subscription(customer)
    look(customer, NOW)
    first = live()
    assert (first.trigger, first.payment_method) == ("card_expiring", card)
    # Good to the end of March in Rome.
    assert first.anchor_at == datetime(2026, 3, 31, 22, tzinfo=UTC)
    assert Message.objects.count() == 1
    factories.invoice(customer, first_failed_at=NOW + DAY)
    look(customer, NOW + DAY)
    first.refresh_from_db()
    assert first.close_reason == CloseReason.MOOT
    assert live().ladder_version == failed


@pytest.mark.parametrize("change", ["renewed", "replaced", "cancelled"])
def test_a_card_that_is_renewed_or_not_needed_any_more_is_no_matter(change):
    factories.ladder(trigger="card_expiring", steps=[{"offset": -30}, {"offset": -2}])
    customer = factories.customer()
    card = factories.payment_method(customer, exp_month=3, exp_year=2026)
    subscription = factories.subscription(customer)
    look(customer, NOW)
    if change == "renewed":
        card.exp_year = 2030
        card.save()
    elif change == "replaced":
        card.is_default = False
        card.save()
        factories.payment_method(customer, exp_year=2031)
    else:
        subscription.status = "canceled"
        subscription.save()
    look(customer, NOW + DAY)
    assert Case.objects.get().close_reason == CloseReason.MOOT
    assert Message.objects.count() == 1


def test_a_renewal_is_announced_for_trials_and_years_but_not_every_month():
    factories.ladder(trigger="renewal_upcoming", steps=[{"offset": -10}])
    soon = NOW + 5 * DAY
    for interval, status in (("month", "active"), ("year", "active"), ("month", "trialing")):
        customer = factories.customer()
        factories.subscription(customer, interval=interval, status=status, current_period_end=soon)
        look(customer, NOW)
    assert sorted(Case.objects.values_list("subscription__interval", "subscription__status")) == [
        ("month", "trialing"),
        ("year", "active"),
    ]


def test_staffs_end_of_an_announcement_does_not_keep_the_invoice_from_being_chased(coming, admin_user):
    from campaigns.services.cases import case_close

    factories.ladder(trigger="invoice_overdue")
    customer = factories.customer()
    bill(customer, NOW + 3 * DAY)
    look(customer, NOW)
    case_close(case_id=live().pk, reason="They know.", actor_id=admin_user.pk, now=NOW)
    look(customer, NOW + DAY)
    assert not Case.objects.filter(closed_at=None).exists()
    look(customer, NOW + 3 * DAY)
    assert live().trigger == "invoice_overdue"


def test_publishing_looks_at_those_concerned(admin_user):
    customer = factories.customer()
    bill(customer, NOW + 3 * DAY)
    version = factories.ladder(trigger="invoice_due", steps=[{"offset": -7}])
    draft = ladder_draft(ladder_id=version.ladder_id)
    ladder_publish(version_id=draft.pk, actor_id=admin_user.pk, now=NOW)
    customer.refresh_from_db()
    assert customer.reassess_at == NOW


def test_a_broken_promise_takes_the_case_to_its_own_ladder():
    usual = factories.ladder()
    broken = factories.ladder(trigger="promise_broken", steps=[{"offset": 0, "key": "you-said"}])
    customer = factories.customer()
    factories.invoice(customer, first_failed_at=NOW)
    look(customer, NOW)
    Promise.objects.create(
        customer=customer, brand=customer.brand, amount=4900, currency="EUR", promised_on=date(2026, 3, 12),
        expires_at=NOW + 4 * DAY, created_at=NOW + DAY,
    )  # fmt: skip
    look(customer, NOW + DAY)
    assert (live().state, live().ladder_version) == ("promised", usual)
    look(customer, NOW + 4 * DAY)
    case = live()
    assert (case.state, case.ladder_version, case.trigger, case.round) == ("open", broken, "promise_broken", 2)
    assert Message.objects.latest("id").step_run.step.key == "you-said"
    assert Interaction.objects.filter(kind="case.ladder_started").count() == 1
    look(customer, NOW + 5 * DAY)
    assert Message.objects.count() == 2


def test_money_for_another_brand_keeps_no_promise():
    factories.ladder()
    customer = factories.customer()
    other = factories.brand(code="other")
    factories.invoice(customer, first_failed_at=NOW)
    elsewhere = factories.invoice(customer, brand=other, first_failed_at=None)
    Promise.objects.create(
        customer=customer, brand=customer.brand, amount=4900, currency="EUR", promised_on=date(2026, 3, 12),
        expires_at=NOW + 4 * DAY, created_at=NOW,
    )  # fmt: skip
    payment = Payment.objects.create(
        customer=customer, amount=4900, currency="EUR", received_at=NOW + DAY, allocated=4900
    )
    Allocation.objects.create(payment=payment, invoice=elsewhere, amount=4900)
    look(customer, NOW + 2 * DAY)
    assert Promise.objects.get().status == "open"
    look(customer, NOW + 4 * DAY)
    assert Promise.objects.get().status == "broken"


def test_a_missed_instalment_ends_the_plan_and_has_its_ladder():
    factories.ladder()
    missed = factories.ladder(trigger="instalment_missed", steps=[{"offset": 0}])
    customer = factories.customer()
    invoice = factories.invoice(customer, first_failed_at=NOW, in_plan=True)
    plan = PaymentPlan.objects.create(customer=customer, brand=customer.brand, currency="EUR", created_at=NOW)
    plan.invoices.add(invoice)
    for number, day in enumerate((date(2026, 3, 20), date(2026, 4, 20)), 1):
        PlanInstalment.objects.create(plan=plan, number=number, due_on=day, amount=2450)
    look(customer, NOW)
    customer.refresh_from_db()
    # The day and two of grace are over at midnight in Rome.
    assert customer.reassess_at == datetime(2026, 3, 22, 23, tzinfo=UTC)
    assert not Case.objects.exists()
    look(customer, customer.reassess_at)
    plan.refresh_from_db()
    invoice.refresh_from_db()
    assert (plan.status, invoice.in_plan) == ("broken", False)
    assert (live().ladder_version, live().trigger) == (missed, "instalment_missed")


def test_a_kept_instalment_keeps_the_plan():
    factories.ladder(trigger="instalment_missed")
    customer = factories.customer()
    invoice = factories.invoice(customer, first_failed_at=NOW, in_plan=True)
    plan = PaymentPlan.objects.create(customer=customer, brand=customer.brand, currency="EUR", created_at=NOW)
    plan.invoices.add(invoice)
    PlanInstalment.objects.create(plan=plan, number=1, due_on=date(2026, 3, 20), amount=2450)
    Payment.objects.create(customer=customer, amount=2450, currency="EUR", received_at=NOW + DAY)
    look(customer, NOW + 30 * DAY)
    plan.refresh_from_db()
    assert plan.status == "active"


def test_the_customers_own_ladder_wins_and_no_dunning_wins_over_it(admin_user):
    factories.ladder(priority=1)
    own = factories.ladder(priority=900, trigger="invoice_overdue", code="gently")
    customer, excluded = factories.customer(), factories.customer(no_dunning=True)
    for row in (customer, excluded):
        LadderOverride.objects.create(customer=row, ladder=own.ladder, actor=admin_user, at=NOW)
        factories.invoice(row, first_failed_at=NOW)
        look(row, NOW)
    assert (live().customer, live().ladder_version) == (customer, own)


def test_queries_do_not_grow_with_what_is_coming(coming):
    factories.ladder(trigger="card_expiring", steps=[{"offset": -60}])
    factories.ladder(trigger="renewal_upcoming", steps=[{"offset": -60}])

    def queries(count):
        for _ in range(count):
            customer = due(factories.customer())
            bill(customer, NOW + 3 * DAY)
            factories.payment_method(customer, exp_month=3, exp_year=2026)
            factories.subscription(customer, interval="year", current_period_end=NOW + 20 * DAY)
        with CaptureQueriesContext(connection) as captured:
            assert assess_customers(now=NOW).opened == count
        return len(captured)

    assert queries(1) == queries(60)
