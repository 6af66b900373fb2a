"""The outcome of a charge becomes the same facts whoever tells it, in whatever order and how often."""

from datetime import timedelta

import pytest

from billing.matching import ChargeFact
from billing.models import Allocation, AttemptStatus, InvoiceStatus, Payment, PaymentAttempt, RetryState
from billing.outcomes import charge_record
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def paid(charge_id="ch_1", **fields):
    return ChargeFact(
        **({"charge_id": charge_id, "succeeded": True, "amount": 4900, "currency": "EUR", "at": NOW} | fields)
    )


def refused(charge_id="ch_1", **fields):
    values = {"charge_id": charge_id, "succeeded": False, "amount": 4900, "currency": "EUR", "at": NOW}
    return ChargeFact(**(values | {"decline_code": "insufficient_funds"} | fields))


def owing(**fields):
    factories.account(retry_mode=fields.pop("retry_mode", "own"))
    return factories.invoice(factories.customer(), **fields)


def test_money_arrives_once_however_often_it_is_told():
    invoice = owing()
    first = charge_record(invoice_id=invoice.pk, fact=paid(), now=NOW)
    again = charge_record(invoice_id=invoice.pk, fact=paid(), now=NOW + timedelta(minutes=1))
    invoice.refresh_from_db()
    assert (first.changed, again.changed, again.attempt_id) == (True, False, first.attempt_id)
    assert (invoice.status, invoice.balance, invoice.paid_at) == (InvoiceStatus.PAID, 0, NOW)
    assert [(p.amount, p.allocated) for p in Payment.objects.all()] == [(4900, 4900)]
    assert Allocation.objects.get().amount == 4900
    assert Interaction.objects.filter(kind="attempt.succeeded").count() == 1
    invoice.customer.refresh_from_db()
    assert invoice.customer.reassess_at == NOW


def test_a_webhook_before_the_response_finds_our_attempt():
    invoice = owing()
    ours = factories.attempt(
        invoice, status=AttemptStatus.IN_FLIGHT, origin="retry", claimed_at=NOW, at=NOW, idempotency_key="k"
    )
    by_webhook = charge_record(invoice_id=invoice.pk, fact=paid(), now=NOW)
    by_response = charge_record(invoice_id=invoice.pk, fact=paid(at=None), now=NOW, attempt_id=ours.pk)
    assert by_webhook.attempt_id == by_response.attempt_id == ours.pk
    assert PaymentAttempt.objects.get().external_id == "ch_1"
    invoice.refresh_from_db()
    assert invoice.recovered_by == "silent_retry"


def test_a_charge_on_another_card_is_not_taken_for_ours():
    invoice = owing()
    mine, other = (factories.payment_method(invoice.customer) for _ in range(2))
    ours = factories.attempt(
        invoice, status=AttemptStatus.IN_FLIGHT, origin="retry", claimed_at=NOW, at=NOW, payment_method=mine
    )
    made = charge_record(invoice_id=invoice.pk, fact=refused(payment_method_id=other.pk), now=NOW)
    assert made.attempt_id != ours.pk
    ours.refresh_from_db()
    assert ours.status == AttemptStatus.IN_FLIGHT


def test_a_charge_taken_for_the_processors_learns_that_it_was_ours():
    invoice = owing()
    mine, other = (factories.payment_method(invoice.customer) for _ in range(2))
    ours = factories.attempt(
        invoice, status=AttemptStatus.IN_FLIGHT, origin="retry", claimed_at=NOW, payment_method=mine, strategy="rules"
    )
    made = charge_record(invoice_id=invoice.pk, fact=refused(payment_method_id=other.pk), now=NOW)
    told = charge_record(invoice_id=invoice.pk, fact=refused(at=None), now=NOW, attempt_id=ours.pk)
    assert told.attempt_id == made.attempt_id
    ours.refresh_from_db()
    kept = PaymentAttempt.objects.get(pk=made.attempt_id)
    assert (ours.status, kept.origin, kept.strategy) == (AttemptStatus.CANCELLED, "retry", "rules")


def test_what_brought_the_money_is_asked_anew_when_the_charge_turns_out_to_be_ours():
    invoice = owing()
    mine, other = (factories.payment_method(invoice.customer) for _ in range(2))
    ours = factories.attempt(
        invoice, status=AttemptStatus.IN_FLIGHT, origin="staff", claimed_at=NOW, payment_method=mine
    )
    charge_record(invoice_id=invoice.pk, fact=paid(payment_method_id=other.pk), now=NOW)
    # Meanwhile the campaign side took it for a stranger's.
    type(invoice).objects.filter(pk=invoice.pk).update(recovered_by="silent_retry")
    type(invoice.customer).objects.filter(pk=invoice.customer_id).update(reassess_at=None)
    charge_record(invoice_id=invoice.pk, fact=paid(at=None), now=NOW, attempt_id=ours.pk)
    invoice.refresh_from_db()
    invoice.customer.refresh_from_db()
    assert (invoice.recovered_by, invoice.customer.reassess_at) == ("", NOW)


@pytest.mark.parametrize(
    ("mode", "state"),
    [("own", RetryState.NEEDS_PLAN), ("take_over", RetryState.NEEDS_PLAN), ("observe", RetryState.NONE)],
)
def test_a_decline_is_planned_only_where_the_retries_are_ours(mode, state):
    invoice = owing(retry_mode=mode, first_failed_at=None)
    charge_record(invoice_id=invoice.pk, fact=refused(network_decline_code="51"), now=NOW)
    invoice.refresh_from_db()
    assert (invoice.retry_state, invoice.first_failed_at) == (state, NOW)
    assert (invoice.last_decline_code, invoice.last_decline_category) == ("insufficient_funds", "insufficient_funds")


def test_a_decline_told_late_takes_its_place_in_time_and_hides_no_newer_one():
    invoice = owing(first_failed_at=None)
    charge_record(invoice_id=invoice.pk, fact=refused("ch_2", decline_code="do_not_honor"), now=NOW)
    early = refused("ch_1", at=NOW - timedelta(days=3))
    charge_record(invoice_id=invoice.pk, fact=early, now=NOW)
    invoice.refresh_from_db()
    assert (invoice.last_decline_code, invoice.first_failed_at) == ("do_not_honor", NOW - timedelta(days=3))
    assert list(invoice.attempts.order_by("number").values_list("external_id", flat=True)) == ["ch_1", "ch_2"]


def test_a_stolen_card_is_marked_wherever_it_is_stored():
    invoice = owing()
    card = factories.payment_method(invoice.customer, fingerprint="same")
    twin = factories.payment_method(factories.customer(), fingerprint="same")
    fact = refused(decline_code="stolen_card", payment_method_id=card.pk)
    charge_record(invoice_id=invoice.pk, fact=fact, now=NOW)
    twin.refresh_from_db()
    assert twin.never_again_at == NOW
    assert "stolen_card" in twin.never_again_reason


def test_more_money_than_owed_stays_with_the_payment():
    invoice = owing(amount_due=4000)
    charge_record(invoice_id=invoice.pk, fact=paid(), now=NOW)
    payment = Payment.objects.get()
    assert (payment.amount, payment.allocated) == (4900, 4000)


def test_part_of_the_money_leaves_the_invoice_open():
    invoice = owing()
    charge_record(invoice_id=invoice.pk, fact=paid(amount=900), now=NOW)
    invoice.refresh_from_db()
    assert (invoice.status, invoice.balance) == (InvoiceStatus.OPEN, 4000)


def test_currencies_never_mix():
    invoice = owing()
    with pytest.raises(SollecitoError) as caught:
        charge_record(invoice_id=invoice.pk, fact=paid(currency="USD"), now=NOW)
    assert caught.value.code == "currency_mismatch"
    assert not Payment.objects.exists()


def test_what_was_planned_falls_when_the_money_comes():
    invoice = owing(retry_state="planned")
    planned = factories.attempt(invoice, status=AttemptStatus.PLANNED, scheduled_for=NOW + timedelta(days=2), at=None)
    charge_record(invoice_id=invoice.pk, fact=paid(), now=NOW)
    planned.refresh_from_db()
    assert (planned.status, planned.number) == (AttemptStatus.CANCELLED, 2)
    assert Interaction.objects.get(kind="attempt.cancelled").data == {"attempt": planned.pk, "claimed": False}
