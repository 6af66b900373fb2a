"""Owns the charging of invoices: claim, call the processor with no transaction open, record.

Every charge takes this one path, whoever asked for it. The attempt's idempotency key is stored before the call, so
that a charge whose answer is lost is asked about again under the same key (`billing.resolving`) and never made twice.
"""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from billing import breaker
from billing.attempts import (
    AttemptOutcome,
    Order,
    attempt_call_off,
    claimed_call_off,
    limit_reached,
    mark_unknown,
    new_key,
    order_of,
)
from billing.gateways import ChargeResult, ChargeStatus, ErrorKind, GatewayError, gateway_for
from billing.locks import lock_invoice
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    Invoice,
    PaymentAttempt,
    PaymentMethod,
    ProcessorAccount,
    Promise,
    RetryState,
)
from billing.models.attempt import TRANSITIONS
from billing.outcomes import UNRESOLVED, ChargeFact, charge_record, next_number, planned_cancel
from billing.retries.eligibility import Refusal, methods_for, refusal, usable
from customers.errors import SollecitoError, check_transition

#: A run ends after this many seconds, so that no claim of it looks like a dead worker's.
RUN_SECONDS = 60
#: First question about an unknown outcome; bank debits are asked about hourly.
ASK_AFTER = timedelta(minutes=1)
ASK_PROCESSING_AFTER = timedelta(hours=1)
#: A retry that was certainly not sent is planned again this much later.
AGAIN_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ChargeRun:
    """What a run did, in attempts; `skipped` ones are held by another worker or wait for the breaker."""

    succeeded: int = 0
    declined: int = 0
    unknown: int = 0
    cancelled: int = 0
    skipped: int = 0

    @property
    def done(self) -> int:
        """Attempts that moved; 0 means that there is nothing to do now."""
        return self.succeeded + self.declined + self.unknown + self.cancelled


def charge_due(*, now: datetime, limit: int) -> ChargeRun:
    """Charges at most `limit` attempts whose time has come; safe to run in any number of workers."""
    due = (
        PaymentAttempt.objects.filter(status=AttemptStatus.PLANNED, scheduled_for__lte=now)
        .exclude(invoice__source__in=breaker.paused_sources(now))
        .order_by("scheduled_for", "id")
        .values_list("id", "invoice_id")[:limit]
    )
    counts: Counter[str] = Counter()
    started = time.monotonic()
    for attempt_id, invoice_id in due:
        claimed = _claim(attempt_id, invoice_id, now)
        if isinstance(claimed, Order):
            counts[execute(claimed, now).status] += 1
        else:
            counts[claimed] += 1
        if time.monotonic() - started > RUN_SECONDS:
            break
    return ChargeRun(**{name: counts[name] for name in ("succeeded", "declined", "unknown", "cancelled", "skipped")})


def charge_now(
    *,
    invoice_id: int,
    origin: str,
    now: datetime,
    payment_method_id: int | None = None,
    actor_id: int | None = None,
) -> AttemptOutcome:
    """Charges an invoice at once in place of what was planned; `origin` is an AttemptOrigin.

    Call it outside of any transaction. Pressed twice it charges once. Raises SollecitoError: `not_collectible`
    (paid, void, disputed, in a plan, no processor …), `in_flight` (a charge is under way or unresolved), `no_method`
    (none stored, or not this customer's), `limit_reached` (the networks' limits bind customers' tries too: some
    networks count those apart, but not all say so), `processor_unavailable` (calls are paused; try later).
    """
    with transaction.atomic(durable=True):
        invoice = lock_invoice(invoice_id)
        if invoice is None:
            raise SollecitoError("There is no such invoice.", code="not_collectible")
        if invoice.attempts.filter(status__in=UNRESOLVED).exists():
            raise SollecitoError("A charge of this invoice is under way.", code="in_flight", permanent=False)
        account = _account(invoice)
        refused = _refusal(invoice, account, origin, now)
        if refused is not None:
            raise SollecitoError(refused.reason, code="not_collectible")
        method = _method(invoice, payment_method_id)
        reached = limit_reached(invoice, method, now)
        if reached is not None:
            raise SollecitoError(reached, code="limit_reached", permanent=False)
        if account is not None and account.paused_until is not None and account.paused_until > now:
            raise SollecitoError(
                "The payment processor cannot be reached.", code="processor_unavailable", permanent=False
            )
        planned_cancel(invoice_id=invoice.pk, reason=f"Charged earlier: {AttemptOrigin(origin).label}.", now=now)
        attempt = PaymentAttempt.objects.create(
            invoice=invoice,
            number=next_number(invoice.pk),
            status=AttemptStatus.PLANNED,
            origin=origin,
            idempotency_key=new_key(),
            payment_method=method,
            amount=invoice.balance,
            currency=invoice.currency,
            scheduled_for=now,
            actor_id=actor_id,
        )
        order = _begin(invoice, attempt, now)
    return execute(order, now)


def _claim(attempt_id: int, invoice_id: int, now: datetime) -> Order | str:
    """Takes a planned attempt for this worker, all rules asked again; else why not: "skipped" or "cancelled"."""
    with transaction.atomic(durable=True):
        invoice = lock_invoice(invoice_id, skip_locked=True)
        if invoice is None:
            return "skipped"
        # Another worker may have been here between the list and the lock.
        attempt = (
            PaymentAttempt.objects.select_related("payment_method")
            .select_for_update(of=("self",), no_key=True)
            .filter(pk=attempt_id, status=AttemptStatus.PLANNED, scheduled_for__lte=now)
            .first()
        )
        if attempt is None or invoice.attempts.filter(status__in=UNRESOLVED).exists():
            return "skipped"
        account = _account(invoice)
        if account is not None and account.paused_until is not None and account.paused_until > now:
            return "skipped"
        refused = _refusal(invoice, account, attempt.origin, now)
        if refused is not None:
            attempt_call_off(invoice, attempt, refused.reason, RetryState.STOPPED, now)
            return AttemptStatus.CANCELLED.value
        again = None
        if attempt.payment_method is None or not usable(attempt.payment_method):
            again = "The payment method can no longer be charged."
        elif invoice.retry_not_before is not None and invoice.retry_not_before > now:
            again = "Retries wait for the ladder."
        again = again or limit_reached(invoice, attempt.payment_method, now)
        if again is not None:
            attempt_call_off(invoice, attempt, again, RetryState.NEEDS_PLAN, now)
            return AttemptStatus.CANCELLED.value
        return _begin(invoice, attempt, now)


def _begin(invoice: Invoice, attempt: PaymentAttempt, now: datetime) -> Order:
    """planned → in_flight; from its commit on the charge may have happened."""
    check_transition(TRANSITIONS, what="attempt", source=attempt.status, target=AttemptStatus.IN_FLIGHT)
    attempt.status = AttemptStatus.IN_FLIGHT
    attempt.claimed_at = attempt.at = now
    attempt.amount = invoice.amount_due - invoice.amount_paid - invoice.amount_credited
    attempt.idempotency_key = attempt.idempotency_key or new_key()
    attempt.save(update_fields=["status", "claimed_at", "at", "amount", "idempotency_key"])
    return order_of(attempt, invoice)


def execute(order: Order, now: datetime) -> AttemptOutcome:
    """Calls the processor for a claimed charge and records what it says. No transaction may be open."""
    try:
        result = pay(order)
    except GatewayError as error:
        return _record_error(order, error, now)
    breaker.processor_answered(source=order.source)
    return record_result(order, result, now)


def pay(order: Order) -> ChargeResult:
    """The call an order stands for; repeating it under its key can never charge twice. Raises GatewayError."""
    return gateway_for(order.source).pay_invoice(
        invoice_id=order.invoice,
        payment_method_id=order.method,
        idempotency_key=order.key,
        # Only in the portal is the customer there to answer a question of the bank.
        off_session=order.origin != AttemptOrigin.PORTAL,
    )


def record_result(order: Order, result: ChargeResult, now: datetime) -> AttemptOutcome:
    """Records an answer of the processor on a claimed attempt."""
    if result.status == ChargeStatus.NOTHING_DUE:
        return claimed_call_off(order, "Nothing was left to pay at the processor.", RetryState.NONE, now)
    if result.status == ChargeStatus.PROCESSING:
        return mark_unknown(order, "The bank has not answered yet.", now + ASK_PROCESSING_AFTER, now)
    fact = ChargeFact(
        charge_id=result.charge_id,
        succeeded=result.status == ChargeStatus.SUCCEEDED,
        amount=result.amount or order.amount,
        currency=result.currency or order.currency,
        at=result.at,
        payment_method_id=order.method_id,
        decline_code=result.decline_code,
        network_decline_code=result.network_decline_code,
        advice_code=result.advice_code,
        network_advice_code=result.network_advice_code,
        message=result.message,
        method_type=result.method_type,
    )
    recorded = charge_record(invoice_id=order.invoice_id, fact=fact, now=now, attempt_id=order.attempt_id)
    if fact.succeeded:
        return AttemptOutcome(recorded.attempt_id, recorded.status, message_key="paid", external_id=fact.charge_id)
    return AttemptOutcome(
        recorded.attempt_id,
        recorded.status,
        decline_category=fact.verdict.category.value,
        message_key=fact.verdict.customer_message_key,
        external_id=fact.charge_id,
        payment_intent_id=result.payment_intent_id,
        needs_customer=result.needs_customer,
    )


def _record_error(order: Order, error: GatewayError, now: datetime) -> AttemptOutcome:
    if error.kind == ErrorKind.UNKNOWN_OUTCOME:
        breaker.processor_failed(source=order.source, now=now)
        return mark_unknown(order, error.message, now + ASK_AFTER, now)
    # From here on it is certain that no charge was made by this call.
    if error.kind == ErrorKind.RATE_LIMITED:
        again_at = breaker.processor_throttled(source=order.source, now=now, retry_after=error.retry_after)
        return claimed_call_off(order, "Not sent: too many requests.", RetryState.PLANNED, now, again_at=again_at)
    if error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.AUTH):
        breaker.processor_failed(source=order.source, now=now)
        reason = f"Not sent: {error.message}"
        return claimed_call_off(order, reason, RetryState.PLANNED, now, again_at=now + AGAIN_AFTER)
    breaker.processor_answered(source=order.source)
    return claimed_call_off(order, f"Refused by the processor: {error.message}", RetryState.STOPPED, now)


def _account(invoice: Invoice) -> ProcessorAccount | None:
    return ProcessorAccount.objects.filter(code=invoice.source).first()


def _refusal(invoice: Invoice, account: ProcessorAccount | None, origin: str, now: datetime) -> Refusal | None:
    promised = Promise.objects.filter(
        customer_id=invoice.customer_id, brand_id=invoice.brand_id, status=Promise.Status.OPEN
    ).exists()
    return refusal(invoice, account=account, promised=promised, origin=origin, now=now)


def still_chargeable(invoice: Invoice, origin: str, now: datetime) -> bool:
    """Whether a charge of this origin would be allowed now; the caller holds the invoice's lock."""
    return _refusal(invoice, _account(invoice), origin, now) is None


def _method(invoice: Invoice, payment_method_id: int | None) -> PaymentMethod:
    stored = PaymentMethod.objects.filter(customer_id=invoice.customer_id, source=invoice.source)
    if payment_method_id is not None:
        chosen = stored.filter(pk=payment_method_id, detached_at__isnull=True).first()
    else:
        chosen = next(iter(methods_for(invoice, stored.filter(is_default=True))), None)
    if chosen is None or not usable(chosen):
        raise SollecitoError("The customer has no payment method that can be charged.", code="no_method")
    return chosen
