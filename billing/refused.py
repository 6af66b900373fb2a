"""Owns what a charge teaches that the processor refused for its form: the method is gone, or the invoice has changed.

No charge was made. What the processor knows and we do not is asked for, so that a lost event leaves no invoice behind.
"""

from datetime import datetime

from billing.attempts import AttemptOutcome, Order, claimed_call_off
from billing.gateways import ErrorKind, GatewayError, gateway_for
from billing.ingest.again import invoice_look_again
from billing.models import PaymentMethod, RetryState


def refused_record(order: Order, error: GatewayError, now: datetime) -> AttemptOutcome:
    """Ends a claimed charge that was refused. On a removed method it is planned anew, else the retries stop."""
    if _method_gone(order, now):
        return claimed_call_off(order, "The payment method was removed at the processor.", RetryState.NEEDS_PLAN, now)
    invoice_look_again(source=order.source, external_id=order.invoice, now=now)
    return claimed_call_off(order, f"Refused by the processor: {error.message}", RetryState.STOPPED, now)


def _method_gone(order: Order, now: datetime) -> bool:
    """Whether the charge's method belongs to nobody any more; it is then marked so, as its event would have."""
    try:
        gone = gateway_for(order.source).retrieve("payment_method", order.method).get("customer") is None
    except GatewayError as error:
        gone = error.kind == ErrorKind.NOT_FOUND
    if gone and order.method_id is not None:
        PaymentMethod.objects.filter(pk=order.method_id, detached_at__isnull=True).update(detached_at=now)
    return gone
