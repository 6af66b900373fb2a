"""Fees are charged once, by their payer's press, at the amount seen, and never when they have ended meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from billing.fees import fee_close, fees_charge
from billing.fees.collecting import fees_pay, fees_resolve
from billing.models import AttemptStatus, Fee, FeePayment, InvoiceStatus, Payment
from billing.resolving import DEAD_AFTER, KEY_LIFE, ResolveRun
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW
from tests.stripe_world import declining

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
FAULTS = ["timeout_before", "timeout_after", "reset", "reset_after", "server_error_after"]


def owing(stripe_world: Any, card: Any = None, **fields: Any) -> list[Fee]:
    """Interest and fixed sum of an invoice that is paid."""
    invoice = stripe_world.owing(card)
    type(invoice).objects.filter(pk=invoice.pk).update(status=InvoiceStatus.PAID, amount_paid=4900, paid_at=NOW)
    return [
        factories.fee(invoice, **fields),
        factories.fee(invoice, kind=Fee.Kind.INTEREST, rule="eu.interest", amount=320, **fields),
    ]


def press(fees: list[Fee], *, key: str = "press-1", **options: Any) -> FeePayment:
    customer = fees[0].customer
    values: dict[str, Any] = {
        "customer_id": customer.pk, "brand_id": customer.brand_id, "key": key, "now": NOW,
        "expected": {fee.pk: fee.amount for fee in fees}, "payment_method_id": customer.payment_methods.get().pk,
    } | options  # fmt: skip
    return fees_pay(**values)


def taken(stripe_world: Any) -> list[int]:
    """Amounts the bank gave, as the sandbox has them."""
    world = stripe_world.server.world
    with world.lock:
        return [row["amount"] for row in world.tables["charge"].objects.values() if row["paid"]]


def statuses(fees: list[Fee]) -> set[str]:
    return set(Fee.objects.filter(pk__in=[fee.pk for fee in fees]).values_list("status", flat=True))


def test_a_press_charges_all_fees_in_one_and_marks_them_paid(stripe_world: Any) -> None:
    fees = owing(stripe_world)
    payment = press(fees)
    assert (payment.status, payment.amount, payment.currency) == (AttemptStatus.SUCCEEDED, 4320, "EUR")
    assert taken(stripe_world) == [4320]
    assert statuses(fees) == {Fee.Status.PAID}
    money = Payment.objects.get()
    assert (money.external_id, money.amount, money.allocated) == (payment.external_id, 4320, 0)
    lines = Interaction.objects.filter(kind="fee.paid")
    assert {line.data["amount"] for line in lines} == {4000, 320}
    assert {line.actor_kind for line in lines} == {"customer"}


def test_pressed_twice_or_from_two_pages_it_charges_once(stripe_world: Any) -> None:
    fees = owing(stripe_world)
    first = press(fees)
    assert press(fees) == first
    with pytest.raises(SollecitoError) as caught:
        press(fees, key="another page")
    assert caught.value.code == "fees_changed"
    assert taken(stripe_world) == [4320]


def waive(fees: list[Fee]) -> None:
    fee_close(fee_id=fees[0].pk, paid=False, reason="Goodwill", actor_id=User.objects.create_user("boss").pk, now=NOW)


def dispute(fees: list[Fee]) -> None:
    type(fees[0].invoice).objects.filter(pk=fees[0].invoice_id).update(disputed_at=NOW)


def plan(fees: list[Fee]) -> None:
    type(fees[0].invoice).objects.filter(pk=fees[0].invoice_id).update(in_plan=True)


def grow(fees: list[Fee]) -> None:
    Fee.objects.filter(pk=fees[1].pk).update(amount=330)


def reopen(fees: list[Fee]) -> None:
    type(fees[0].invoice).objects.filter(pk=fees[0].invoice_id).update(status=InvoiceStatus.OPEN)


def other_currency(fees: list[Fee]) -> None:
    Fee.objects.filter(pk=fees[0].pk).update(currency="GBP")


def forgive(fees: list[Fee]) -> None:
    Fee.objects.filter(pk=fees[0].pk).update(on_payment=Fee.OnPayment.FORGIVE)


@pytest.mark.parametrize("change", [waive, dispute, plan, grow, reopen, other_currency, forgive])
def test_what_changed_between_the_page_and_the_press_is_not_charged(stripe_world: Any, change: Any) -> None:
    fees = owing(stripe_world)
    change(fees)
    with pytest.raises(SollecitoError) as caught:
        press(fees)
    assert caught.value.code == "fees_changed"
    assert taken(stripe_world) == []
    assert not FeePayment.objects.exists()


def test_another_customers_fees_cannot_be_paid(stripe_world: Any) -> None:
    fees, other = owing(stripe_world), owing(stripe_world)
    with pytest.raises(SollecitoError, match="not what the payer saw"):
        press(fees, expected={other[0].pk: other[0].amount})
    with pytest.raises(SollecitoError) as caught:
        press(fees, payment_method_id=other[0].customer.payment_methods.get().pk)
    assert caught.value.code == "no_method"
    assert taken(stripe_world) == []


def test_a_decline_leaves_the_fees_open_for_another_press(stripe_world: Any) -> None:
    fees = owing(stripe_world, declining("insufficient_funds"))
    payment = press(fees)
    assert (payment.status, payment.decline_category) == (AttemptStatus.DECLINED, "insufficient_funds")
    assert statuses(fees) == {Fee.Status.OPEN}
    assert not Payment.objects.exists()
    assert Interaction.objects.filter(kind="fee.declined").count() == 2
    stripe_world.bank_changes_its_mind(fees[0].customer.payment_methods.get())
    assert press(fees, key="press-2").status == AttemptStatus.SUCCEEDED
    assert taken(stripe_world) == [4320]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lost_answer_is_asked_for_under_the_same_key_and_charges_once(stripe_world: Any, fault: str) -> None:
    fees = owing(stripe_world)
    stripe_world.fault(fault, path="/payment_intents$", seconds=1)
    assert press(fees).status == AttemptStatus.UNKNOWN
    with pytest.raises(SollecitoError) as caught:
        press(fees, key="press-2")
    assert caught.value.code == "in_flight"
    with pytest.raises(SollecitoError) as caught:
        waive(fees)
    assert caught.value.code == "fee_in_flight"
    assert fees_resolve(now=NOW, limit=10).total == 0
    assert fees_resolve(now=NOW + MINUTE, limit=10) == ResolveRun(succeeded=1)
    assert fees_resolve(now=NOW + timedelta(days=1), limit=10).total == 0
    assert taken(stripe_world) == [4320]
    assert statuses(fees) == {Fee.Status.PAID}


@pytest.mark.parametrize(("fault", "status", "charged"), [("reset_after", "paid", [4320]), ("reset", "open", [])])
@pytest.mark.parametrize("why", ["old key", "disputed"])
def test_where_the_call_may_not_be_repeated_the_charge_is_looked_up(
    stripe_world: Any, fault: str, status: str, charged: list[int], why: str
) -> None:
    fees = owing(stripe_world)
    stripe_world.fault(fault, path="/payment_intents$")
    press(fees)
    if why == "disputed":
        dispute(fees)
    wait = KEY_LIFE if why == "old key" else timedelta(minutes=11)
    assert fees_resolve(now=NOW + wait, limit=10).total == 1
    assert taken(stripe_world) == charged
    assert statuses(fees) == {status}
    assert not FeePayment.objects.filter(status__in=["in_flight", "unknown"]).exists()


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("charged_before", [True, False])
def test_a_process_that_dies_between_call_and_record_charges_once(
    stripe_world: Any, monkeypatch: pytest.MonkeyPatch, charged_before: bool
) -> None:
    fees = owing(stripe_world)

    def die(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"billing.fees.collecting.{'_record' if charged_before else '_charge'}", die)
        with pytest.raises(Killed):
            press(fees)
    assert FeePayment.objects.get().status == AttemptStatus.IN_FLIGHT
    assert fees_resolve(now=NOW + DEAD_AFTER - MINUTE, limit=10).total == 0
    assert fees_resolve(now=NOW + DEAD_AFTER, limit=10) == ResolveRun(succeeded=1)
    assert taken(stripe_world) == [4320]
    assert Payment.objects.count() == 1


def test_interest_stands_still_while_it_is_being_paid(stripe_world: Any) -> None:
    fees = owing(stripe_world, accrued_until=NOW.date() - timedelta(days=20))
    invoice = fees[0].invoice
    type(invoice).objects.filter(pk=invoice.pk).update(
        status=InvoiceStatus.PAID, due_at=NOW - timedelta(days=30), amount_due=10_000_000, amount_paid=4900
    )
    stripe_world.fault("reset", path="/payment_intents$")
    press(fees)
    type(invoice).objects.filter(pk=invoice.pk).update(status=InvoiceStatus.OPEN)
    fees_charge(invoice_ids=[invoice.pk], kind=Fee.Kind.INTEREST, regime="eu", now=NOW)
    assert Fee.objects.get(pk=fees[1].pk).amount == 320
