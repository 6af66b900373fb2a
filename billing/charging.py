"""Owns the charging of invoices: claim, call the processor with no transaction open, record.

Every charge takes this one path, whoever asked for it. The attempt's idempotency key is stored before the call, so
that a charge whose answer is lost is asked about again under the same key (`billing.resolving`) and never made twice.
"""

import logging
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from billing import breaker
from billing.attempts import AttemptOutcome, Order, attempt_call_off, new_key, rules_of
from billing.charge_path import account_of, begin, execute, method_to_charge, refusal_now
from billing.locks import lock_invoice
from billing.matching import UNRESOLVED, next_number
from billing.models import AttemptOrigin, AttemptStatus, PaymentAttempt, RetryState
from billing.resolving import ResolveRun, resolve_unknown
from billing.retries.card import asks_customer, card_lock, limit_reached
from billing.retries.eligibility import usable
from billing.retries.methods import permitted
from billing.settling import planned_cancel
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind

__all__ = ["AttemptOutcome", "ChargeRun", "ResolveRun", "charge_due", "charge_now", "resolve_unknown"]

logger = logging.getLogger(__name__)

#: A run ends after this many seconds, so that no claim of it looks like a dead worker's.
RUN_SECONDS = 60
#: An attempt that cannot be worked at all is looked at again after this, so that it does not stop the others.
POISON = timedelta(hours=1)


# Plain SQL: asked every few seconds, mostly in vain.
_DUE = f"""
    SELECT a.id, a.invoice_id FROM billing_paymentattempt a
     WHERE a.status = 'planned' AND a.scheduled_for <= %s AND NOT {breaker.PAUSED}
     ORDER BY a.scheduled_for, a.id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class ChargeRun:
    """What a run did, in attempts; `skipped` ones are held by another worker or wait for the breaker."""

    succeeded: int = 0
    declined: int = 0
    unknown: int = 0
    cancelled: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """Attempts that moved; 0 means that there is nothing to do now."""
        return self.succeeded + self.declined + self.unknown + self.cancelled


def charge_due(*, now: datetime, limit: int) -> ChargeRun:
    """Charges at most `limit` attempts whose time has come; safe to run in any number of workers."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [now, now, limit])
        due = cursor.fetchall()
    counts: Counter[str] = Counter()
    started = time.monotonic()
    for attempt_id, invoice_id in due:
        try:
            claimed = _claim(attempt_id, invoice_id, now)
            counts[execute(claimed, now).status if isinstance(claimed, Order) else claimed] += 1
        except Exception:
            # Whatever is wrong with one charge, those behind it are not to wait for it.
            logger.exception("attempt %s could not be carried out", attempt_id)
            _put_off(attempt_id, now)
            counts["skipped"] += 1
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
    override: str = "",
) -> AttemptOutcome:
    """Charges an invoice at once in place of what was planned; `origin` is an AttemptOrigin.

    Call it outside of any transaction. Pressed twice it charges once. Raises SollecitoError: `not_collectible`
    (paid, void, disputed, in a plan, no processor …), `in_flight` (a charge is under way or unresolved), `no_method`
    (none stored, or not this customer's), `limit_reached` (the networks' limits bind customers' tries too: some
    networks count those apart, but not all say so; a wait the network asked for binds staff),
    `needs_customer` (only they may, in person: a bank or a law wants their confirmation; asked of staff),
    `processor_unavailable` (calls are paused; try later).

    `override` is staff's reason for charging past such a limit or wait: this one charge, with a line in the log. It
    lifts neither "never again" nor `needs_customer`. Only with `actor_id` and origin STAFF, else `not_allowed`.
    """
    override = override.strip()
    if override and (origin != AttemptOrigin.STAFF or actor_id is None):
        raise SollecitoError("Only a person may charge past a limit.", code="not_allowed")
    with transaction.atomic(durable=True):
        invoice = lock_invoice(invoice_id)
        if invoice is None:
            raise SollecitoError("There is no such invoice.", code="not_collectible")
        if invoice.attempts.filter(status__in=UNRESOLVED).exists():
            raise SollecitoError("A charge of this invoice is under way.", code="in_flight", permanent=False)
        account = account_of(invoice)
        refused = refusal_now(invoice, account, origin, now)
        if refused is not None:
            raise SollecitoError(refused.reason, code="not_collectible")
        method = method_to_charge(invoice, payment_method_id)
        card_lock(method)
        if not usable(method):
            raise SollecitoError("This payment method is not to be charged any more.", code="no_method")
        person = asks_customer(invoice, method, now) if origin == AttemptOrigin.STAFF else None
        if person is not None:
            raise SollecitoError(person, code="needs_customer")
        reached = limit_reached(invoice, method, origin, now, account)
        if reached is not None and not override:
            raise SollecitoError(reached, code="limit_reached", permanent=False)
        if breaker.paused_until(account, now) is not None:
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
            override_reason=override[:500] if reached is not None else "",
        )
        if reached is not None:
            record(
                Entry(
                    customer_id=invoice.customer_id,
                    at=now,
                    kind="limit.overridden",
                    summary=f"Charge of {invoice} made all the same: {reached}",
                    body=override,
                    actor_kind=ActorKind.USER,
                    actor_id=actor_id,
                    subject=f"invoice:{invoice.pk}",
                    data={"attempt": attempt.pk},
                )
            )
        order = begin(invoice, attempt, now)
    return execute(order, now)


def _put_off(attempt_id: int, now: datetime) -> None:
    """Has a charge that breaks its worker come back later; one claimed already is asked about, as any other is."""
    PaymentAttempt.objects.filter(pk=attempt_id, status=AttemptStatus.PLANNED).update(scheduled_for=now + POISON)


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
        account = account_of(invoice)
        if breaker.paused_until(account, now) is not None:
            return "skipped"
        refused = refusal_now(invoice, account, rules_of(attempt), now)
        if refused is not None:
            # Out of its plan an invoice is the planner's again; in it, that comes to nothing to retry.
            state = RetryState.NEEDS_PLAN if attempt.origin == AttemptOrigin.INSTALMENT else RetryState.STOPPED
            attempt_call_off(invoice, attempt, refused.reason, state, now)
            return AttemptStatus.CANCELLED.value
        method, again = attempt.payment_method, None
        if method is not None:
            card_lock(method)
        if method is None or not usable(method):
            again = "The payment method can no longer be charged."
        elif rules_of(attempt) == AttemptOrigin.RETRY and not permitted(invoice, method, account):
            again = "The payment method is no longer one that may be charged automatically."
        elif (
            attempt.origin != AttemptOrigin.INSTALMENT
            and invoice.retry_not_before is not None
            and invoice.retry_not_before > now
        ):
            again = "Retries wait for the ladder."
        else:
            again = limit_reached(invoice, method, rules_of(attempt), now, account)
        if again is not None:
            attempt_call_off(invoice, attempt, again, RetryState.NEEDS_PLAN, now)
            return AttemptStatus.CANCELLED.value
        return begin(invoice, attempt, now)
