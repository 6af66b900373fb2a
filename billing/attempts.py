"""Owns what becomes of an attempt that got no answer or was not sent, and how an attempt is told to others.

Outcomes that the processor told are written by `billing.outcomes`.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from billing.locks import lock_invoice
from billing.matching import UNRESOLVED, next_number
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    Invoice,
    InvoiceStatus,
    PaymentAttempt,
    RetryState,
)
from billing.models.attempt import TRANSITIONS
from billing.money import display
from billing.outcomes import may_retry_here
from customers import log
from customers.errors import check_transition
from customers.wake import wake


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """How one charge ended, for whoever asked for it.

    `status` is an AttemptStatus; `message_key` is the verdict's customer_message_key for a decline,
    else "paid", "pending" (the outcome will come) or "unavailable" (nothing was sent). With `needs_customer` the
    payment intent can be confirmed by the customer in the browser.
    """

    attempt_id: int
    status: str
    decline_category: str = ""
    message_key: str = ""
    external_id: str = ""
    payment_intent_id: str = ""
    needs_customer: bool = False


def planned_data(attempt: PaymentAttempt) -> dict[str, object]:
    """What the log's lines about a planned charge hold in `data`: who announces charges themselves reads it there."""
    return {
        "attempt": attempt.pk,
        "at": attempt.scheduled_for.isoformat() if attempt.scheduled_for is not None else None,
        "amount": attempt.amount,
        "currency": attempt.currency,
    }


@dataclass(frozen=True, slots=True)
class Order:
    """A claimed charge: everything its call needs, so that no row is read while the processor is asked."""

    attempt_id: int
    invoice_id: int
    customer_id: int
    source: str
    invoice: str
    method: str
    method_id: int | None
    key: str
    origin: str
    amount: int
    currency: str
    claimed_at: datetime
    #: Only `amount` is charged, of the customer with this id at the processor; else all that is left.
    part: bool = False
    customer: str = ""


def new_key() -> str:
    """An idempotency key, made and stored before the charge it stands for."""
    return f"sollecito-{uuid.uuid4()}"


def rules_of(attempt: PaymentAttempt) -> str:
    """The AttemptOrigin whose rules bind a charge: one the planner chose is a retry, also on a new method.

    Only a customer who pays in person may pay against a promise, an exclusion or a legal hold.
    """
    return AttemptOrigin.RETRY if attempt.strategy else attempt.origin


def order_of(attempt: PaymentAttempt, invoice: Invoice) -> Order:
    """The call an attempt stands for; the same rows always give the same call, as its key demands."""
    method = attempt.payment_method
    return Order(
        attempt_id=attempt.pk,
        invoice_id=invoice.pk,
        customer_id=invoice.customer_id,
        source=invoice.source,
        invoice=invoice.external_id or "",
        method=(method.external_id or "") if method else "",
        method_id=attempt.payment_method_id,
        key=attempt.idempotency_key or "",
        origin=rules_of(attempt),
        amount=attempt.amount,
        currency=attempt.currency,
        claimed_at=attempt.claimed_at or attempt.created_at,
        part=attempt.part,
        customer=invoice.held_as or invoice.customer.external_id or "",
    )


def mark_unknown(order: Order, reason: str, ask_at: datetime, now: datetime) -> AttemptOutcome:
    """The charge may or may not have been made: nothing else happens to the invoice until that is known."""
    with transaction.atomic(durable=True):
        invoice = lock_invoice(order.invoice_id)
        moved = PaymentAttempt.objects.filter(pk=order.attempt_id, status__in=UNRESOLVED).update(
            status=AttemptStatus.UNKNOWN, resolve_at=ask_at, failure_message=reason[:500]
        )
        if moved and invoice is not None:
            log.record(
                log.Entry(
                    customer_id=order.customer_id,
                    at=now,
                    kind="attempt.unknown",
                    summary=f"Charge of {display(order.amount, order.currency)} for {invoice}: outcome not known yet.",
                    body=reason,
                    subject=f"invoice:{order.invoice_id}",
                    data={"attempt": order.attempt_id},
                    key=f"attempt:{order.attempt_id}:unknown",
                )
            )
    return current(order.attempt_id)


def claimed_call_off(
    order: Order, reason: str, state: RetryState, now: datetime, *, again_at: datetime | None = None
) -> AttemptOutcome:
    """Ends a claimed attempt of which no charge can have come; a retry is planned again for `again_at`."""
    with transaction.atomic(durable=True):
        invoice = lock_invoice(order.invoice_id)
        attempt = (
            PaymentAttempt.objects.select_for_update(no_key=True)
            .filter(pk=order.attempt_id, status__in=UNRESOLVED)
            .first()
        )
        # A webhook may have told of a charge in the meantime; then that is what happened.
        if attempt is not None and invoice is not None:
            if again_at is not None and attempt.origin != AttemptOrigin.RETRY:
                state = RetryState.NEEDS_PLAN
            attempt_call_off(invoice, attempt, reason, state, now)
            if state == RetryState.PLANNED and again_at is not None:
                _plan_again(invoice, attempt, again_at)
    return current(order.attempt_id)


def attempt_call_off(invoice: Invoice, attempt: PaymentAttempt, reason: str, state: RetryState, now: datetime) -> None:
    check_transition(TRANSITIONS, what="attempt", source=attempt.status, target=AttemptStatus.CANCELLED)
    was_made = attempt.status != AttemptStatus.PLANNED
    PaymentAttempt.objects.filter(pk=attempt.pk).update(
        status=AttemptStatus.CANCELLED, finished_at=now, resolve_at=None, cancel_reason=reason[:255]
    )
    if state == RetryState.NEEDS_PLAN:
        if not may_retry_here(invoice):
            state = RetryState.NONE
        wake("billing.tasks.plan_retries")
    # Paid or closed meanwhile, there is nothing to give a reason for: the same as if this had ended before.
    told = invoice.status == InvoiceStatus.OPEN and state != RetryState.PLANNED
    Invoice.objects.filter(pk=invoice.pk).update(retry_state=state, retry_reason=reason[:255] if told else "")
    log.record(
        log.Entry(
            customer_id=invoice.customer_id,
            at=now,
            kind="attempt.cancelled",
            summary=f"Charge of {invoice} called off: {reason}",
            subject=f"invoice:{invoice.pk}",
            data={"attempt": attempt.pk, "claimed": was_made},
            key=f"attempt:{attempt.pk}:cancelled",
        )
    )


def _plan_again(invoice: Invoice, attempt: PaymentAttempt, at: datetime) -> None:
    """The same retry under a new key: the old one's call is over."""
    PaymentAttempt.objects.create(
        invoice=invoice,
        number=next_number(invoice.pk),
        status=AttemptStatus.PLANNED,
        origin=attempt.origin,
        idempotency_key=new_key(),
        payment_method_id=attempt.payment_method_id,
        amount=attempt.amount,
        currency=attempt.currency,
        scheduled_for=at,
        strategy=attempt.strategy,
        probability=attempt.probability,
        explanation=attempt.explanation,
        part=attempt.part,
        instalment_id=attempt.instalment_id,
    )


def current(attempt_id: int) -> AttemptOutcome:
    """The outcome as the attempt's row has it now."""
    row = PaymentAttempt.objects.get(pk=attempt_id)
    external_id = row.external_id or ""
    if row.status == AttemptStatus.SUCCEEDED:
        return AttemptOutcome(row.pk, row.status, message_key="paid", external_id=external_id)
    if row.status == AttemptStatus.DECLINED:
        key = row.verdict.customer_message_key
        return AttemptOutcome(row.pk, row.status, row.decline_category, message_key=key, external_id=external_id)
    pending = row.status in UNRESOLVED
    return AttemptOutcome(row.pk, row.status, message_key="pending" if pending else "unavailable")
