"""The assess loop: cases open, invoices join and leave, cases rest, wake and close."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Dispute, Payment, Promise
from campaigns.engine.assess import assess_all, assess_customers
from campaigns.models import Case, CaseInvoice, Message, Task
from customers import log
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def due(customer, at: datetime = NOW):
    customer.reassess_at = at
    customer.save(update_fields=["reassess_at"])
    return customer


def pay(invoice, at: datetime, **attempt):
    """The invoice is paid at `at`, by a charge where one is described."""
    invoice.status, invoice.amount_paid, invoice.paid_at, invoice.closed_at = "paid", invoice.amount_due, at, at
    invoice.save()
    if attempt:
        factories.attempt(invoice, status="succeeded", at=at, decline_code="", decline_category="", **attempt)
    due(invoice.customer, at)


def kinds(case):
    return list(Interaction.objects.filter(subject=f"case:{case.pk}").order_by("id").values_list("kind", flat=True))


def test_a_failed_payment_opens_a_case_on_the_best_ladder():
    factories.ladder(priority=50, code="second")
    best = factories.ladder(priority=10, code="best")
    factories.ladder(priority=1, code="off", active=False)
    factories.ladder(priority=1, code="manual", trigger="invoice_overdue")
    customer = due(factories.customer())
    invoice = factories.invoice(customer)
    result = assess_customers(now=NOW)
    assert (result.claimed, result.opened) == (1, 1)
    case = Case.objects.get()
    assert case.ladder_version == best
    assert (case.state, case.trigger, case.position, case.round) == ("open", "payment_failed", 0, 1)
    assert case.anchor_at == invoice.first_failed_at
    assert case.next_action_at == NOW
    assert CaseInvoice.objects.get().invoice == invoice
    assert kinds(case) == ["case.opened"]
    customer.refresh_from_db()
    assert customer.reassess_at is None


@pytest.mark.parametrize(
    ("customer_fields", "invoice_fields", "opens"),
    [
        ({}, {}, True),
        ({"no_dunning": True}, {}, False),
        ({"deleted_at": NOW}, {}, False),
        ({"do_not_contact": True}, {}, True),
        ({}, {"first_failed_at": None}, False),
        ({}, {"status": "paid", "amount_paid": 4900}, False),
        ({}, {"status": "void"}, False),
        ({}, {"status": "uncollectible"}, False),
        ({}, {"amount_credited": 4900}, False),
        ({}, {"disputed_at": NOW}, False),
        ({}, {"in_plan": True}, False),
        ({}, {"first_failed_at": NOW}, True),
        ({}, {"first_failed_at": NOW + timedelta(seconds=1)}, False),
    ],
)
def test_which_debts_open_a_case(customer_fields, invoice_fields, opens):
    factories.ladder()
    customer = due(factories.customer(**customer_fields))
    factories.invoice(customer, **invoice_fields)
    assess_customers(now=NOW)
    assert Case.objects.exists() is opens


def test_a_manual_invoice_waits_for_its_due_date_and_opens_then():
    factories.ladder(trigger="invoice_overdue")
    customer = due(factories.customer())
    when = NOW + 5 * DAY
    factories.invoice(customer, collection_method="manual", first_failed_at=None, due_at=when)
    assess_customers(now=NOW)
    customer.refresh_from_db()
    assert (Case.objects.count(), customer.reassess_at) == (0, when)
    assert assess_customers(now=when - HOUR).claimed == 0
    assert assess_customers(now=when).opened == 1
    assert Case.objects.get().anchor_at == when


def test_a_debt_found_late_begins_with_the_first_step():
    factories.ladder(steps=[{"offset": 1}, {"offset": 5}, {"offset": 9}])
    customer = due(factories.customer())
    factories.invoice(customer, first_failed_at=NOW - 60 * DAY)
    assess_customers(now=NOW)
    assert Case.objects.get().anchor_at == NOW - 1 * DAY


def test_a_later_failure_joins_without_a_second_welcome():
    customer = factories.customer()
    case = factories.case(customer, position=1, next_action_at=NOW + DAY)
    late = factories.invoice(customer, first_failed_at=NOW)
    due(customer)
    result = assess_customers(now=NOW)
    assert (result.opened, result.joined) == (0, 1)
    case.refresh_from_db()
    assert (case.position, case.round, case.next_action_at) == (1, 1, NOW + DAY)
    assert CaseInvoice.objects.filter(case=case, invoice=late, left_at=None).exists()


def test_everything_paid_closes_as_recovered_with_one_receipt():
    factories.template("payment_received")
    customer = factories.customer()
    case = factories.case(customer)
    task = Task.objects.create(customer=customer, case=case, kind="call", title="Call", due_at=NOW, created_at=NOW)
    pay(case.case_invoices.get().invoice, NOW)
    assert assess_customers(now=NOW).recovered == 1
    due(customer)
    assess_customers(now=NOW + HOUR)
    case.refresh_from_db()
    assert (case.state, case.close_reason, case.next_action_at) == ("recovered", "paid", None)
    receipt = Message.objects.get()
    assert (receipt.purpose, receipt.key, receipt.recipient) == ("receipt", f"case:{case.pk}:receipt", customer.email)
    assert CaseInvoice.objects.get().outcome == "paid"
    assert kinds(case) == ["case.invoice_left", "case.recovered"]
    task.refresh_from_db()
    assert task.status == "cancelled"


def test_nothing_owed_any_more_is_no_recovery():
    customer = factories.customer()
    case = factories.case(customer)
    customer.invoices.update(status="void")
    due(customer)
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert (case.state, case.close_reason) == ("cancelled", "voided")
    assert not Message.objects.exists()


def test_paid_in_part_and_voided_in_part_is_recovered():
    customer = factories.customer()
    one, two = factories.invoice(customer), factories.invoice(customer)
    case = factories.case(customer, invoices=[one, two])
    pay(one, NOW)
    assess_customers(now=NOW)
    two.status = "void"
    two.save()
    due(customer)
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert case.state == "recovered"


def test_what_is_queued_is_withdrawn_when_the_case_closes():
    from campaigns.engine.run import escalate_due

    case = factories.case(factories.customer())
    escalate_due(now=NOW)
    pay(case.case_invoices.get().invoice, NOW)
    assess_customers(now=NOW)
    message = Message.objects.get(purpose="dunning")
    assert (message.status, message.rule) == ("cancelled", "case.closed")


def test_no_dunning_closes_a_live_case():
    customer = factories.customer(no_dunning=True)
    case = factories.case(customer)
    due(customer)
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert (case.state, case.close_reason) == ("cancelled", "excluded")


def test_a_debt_of_a_lost_case_does_not_open_another_but_a_new_one_does():
    factories.ladder()
    customer = factories.customer()
    lost = factories.invoice(customer)
    factories.case(
        customer, invoices=[lost], state="lost", closed_at=NOW, close_reason="exhausted", next_action_at=None
    )
    due(customer)
    assert assess_customers(now=NOW).opened == 0
    new = factories.invoice(customer)
    due(customer)
    assert assess_customers(now=NOW).opened == 1
    assert CaseInvoice.objects.get(case__state="open").invoice == new


@pytest.mark.parametrize(
    ("settled_on", "other_since", "position", "expected"),
    [
        # (position, round, anchor as days after the first failure) once the oldest is settled
        (8, 5, 3, (2, 2, 5)),  # day 8, three steps taken; the other is 3 days old: it has earned two
        (8, 8, 3, (1, 2, 8)),  # it failed today: the first rung, no second welcome
        (8, 0.5, 3, (3, 2, 0.5)),  # nearly as old: nothing falls back
        (8, 0.5, 1, (1, 2, 0.5)),  # earned three, but only one was taken: it never jumps forward
    ],
)
def test_the_case_falls_back_to_what_the_oldest_left_has_earned(settled_on, other_since, position, expected):
    start = NOW - 8 * DAY
    customer = factories.customer()
    old = factories.invoice(customer, first_failed_at=start)
    other = factories.invoice(customer, first_failed_at=start + timedelta(days=other_since))
    case = factories.case(
        customer, invoices=[old, other], position=position, anchor_at=start, next_action_at=NOW + 6 * DAY
    )
    pay(old, start + timedelta(days=settled_on))
    result = assess_customers(now=start + timedelta(days=settled_on))
    assert result.reanchored == 1
    case.refresh_from_db()
    days = (case.anchor_at - start) / DAY
    assert (case.position, case.round, days) == expected
    assert case.next_action_at == start + timedelta(days=settled_on)
    # Said twice, nothing happens twice.
    due(customer)
    assert assess_customers(now=NOW).reanchored == 0


def test_a_promise_rests_the_case_and_breaks_when_its_day_passes_unpaid():
    customer = factories.customer()
    old = factories.invoice(customer, first_failed_at=NOW - 2 * DAY)
    case = factories.case(customer, invoices=[old], position=1)
    expires = NOW + 10 * DAY
    promise = Promise.objects.create(
        customer=customer,
        brand=customer.brand,
        amount=4900,
        currency="EUR",
        promised_on=(NOW + 9 * DAY).date(),
        expires_at=expires,
        created_at=NOW,
    )
    due(customer)
    assess_customers(now=NOW)
    case.refresh_from_db()
    customer.refresh_from_db()
    assert (case.state, case.next_action_at, case.rests_until) == ("promised", None, expires)
    assert customer.reassess_at == expires
    assert assess_customers(now=expires - HOUR).claimed == 0
    assert assess_customers(now=expires).promises_broken == 1
    case.refresh_from_db()
    promise.refresh_from_db()
    assert (case.state, case.next_action_at, promise.status) == ("open", expires, "broken")
    # It goes on with the very next step (day 3), not with the last whose day has come meanwhile.
    assert case.anchor_at == expires - 3 * DAY
    assert kinds(case) == ["case.rested", "promise.broken", "case.woken"]
    # The retries rested too and are planned again.
    invoice = case.customer.invoices.get()
    assert invoice.retry_state == "needs_plan"


def test_a_promise_paid_in_full_is_kept():
    customer = factories.customer()
    one, two = factories.invoice(customer), factories.invoice(customer)
    case = factories.case(customer, invoices=[one, two], state="promised", next_action_at=None)
    promise = Promise.objects.create(
        customer=customer,
        brand=customer.brand,
        amount=4900,
        currency="EUR",
        promised_on=NOW.date(),
        expires_at=NOW + DAY,
        created_at=NOW - DAY,
    )
    Payment.objects.create(customer=customer, amount=4900, currency="EUR", received_at=NOW)
    pay(one, NOW)
    assess_customers(now=NOW)
    promise.refresh_from_db()
    case.refresh_from_db()
    assert (promise.status, case.state) == ("kept", "open")


def test_disputes_and_plans_rest_a_case_only_when_nothing_else_is_owed():
    customer = factories.customer()
    one, two = factories.invoice(customer), factories.invoice(customer)
    case = factories.case(customer, invoices=[one, two])
    one.disputed_at = NOW
    one.save()
    Dispute.objects.create(invoice=one, amount=4900, currency="EUR", opened_at=NOW)
    due(customer)
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert case.state == "open"
    two.in_plan = True
    two.save()
    due(customer)
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert (case.state, case.next_action_at) == ("in_plan", None)
    two.in_plan, two.disputed_at = False, NOW
    two.save()
    due(customer)
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert case.state == "disputed"
    two.disputed_at = None
    two.save()
    due(customer)
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert (case.state, case.next_action_at) == ("open", NOW)


@pytest.mark.parametrize("state", ["paused", "agency"])
def test_what_staff_put_to_rest_facts_do_not_wake(state):
    customer = factories.customer()
    case = factories.case(customer, state=state, next_action_at=None)
    factories.invoice(customer)
    due(customer)
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert (case.state, case.next_action_at) == (state, None)


@pytest.mark.parametrize(
    ("origin", "sent_days_before", "status", "expected"),
    [
        ("portal", 1, "sent", "portal"),
        ("new_method", None, "", "unprompted"),
        ("new_method", 1, "sent", "email"),
        ("staff", 1, "sent", "staff"),
        ("retry", None, "", "silent_retry"),
        ("processor", None, "", "silent_retry"),
        ("retry", 1, "sent", "email"),
        ("retry", 14, "opened", "email"),
        ("retry", 14.1, "sent", "silent_retry"),
        ("retry", 1, "bounced", "silent_retry"),
        ("retry", 1, "queued", "silent_retry"),
        ("retry", -1, "sent", "silent_retry"),
        (None, 1, "clicked", "email"),
        (None, None, "", "unprompted"),
    ],
)
def test_the_last_touch_before_the_payment_gets_the_credit(origin, sent_days_before, status, expected):
    from campaigns.engine.run import escalate_due

    customer = factories.customer()
    invoice = factories.invoice(customer, first_failed_at=NOW - 20 * DAY)
    case = factories.case(customer, invoices=[invoice])
    if sent_days_before is not None:
        escalate_due(now=NOW)
        sent = NOW - timedelta(days=sent_days_before)
        Message.objects.filter(case=case).update(status=status, sent_at=None if status == "queued" else sent)
    pay(invoice, NOW, **({"origin": origin} if origin else {}))
    assess_customers(now=NOW)
    invoice.refresh_from_db()
    assert invoice.recovered_by == expected


@pytest.mark.parametrize(("days_before", "expected"), [(0, "portal"), (19, "portal"), (21, "unprompted")])
def test_a_new_card_is_credited_to_the_portal_if_it_was_entered_there_for_this_debt(days_before, expected):
    customer = factories.customer()
    invoice = factories.invoice(customer, first_failed_at=NOW - 20 * DAY)
    entered = NOW - days_before * DAY
    log.record(log.Entry(customer_id=customer.pk, at=entered, kind="portal.card_updated", summary="A new card."))
    pay(invoice, NOW, origin="new_method")
    assess_customers(now=NOW)
    invoice.refresh_from_db()
    assert invoice.recovered_by == expected


def test_an_invoice_that_never_failed_is_not_recovered():
    customer = factories.customer()
    invoice = factories.invoice(customer, first_failed_at=None)
    pay(invoice, NOW, origin="processor")
    assess_customers(now=NOW)
    invoice.refresh_from_db()
    assert invoice.recovered_by == ""


def test_queries_do_not_grow_with_the_batch():
    version = factories.ladder()
    factories.template("payment_received")

    def queries(count):
        for _ in range(count):
            factories.invoice(due(factories.customer()))
            rested = factories.case(factories.customer(), ladder_version=version)
            pay(rested.case_invoices.get().invoice, NOW)
        with CaptureQueriesContext(connection) as captured:
            result = assess_customers(now=NOW)
        assert (result.opened, result.recovered) == (count, count)
        return len(captured)

    assert queries(1) == queries(100) <= 35


def test_batches_page_by_key_until_nobody_is_due():
    factories.ladder()
    for _ in range(5):
        factories.invoice(due(factories.customer()))
    assert [result.claimed for result in assess_all(now=NOW, limit=2)] == [2, 2, 1]
    assert Case.objects.count() == 5
