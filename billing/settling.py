"""Owns what money does to an invoice: allocated once, settled when nothing is left, its planned charge called off."""

from datetime import datetime

from django.db import connection

from billing.models import Allocation, Invoice, InvoiceStatus, Payment, RetryState
from billing.models.invoice import TRANSITIONS
from customers import log
from customers.errors import SollecitoError
from customers.rows import row_insert, row_update

# Plain SQL: every payment comes this way.
_GIVEN = "SELECT payment_id, amount FROM billing_allocation WHERE invoice_id = %s"
_CANCEL = """
    UPDATE billing_paymentattempt a SET status = 'cancelled', finished_at = %s, cancel_reason = %s
      FROM billing_invoice i
     WHERE i.id = a.invoice_id AND a.invoice_id = %s AND a.status = 'planned'
    RETURNING a.id, i.customer_id, i.number, i.external_id
"""


def payment_allocate(*, payment: Payment, invoice: Invoice) -> int:
    """Gives what is left of a payment to an invoice, once; returns the minor units given.

    The caller holds the invoice's lock. Never more than the payment has or the invoice can take: both sums are
    taken from the allocations themselves. Raises SollecitoError (`currency_mismatch`).
    """
    if payment.currency.upper() != invoice.currency.upper():
        raise SollecitoError("The payment and the invoice differ in currency.", code="currency_mismatch")
    with connection.cursor() as cursor:
        cursor.execute(_GIVEN, [invoice.pk])
        given = dict(cursor.fetchall())
    if payment.pk in given:
        return 0
    allocated = sum(given.values())
    amount = share_of(payment=payment, invoice=invoice, allocated=allocated)
    if not amount:
        return 0
    row_insert(Allocation(payment=payment, invoice=invoice, amount=amount))
    paid = max(invoice.amount_paid, allocated + amount)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_payment SET allocated = allocated + %s WHERE id = %s", [amount, payment.pk])
        cursor.execute("UPDATE billing_invoice SET amount_paid = %s WHERE id = %s", [paid, invoice.pk])
    payment.allocated += amount
    invoice.amount_paid = paid
    return amount


def share_of(*, payment: Payment, invoice: Invoice, allocated: int) -> int:
    """What of a payment an invoice can take that has `allocated` already, all in minor units of one currency. Pure."""
    room = invoice.amount_due - invoice.amount_credited - allocated
    return max(0, min(payment.amount - payment.allocated, room))


def invoice_close(invoice: Invoice, *, at: datetime, recovered_by: str = "") -> bool:
    """Sets the fields of an invoice with nothing left to pay to paid, at `at` (aware UTC); returns whether it did.
    Writes nothing."""
    left = invoice.amount_due - invoice.amount_credited - invoice.amount_paid
    if left > 0 or InvoiceStatus.PAID not in TRANSITIONS[invoice.status]:
        return False
    invoice.status = InvoiceStatus.PAID
    invoice.paid_at = invoice.closed_at = at
    invoice.retry_state, invoice.retry_reason = RetryState.NONE, ""
    if invoice.first_failed_at is not None and not invoice.recovered_by:
        invoice.recovered_by = recovered_by
    return True


def invoice_settle(*, invoice: Invoice, at: datetime, recovered_by: str = "") -> bool:
    """Marks an invoice paid when nothing is left to pay on it; returns whether it is paid now by this call.

    Ends its retries: a planned one is cancelled. The caller holds the invoice's lock.
    """
    if not invoice_close(invoice, at=at, recovered_by=recovered_by):
        return False
    row_update(
        invoice, ["status", "paid_at", "closed_at", "retry_state", "retry_reason", "recovered_by", "updated_at"]
    )
    planned_cancel(invoice_id=invoice.pk, reason="The invoice is paid.", now=at)
    return True


def planned_cancel(*, invoice_id: int, reason: str, now: datetime) -> int:
    """Cancels the planned attempt of an invoice, if there is one, and says so in the log; returns how many.

    The caller holds the invoice's lock.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CANCEL, [now, reason[:255], invoice_id])
        cancelled = cursor.fetchall()
    log.record_many(
        log.Entry(
            customer_id=customer_id,
            at=now,
            kind="attempt.cancelled",
            summary=f"Charge of {number or external_id or invoice_id} called off: {reason}",
            subject=f"invoice:{invoice_id}",
            data={"attempt": attempt_id, "claimed": False},
            key=f"attempt:{attempt_id}:cancelled",
        )
        for attempt_id, customer_id, number, external_id in cancelled
    )
    return len(cancelled)
