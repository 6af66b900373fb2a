"""Owns the path every charge takes once it is allowed: begin, call the processor, record what it says.

No transaction may be open around `execute`; the front door is `billing.charging`.
"""

from datetime import datetime, timedelta

from django.db import connection

from billing import breaker
from billing.attempts import AttemptOutcome, Order, claimed_call_off, mark_unknown, new_key, order_of
from billing.gateways import ChargeResult, ChargeStatus, ErrorKind, GatewayError, gateway_for
from billing.matching import ASK_PROCESSING_AFTER, ChargeFact
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    Invoice,
    PaymentAttempt,
    PaymentMethod,
    ProcessorAccount,
    RetryState,
)
from billing.models.attempt import TRANSITIONS
from billing.outcomes import charge_record
from billing.refused import refused_record
from billing.retries.eligibility import Refusal, methods_for, refusal, usable
from customers.errors import SollecitoError, check_transition
from customers.rows import row

#: First question about an unknown outcome.
ASK_AFTER = timedelta(minutes=1)
#: A retry that was certainly not sent is planned again this much later.
AGAIN_AFTER = timedelta(minutes=5)
_PROMISED = """
    SELECT EXISTS (SELECT FROM billing_promise WHERE customer_id = %s AND brand_id = %s AND status = 'open')
"""


def begin(invoice: Invoice, attempt: PaymentAttempt, now: datetime) -> Order:
    """planned → in_flight; from its commit on the charge may have happened."""
    check_transition(TRANSITIONS, what="attempt", source=attempt.status, target=AttemptStatus.IN_FLIGHT)
    attempt.status = AttemptStatus.IN_FLIGHT
    attempt.claimed_at = attempt.at = now
    left = invoice.amount_due - invoice.amount_paid - invoice.amount_credited
    attempt.amount = min(attempt.amount, left) if attempt.part else left
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
    if order.part:
        return gateway_for(order.source).charge_part(
            invoice_id=order.invoice,
            customer_id=order.customer,
            payment_method_id=order.method,
            amount=order.amount,
            currency=order.currency,
            idempotency_key=order.key,
        )
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
    return refused_record(order, error, now)


def account_of(invoice: Invoice) -> ProcessorAccount | None:
    """The account an invoice comes from; None for one no processor knows."""
    return row(ProcessorAccount, "code = %s", [invoice.source])


def refusal_now(invoice: Invoice, account: ProcessorAccount | None, origin: str, now: datetime) -> Refusal | None:
    """The rule that forbids a charge of this origin now; the caller holds the invoice's lock."""
    with connection.cursor() as cursor:
        cursor.execute(_PROMISED, [invoice.customer_id, invoice.brand_id])
        ((promised,),) = cursor.fetchall()
    return refusal(invoice, account=account, promised=promised, origin=origin, now=now)


def still_chargeable(invoice: Invoice, origin: str, now: datetime) -> bool:
    """Whether a charge of this origin would be allowed now; the caller holds the invoice's lock."""
    return refusal_now(invoice, account_of(invoice), origin, now) is None


def method_to_charge(invoice: Invoice, payment_method_id: int | None) -> PaymentMethod:
    """The method asked for, or the best one stored. Raises SollecitoError (`no_method`)."""
    stored = PaymentMethod.objects.filter(
        customer_id=invoice.customer_id, source=invoice.source, held_as=invoice.held_as
    )
    if payment_method_id is not None:
        chosen = stored.filter(pk=payment_method_id, detached_at__isnull=True).first()
    else:
        chosen = next(iter(methods_for(invoice, stored.filter(is_default=True))), None)
    if chosen is None or not usable(chosen):
        raise SollecitoError("The customer has no payment method that can be charged.", code="no_method")
    return chosen
