"""Owns fees whose payment was taken back: refunded in full, or lost to the customer's bank, they are owed again."""

from datetime import datetime

from billing.models import AttemptStatus, Fee, FeePayment
from billing.money import display
from customers.errors import check_transition
from customers.log import Entry, record_many
from customers.models import ActorKind
from customers.services import customers_reassess

_TRANSITIONS = {str(k): frozenset(map(str, v)) for k, v in Fee.TRANSITIONS.items()}


def fees_reopen(*, source: str, charge_id: str, why: str, now: datetime) -> int:
    """Opens the fees that a charge had paid; returns how many. `why` in English, for staff.

    Told again it changes nothing: a fee that was reopened no longer belongs to the charge, whatever becomes of it.
    Nothing is charged by itself, now or later; staff may waive what was refunded on purpose. The caller holds the
    customer's lock and a transaction.
    """
    payment = FeePayment.objects.filter(source=source, external_id=charge_id, status=AttemptStatus.SUCCEEDED).first()
    if payment is None:
        return 0
    fees = list(payment.fees.filter(status=Fee.Status.PAID).order_by("pk"))
    for fee in fees:
        check_transition(_TRANSITIONS, what="Fee", source=fee.status, target=Fee.Status.OPEN)
        fee.status, fee.closed_at, fee.payment = Fee.Status.OPEN, None, None
    if fees:
        Fee.objects.bulk_update(fees, ["status", "closed_at", "payment"])
        Fee.history.bulk_history_create(fees, update=True)
        customers_reassess([payment.customer_id], now)
    record_many(
        Entry(
            customer_id=fee.customer_id,
            at=now,
            kind="fee.reopened",
            summary=f"{why}, owed again: {display(fee.amount, fee.currency)}.",
            actor_kind=ActorKind.PROCESSOR,
            subject=f"invoice:{fee.invoice_id}",
            data={"fee": fee.pk, "kind": fee.kind, "amount": fee.amount, "currency": fee.currency},
            key=f"fee.reopened:{payment.pk}:{fee.pk}",
        )
        for fee in fees
    )
    return len(fees)
