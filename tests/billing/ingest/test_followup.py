"""What follows from facts for the retries of an invoice."""

from datetime import timedelta

import pytest

from billing.models import Invoice, PaymentAttempt, PaymentMethod, ProcessorAccount
from billing.retries.loop import plan_retries
from customers.models import Interaction
from tests import factories
from tests.billing.ingest.conftest import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(sandbox, deliver):
    """A failed invoice whose retry is planned; the sandbox's events so far are told."""
    customer, _subscription, _invoice = sandbox.failing()
    deliver(sandbox.events())
    row = Invoice.objects.get(status="open")
    factories.attempt(
        row, status="planned", origin="retry", at=None, scheduled_for=NOW + timedelta(days=3), decline_code=""
    )
    Invoice.objects.filter(pk=row.pk).update(retry_state="planned")
    return customer, row


def since(sandbox, before):
    return [event for event in sandbox.events() if event["id"] not in before]


@pytest.mark.parametrize("act", ["void_invoice", "mark_uncollectible", "pay"])
def test_a_closed_invoice_is_not_retried(sandbox, deliver, failed, act):
    _customer, invoice = failed
    options = {"paid_out_of_band": True} if act == "pay" else {}
    getattr(sandbox.client.invoices, act)(invoice.external_id, options)
    deliver(sandbox.events())
    invoice.refresh_from_db()
    planned = PaymentAttempt.objects.get(origin="retry")
    assert (planned.status, bool(planned.cancel_reason)) == ("cancelled", True)
    assert invoice.retry_state == "none"
    if act == "pay":
        assert (invoice.status, invoice.allocations.get().payment.method) == ("paid", "out_of_band")


def test_a_new_card_is_tried_at_once(sandbox, deliver, failed):
    customer, invoice = failed
    sandbox.advance(days=1)
    sandbox.card(customer, "pm_card_mastercard")
    deliver(sandbox.events())
    invoice.refresh_from_db()
    assert (invoice.retry_state, invoice.retry_reason) == ("needs_plan", "new_method")
    assert PaymentAttempt.objects.get(origin="retry").status == "cancelled"


def test_new_details_from_the_networks_are_a_reason_too(sandbox, deliver, failed):
    customer, invoice = failed
    card = invoice.attempts.get(status="declined").payment_method
    sandbox.advance(days=1)
    sandbox.control(f"payment_methods/{card.external_id}", exp_year=2033, exp_month=1)
    deliver(sandbox.events())
    invoice.refresh_from_db()
    card.refresh_from_db()
    assert (card.exp_year, card.renewed_at is not None) == (2033, True)
    assert (invoice.retry_state, invoice.retry_reason) == ("needs_plan", "new_method")


def test_a_new_default_is_planned_anew_though_it_was_stored_before(sandbox, deliver, failed):
    customer, invoice = failed
    card = sandbox.client.payment_methods.list({"customer": customer.id}).data[-1]
    bad = invoice.attempts.get(status="declined").payment_method
    assert card.id != bad.external_id
    sandbox.client.customers.update(customer.id, {"invoice_settings": {"default_payment_method": bad.external_id}})
    deliver(sandbox.events())
    sandbox.advance(days=1)
    before = {event["id"] for event in sandbox.events()}
    sandbox.client.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})
    deliver(since(sandbox, before))
    invoice.refresh_from_db()
    assert invoice.retry_state == "needs_plan"
    assert PaymentAttempt.objects.get(origin="retry").status == "cancelled"
    # Told again, it plans nothing again.
    again = factories.attempt(invoice, status="planned", origin="retry", at=None, scheduled_for=NOW, decline_code="")
    deliver([event | {"id": f"{event['id']}_again"} for event in since(sandbox, before)])
    again.refresh_from_db()
    assert again.status == "planned"


def test_a_subscriptions_new_default_is_planned_anew(sandbox, deliver, failed):
    customer, invoice = failed
    good = sandbox.client.payment_methods.list({"customer": customer.id}).data[-1]
    sandbox.advance(days=1)
    sandbox.client.subscriptions.update(invoice.subscription.external_id, {"default_payment_method": good.id})
    deliver(sandbox.events())
    invoice.refresh_from_db()
    assert invoice.retry_state == "needs_plan"
    assert PaymentAttempt.objects.get(origin="retry").status == "cancelled"
    assert plan_retries(now=invoice.first_failed_at + timedelta(days=2), limit=10).planned == 1
    assert invoice.attempts.get(status="planned").payment_method.external_id == good.id


def test_a_default_that_was_changed_before_the_decline_changes_no_plan(sandbox, deliver, failed):
    """Events come in any order: an old change told late is no news for a charge that was made after it."""
    customer, invoice = failed
    planned = invoice.attempts.get(status="planned")
    PaymentMethod.objects.update(is_default=False)
    invoice.customer.facts_as_of = None
    invoice.customer.save(update_fields=["facts_as_of"])
    deliver([e | {"id": f"{e['id']}_again"} for e in sandbox.events("customer.updated")[:1]])
    planned.refresh_from_db()
    assert PaymentMethod.objects.filter(is_default=True).count() == 1
    assert planned.status == "planned"


def test_a_lost_card_stays_lost_when_it_is_stored_again_and_new_details_lift_that(sandbox, deliver):
    lost = "pm_card_visa_chargeDeclinedLostCard"
    customer, _subscription, _invoice = sandbox.failing(lost)
    deliver(sandbox.events())
    (card,) = PaymentMethod.objects.filter(never_again_at__isnull=False)
    sandbox.advance(days=1)
    sandbox.card(customer, lost)
    deliver(sandbox.events())
    again = PaymentMethod.objects.exclude(pk=card.pk).get(fingerprint=card.fingerprint)
    assert (again.never_again_at, again.never_again_reason) == (card.never_again_at, card.never_again_reason)
    sandbox.control(f"payment_methods/{again.external_id}", exp_year=2033, exp_month=1)
    deliver(sandbox.events())
    again.refresh_from_db()
    card.refresh_from_db()
    assert (again.never_again_at, again.never_again_reason) == (None, "")
    assert card.never_again_at is not None
    # The decline told again is still one of the old details.
    deliver([event | {"id": f"{event['id']}_again"} for event in sandbox.events("charge.failed")])
    again.refresh_from_db()
    assert again.never_again_at is None


def test_a_new_card_told_again_does_not_plan_again(sandbox, deliver, failed):
    customer, invoice = failed
    sandbox.advance(days=1)
    sandbox.card(customer, "pm_card_mastercard")
    deliver(sandbox.events())
    factories.attempt(invoice, status="planned", origin="retry", at=None, scheduled_for=NOW, decline_code="")
    again = sandbox.events("payment_method.attached")[-1]
    deliver([again | {"id": "evt_told_again"}])
    assert invoice.attempts.filter(status="planned").count() == 1


def test_the_processors_own_schedule_is_told_and_not_raced(sandbox, deliver, caplog):
    sandbox.control("settings", retries="smart")
    sandbox.failing()
    deliver(sandbox.events())
    account = ProcessorAccount.objects.get()
    invoice = Invoice.objects.get(status="open")
    assert account.schedule_conflict_at == NOW
    assert invoice.processor_next_attempt_at is not None
    assert invoice.retry_state == "none"
    assert "own retry schedule" in caplog.text


@pytest.mark.parametrize(("mode", "state"), [("observe", "none"), ("own", "needs_plan"), ("take_over", "none")])
def test_who_retries_is_the_accounts_choice(sandbox, deliver, mode, state):
    ProcessorAccount.objects.update(retry_mode=mode)
    sandbox.failing()
    deliver(sandbox.events())
    assert Invoice.objects.get(status="open").retry_state == state


def test_our_charge_whose_answer_never_came_is_recognised(sandbox, deliver, failed):
    customer, invoice = failed
    attempt = PaymentAttempt.objects.get(origin="retry")
    before = {event["id"] for event in sandbox.events()}
    sandbox.advance(days=1)
    good = sandbox.card(customer, "pm_card_mastercard")
    claimed = sandbox.server.world.now()
    from datetime import UTC, datetime

    PaymentAttempt.objects.filter(pk=attempt.pk).update(
        status="unknown", claimed_at=datetime.fromtimestamp(claimed, UTC), idempotency_key="k"
    )
    sandbox.client.invoices.pay(invoice.external_id, {"payment_method": good.id})
    deliver(since(sandbox, before))
    attempt.refresh_from_db()
    invoice.refresh_from_db()
    assert attempt.status == "succeeded"
    assert attempt.external_id.startswith("ch_")
    assert (invoice.status, invoice.recovered_by) == ("paid", "silent_retry")
    assert invoice.attempts.count() == 2


def test_a_dispute_takes_the_invoice_out_and_is_logged(sandbox, deliver):
    customer, _card = sandbox.customer()
    sandbox.subscribe(customer)
    charge = sandbox.client.charges.list({"customer": customer.id}).data[0]
    dispute = sandbox.control("disputes", charge=charge.id)
    deliver(sandbox.events())
    invoice = Invoice.objects.get()
    assert invoice.disputed_at is not None
    assert Interaction.objects.filter(kind="dispute.opened").count() == 1
    sandbox.advance(days=1)
    sandbox.control(f"disputes/{dispute['id']}", outcome="won")
    deliver(sandbox.events())
    invoice.refresh_from_db()
    assert invoice.disputed_at is None
    assert invoice.disputes.get().status == "won"


def test_events_of_one_customer_cost_a_constant_number_of_queries(sandbox, deliver, django_assert_max_num_queries):
    from billing.ingest.inbox import store
    from billing.ingest.process import process_inbox

    customer, _card = sandbox.customer()
    sandbox.subscribe(customer)
    deliver(sandbox.events())
    before = {event["id"] for event in sandbox.events()}
    sandbox.advance(days=31)
    renewal = since(sandbox, before)
    for event in renewal:
        store(source="stripe", event=event, now=NOW)
    with django_assert_max_num_queries(60):
        assert process_inbox(now=NOW).failed == 0
