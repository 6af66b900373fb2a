"""Credits: a part or all of what an open invoice asks for is given up, by a credit note at its processor where it has
one, else in our own books.

At a processor the invoice falls when the credit note's fact arrives, not before: until then nothing is charged.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from billing.commands import Order, commands_enqueue
from billing.gateways import is_chargeable
from billing.locks import lock_invoice
from billing.matching import UNRESOLVED
from billing.models import Adjustment, Invoice, InvoiceStatus, ProcessorCommand, RetryState
from billing.money import display
from billing.settling import invoice_settle, planned_cancel
from billing.signals import announce_facts_changed
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind
from customers.services import customers_reassess
from customers.wake import wake

#: No charge meanwhile: the order to the processor is carried out within seconds, its fact comes soon after.
HOLD = timedelta(minutes=15)


@transaction.atomic
def invoice_credit(*, invoice_id: int, amount: int, reason: str, actor_id: int, now: datetime) -> Adjustment:
    """Credits `amount` (minor units) of an open invoice at `now` (aware UTC).

    Whether somebody may is asked before (billing.approvals.credit). Raises SollecitoError: `reason_missing`,
    `not_open`, `in_plan` (the plan is over another sum: end it first), `in_flight` (a charge is under way or a credit
    note on its way), `credit_amount` (nothing, or more than is owed).
    """
    if not reason.strip():
        raise SollecitoError(_("Say why."), code="reason_missing")
    invoice = lock_invoice(invoice_id)
    if invoice is None or invoice.status != InvoiceStatus.OPEN:
        raise SollecitoError(_("Only an open invoice is credited."), code="not_open")
    if invoice.in_plan:
        raise SollecitoError(_("The invoice is in a payment plan; end that first."), code="in_plan")
    waiting = ProcessorCommand.objects.filter(
        invoice=invoice, kind=ProcessorCommand.Kind.CREDIT_NOTE, status=ProcessorCommand.Status.PENDING
    )
    if invoice.attempts.filter(status__in=UNRESOLVED).exists() or waiting.exists():
        raise SollecitoError(_("A charge or a credit of it is under way."), code="in_flight", permanent=False)
    if not 0 < amount <= invoice.balance:
        owed = display(invoice.balance, invoice.currency)
        raise SollecitoError(
            _("A credit is between nothing and the %(owed)s owed.") % {"owed": owed}, code="credit_amount"
        )
    adjustment = Adjustment.objects.create(
        invoice=invoice,
        kind=Adjustment.Kind.CREDIT,
        amount=amount,
        reason=reason.strip()[:255],
        actor_id=actor_id,
        at=now,
    )
    if is_chargeable(invoice.source):
        _order(invoice, adjustment, now)
    else:
        _book(invoice, amount, now)
    customers_reassess([invoice.customer_id], now)
    announce_facts_changed([invoice.customer_id])
    words = _("Credit of %(amount)s on %(invoice)s.")
    record(
        Entry(
            customer_id=invoice.customer_id,
            at=now,
            kind="invoice.credited",
            summary=words % {"amount": display(amount, invoice.currency), "invoice": invoice},
            body=reason.strip(),
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"invoice:{invoice.pk}",
            data={"adjustment": adjustment.pk, "amount": amount, "currency": invoice.currency},
        )
    )
    return adjustment


def _order(invoice: Invoice, adjustment: Adjustment, now: datetime) -> None:
    """The credit note, and no charge of the whole before it is there."""
    kind, key = ProcessorCommand.Kind.CREDIT_NOTE, f"credit:{adjustment.pk}"
    commands_enqueue(orders=[Order(kind, key, invoice_id=invoice.pk, adjustment_id=adjustment.pk)], now=now)
    held = max(invoice.retry_not_before or now, now + HOLD)
    Invoice.objects.filter(pk=invoice.pk).update(retry_not_before=held)
    if invoice.retry_state == RetryState.PLANNED:
        planned_cancel(invoice_id=invoice.pk, reason=_("Planned anew after a credit."), now=now)
        Invoice.objects.filter(pk=invoice.pk).update(retry_state=RetryState.NEEDS_PLAN)
        wake("billing.tasks.plan_retries")


def _book(invoice: Invoice, amount: int, now: datetime) -> None:
    """No processor behind it: our own books are the invoice's."""
    invoice.amount_credited += amount
    Invoice.objects.filter(pk=invoice.pk).update(amount_credited=invoice.amount_credited)
    if invoice.amount_due > invoice.amount_credited + invoice.amount_paid:
        return
    if invoice.amount_paid:
        invoice_settle(invoice=invoice, at=now)
    else:
        # Nothing was paid, so nobody is thanked for a payment.
        Invoice.objects.filter(pk=invoice.pk).update(status=InvoiceStatus.VOID, closed_at=now)
