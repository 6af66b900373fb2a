"""Owns the charges whose outcome is unknown: each is resolved before anything else happens to its invoice.

Two ways lead to the truth. While the processor keeps the key (24 hours at Stripe) the identical call is repeated
under it: it gives the stored answer, or, when the first call never arrived, makes the one charge that was meant. When
the invoice may no longer be charged, or the key is old, nothing is repeated: the invoice's charges are read.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from billing import breaker
from billing.attempts import Order, claimed_call_off, mark_unknown, order_of
from billing.charge_path import pay, record_result, still_chargeable
from billing.gateways import ChargeStatus, ErrorKind, GatewayError, gateway_for
from billing.locks import lock_invoice
from billing.matching import ASK_PROCESSING_AFTER, CLOCK_SKEW, UNRESOLVED
from billing.models import AttemptStatus, PaymentAttempt, RetryState
from billing.models.attempt import TRANSITIONS
from customers.errors import check_transition

logger = logging.getLogger(__name__)

#: A claim older than this belongs to a worker that died: a call takes seconds.
DEAD_AFTER = timedelta(minutes=3)
#: Stripe forgets a key after 24 hours; an hour's margin, as a forgotten key would charge anew.
KEY_LIFE = timedelta(hours=23)
#: Until then a call that is not found may still be on its way.
ON_ITS_WAY = timedelta(minutes=10)
SHORTEST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ResolveRun:
    """What a run found out, in attempts; `unknown` ones are asked about again later, `skipped` ones are held."""

    succeeded: int = 0
    declined: int = 0
    cancelled: int = 0
    unknown: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """Questions asked; 0 means that there is nothing to do now."""
        return self.succeeded + self.declined + self.cancelled + self.unknown


#: When a charge `a` (an attempt, a payment of fees) may be asked about: its time has come, or its worker died. Takes
#: now and now - DEAD_AFTER. Plain SQL, because the loop asks every few seconds, mostly in vain.
ASKABLE = """
    ((a.status = 'unknown' AND (a.resolve_at <= %s OR a.resolve_at IS NULL))
     OR (a.status = 'in_flight' AND a.claimed_at <= %s))
"""
_WAITING = f"""
    SELECT a.id, a.invoice_id FROM billing_paymentattempt a
     WHERE {ASKABLE} AND NOT {breaker.PAUSED}
     ORDER BY a.claimed_at, a.id LIMIT %s
"""
_ONE = f"SELECT a.* FROM billing_paymentattempt a WHERE a.id = %s AND {ASKABLE} FOR NO KEY UPDATE"


def resolve_unknown(*, now: datetime, limit: int) -> ResolveRun:
    """Asks about at most `limit` unresolved charges: those whose time has come, and claims of dead workers."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [now, now - DEAD_AFTER, now, limit])
        waiting = cursor.fetchall()
    counts: Counter[str] = Counter()
    for attempt_id, invoice_id in waiting:
        try:
            counts[_resolve(attempt_id, invoice_id, now)] += 1
        except Exception:
            # Its outcome stays unknown and its invoice untouched; those behind it are not to wait for it.
            logger.exception("attempt %s could not be resolved", attempt_id)
            PaymentAttempt.objects.filter(pk=attempt_id, status__in=UNRESOLVED).update(
                status=AttemptStatus.UNKNOWN, resolve_at=now + LONGEST_WAIT
            )
            counts["skipped"] += 1
    return ResolveRun(**{name: counts[name] for name in ("succeeded", "declined", "cancelled", "unknown", "skipped")})


def _resolve(attempt_id: int, invoice_id: int, now: datetime) -> str:
    claimed = _claim(attempt_id, invoice_id, now)
    if claimed is None:
        return "skipped"
    order, repeat = claimed
    try:
        answered = _repeat(order, now) if repeat else None
        if answered is None:
            answered = _read(order, now)
    except GatewayError as error:
        # Whatever this call's error is, it says nothing of the first one: ask again at `resolve_at`.
        breaker.processor_refused(source=order.source, error=error, now=now)
        return AttemptStatus.UNKNOWN.value
    breaker.processor_answered(source=order.source)
    return answered


def _claim(attempt_id: int, invoice_id: int, now: datetime) -> tuple[Order, bool] | None:
    """Takes the question for this worker by putting its next time off; whether the call may be repeated."""
    with transaction.atomic(durable=True):
        invoice = lock_invoice(invoice_id, skip_locked=True)
        if invoice is None:
            return None
        found = PaymentAttempt.objects.raw(_ONE, [attempt_id, now, now - DEAD_AFTER])
        attempt = next(iter(found), None)
        if attempt is None:
            return None
        check_transition(TRANSITIONS, what="attempt", source=attempt.status, target=AttemptStatus.UNKNOWN)
        order = order_of(attempt, invoice)
        age = now - order.claimed_at
        wait = min(max(age, SHORTEST_WAIT), LONGEST_WAIT)
        PaymentAttempt.objects.filter(pk=attempt.pk).update(status=AttemptStatus.UNKNOWN, resolve_at=now + wait)
        repeat = age < KEY_LIFE and bool(order.key and order.method) and still_chargeable(invoice, order.origin, now)
        return order, repeat


def _repeat(order: Order, now: datetime) -> str | None:
    """The identical call under the same key; None when its answer does not settle it and the charges must be read."""
    try:
        result = pay(order)
    except GatewayError as error:
        # A key that stands for another call, an invoice closed since: answers about this call, not the first one.
        if error.kind in (ErrorKind.INVALID, ErrorKind.NOT_FOUND):
            return None
        raise
    if result.status in (ChargeStatus.PROCESSING, ChargeStatus.NOTHING_DUE):
        return None
    return record_result(order, result, now).status


def _read(order: Order, now: datetime) -> str:
    """Finds our charge among those of the invoice, by card and time; none means that none was made."""
    seen = gateway_for(order.source).retrieve_invoice_outcome(order.invoice)
    of_others = set(
        PaymentAttempt.objects.filter(invoice_id=order.invoice_id, external_id__isnull=False)
        .exclude(pk=order.attempt_id)
        .values_list("external_id", flat=True)
    )
    for charge in seen.charges:
        ours = charge.charge_id not in of_others and (not order.method or charge.payment_method == order.method)
        ours = ours and (not order.part or charge.amount == order.amount)
        if not ours or charge.at is None or charge.at < order.claimed_at - CLOCK_SKEW:
            continue
        if charge.status == ChargeStatus.PROCESSING:
            return mark_unknown(order, "The bank has not answered yet.", now + ASK_PROCESSING_AFTER, now).status
        return record_result(order, charge, now).status
    if now - order.claimed_at < ON_ITS_WAY:
        return AttemptStatus.UNKNOWN.value
    return claimed_call_off(order, "The processor made no charge.", RetryState.NEEDS_PLAN, now).status
