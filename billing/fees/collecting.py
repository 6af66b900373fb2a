"""Owns the charge of open fees that their payer pressed for: claim, call with no transaction open, record.

Never part of a retry, and only for fees whose invoice is paid. A fee is looked at again under the customer's lock: one
that was waived, paid, disputed or has grown since the payer saw it is not charged. From the claim on nothing else
happens to it until the outcome is known; a lost answer is asked for as those of invoices are (billing.resolving).
"""

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q

from billing import breaker
from billing.charge_path import ASK_AFTER
from billing.fees.owed import Owed, fees_owed_by
from billing.fees.reopening import fees_reopen
from billing.gateways import ChargeResult, ChargeStatus, ErrorKind, GatewayError, gateway_for, is_chargeable
from billing.matching import ASK_PROCESSING_AFTER, CLOCK_SKEW, UNRESOLVED
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    Fee,
    FeePayment,
    Invoice,
    Payment,
    PaymentMethod,
    ProcessorAccount,
)
from billing.money import display
from billing.resolving import ASKABLE, DEAD_AFTER, KEY_LIFE, LONGEST_WAIT, ON_ITS_WAY, SHORTEST_WAIT, ResolveRun
from billing.retries.card import card_lock, limit_reached
from billing.retries.declines import DeclineVerdict, classify
from billing.retries.eligibility import usable
from billing.retries.marks import card_mark
from customers.errors import SollecitoError
from customers.log import Entry, record_many
from customers.models import ActorKind, Customer, Direction
from customers.services import customers_reassess

logger = logging.getLogger(__name__)

_WAITING = f"""
    SELECT a.id FROM billing_feepayment a
     WHERE {ASKABLE}
       AND NOT EXISTS (SELECT FROM billing_processoraccount p WHERE p.code = a.source AND p.paused_until > %s)
     ORDER BY a.claimed_at, a.id LIMIT %s
"""
_ONE = f"SELECT a.* FROM billing_feepayment a WHERE a.id = %s AND {ASKABLE} FOR NO KEY UPDATE SKIP LOCKED"


def fees_pay(
    *, customer_id: int, brand_id: int, expected: Mapping[int, int], payment_method_id: int, key: str, now: datetime
) -> FeePayment:
    """Charges fees to a stored method, once per `key`; `expected` is fee id → minor units as the payer saw them.

    Call it outside of any transaction. The same key again gives the first press's row. Raises SollecitoError:
    `fees_changed` (one is no longer owed, not payable now, of another amount, or they differ in currency),
    `in_flight`, `no_method`, `limit_reached`, `processor_unavailable`.
    """
    with transaction.atomic(durable=True):
        customer = Customer.objects.select_for_update(no_key=True).get(pk=customer_id)
        known = FeePayment.objects.filter(idempotency_key=key, customer=customer).first()
        if known is not None:
            return known
        if customer.fee_payments.filter(status__in=UNRESOLVED).exists():
            raise SollecitoError("A charge of fees is under way.", code="in_flight", permanent=False)
        fees = _as_seen(customer, brand_id, expected)
        method = _method(customer, payment_method_id, fees[0], now)
        payment = FeePayment.objects.create(
            customer=customer,
            source=customer.source,
            payment_method=method,
            idempotency_key=key,
            status=AttemptStatus.IN_FLIGHT,
            amount=sum(fee.amount for fee in fees),
            currency=fees[0].currency,
            claimed_at=now,
        )
        Fee.objects.filter(pk__in=list(expected)).update(payment=payment)
    try:
        result = _charge(payment)
    except GatewayError as error:
        return _record_error(payment, error, now)
    breaker.processor_answered(source=payment.source)
    return _record(payment, result, now)


def fees_resolve(*, now: datetime, limit: int) -> ResolveRun:
    """Asks about at most `limit` charges of fees whose outcome is unknown or whose worker died; any number of workers
    may run it. Those of accounts to which calls pause wait."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [now, now - DEAD_AFTER, now, limit])
        waiting = [pk for (pk,) in cursor.fetchall()]
    counts: Counter[str] = Counter()
    for pk in waiting:
        try:
            counts[_resolve(pk, now)] += 1
        except Exception:
            logger.exception("charge of fees %s could not be resolved", pk)
            counts["skipped"] += 1
    return ResolveRun(**{name: counts[name] for name in ("succeeded", "declined", "cancelled", "unknown", "skipped")})


def _as_seen(customer: Customer, brand_id: int, expected: Mapping[int, int]) -> list[Owed]:
    owed = fees_owed_by(customer_id=customer.pk, brand_id=brand_id)
    fees = [fee for rows in owed.values() for fee in rows if fee.fee_id in expected]
    as_seen = all(fee.payable and fee.amount == expected[fee.fee_id] for fee in fees)
    if not fees or len(fees) != len(expected) or not as_seen or len({fee.currency for fee in fees}) > 1:
        raise SollecitoError("The fees are not what the payer saw.", code="fees_changed")
    return fees


def _method(customer: Customer, method_id: int, fee: Owed, now: datetime) -> PaymentMethod:
    method = customer.payment_methods.filter(pk=method_id, source=customer.source, held_as="").first()
    if method is not None:
        card_lock(method)
    if method is None or not usable(method) or not customer.external_id or not is_chargeable(customer.source):
        raise SollecitoError("The customer has no payment method that can be charged.", code="no_method")
    account = ProcessorAccount.objects.filter(code=customer.source).first()
    reached = limit_reached(Invoice.objects.get(pk=fee.invoice_id), method, AttemptOrigin.PORTAL, now, account)
    if reached is not None:
        raise SollecitoError(reached, code="limit_reached", permanent=False)
    if breaker.paused_until(account, now) is not None:
        raise SollecitoError("The payment processor cannot be reached.", code="processor_unavailable", permanent=False)
    return method


def _charge(payment: FeePayment) -> ChargeResult:
    """The call a claimed row stands for; the same row always gives the same call, as its key demands."""
    method = payment.payment_method
    return gateway_for(payment.source).charge_customer(
        customer_id=payment.customer.external_id or "",
        payment_method_id=(method.external_id or "") if method else "",
        amount=payment.amount,
        currency=payment.currency,
        description="Late fees and interest",
        idempotency_key=payment.idempotency_key,
    )


def _record_error(payment: FeePayment, error: GatewayError, now: datetime) -> FeePayment:
    if error.kind == ErrorKind.UNKNOWN_OUTCOME:
        breaker.processor_failed(source=payment.source, now=now)
        return _unknown(payment, now + ASK_AFTER, error.message)
    # From here on it is certain that no charge was made by this call.
    if error.kind == ErrorKind.RATE_LIMITED:
        breaker.processor_throttled(source=payment.source, now=now, retry_after=error.retry_after)
    elif error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.AUTH):
        breaker.processor_failed(source=payment.source, now=now)
    return _end(payment, AttemptStatus.CANCELLED, now, message=f"Not charged: {error.message}")


def _unknown(payment: FeePayment, ask_at: datetime, message: str) -> FeePayment:
    FeePayment.objects.filter(pk=payment.pk, status__in=UNRESOLVED).update(
        status=AttemptStatus.UNKNOWN, resolve_at=ask_at, message=message[:500]
    )
    payment.refresh_from_db()
    return payment


def _record(payment: FeePayment, result: ChargeResult, now: datetime) -> FeePayment:
    if result.status == ChargeStatus.PROCESSING:
        return _unknown(payment, now + ASK_PROCESSING_AFTER, "The bank has not answered yet.")
    if result.status == ChargeStatus.SUCCEEDED:
        return _end(payment, AttemptStatus.SUCCEEDED, now, external_id=result.charge_id)
    verdict = classify(
        decline_code=result.decline_code,
        network_decline_code=result.network_decline_code,
        advice_code=result.advice_code,
        network_advice_code=result.network_advice_code,
    )
    return _end(
        payment,
        AttemptStatus.DECLINED,
        now,
        external_id=result.charge_id,
        verdict=verdict,
        decline_code=result.decline_code[:60],
        network_decline_code=result.network_decline_code[:20],
        advice_code=result.advice_code[:40],
        network_advice_code=result.network_advice_code[:20],
        decline_category=verdict.category.value,
        message=result.message,
    )


def _end(
    payment: FeePayment, status: AttemptStatus, now: datetime, verdict: DeclineVerdict | None = None, **told: str
) -> FeePayment:
    """Writes an outcome once: fees, payment and log with it. Told again, it changes nothing."""
    told["message"] = told.get("message", "")[:500]
    with transaction.atomic(durable=True):
        Customer.objects.select_for_update(no_key=True).get(pk=payment.customer_id)
        moved = FeePayment.objects.filter(pk=payment.pk, status__in=UNRESOLVED).update(
            status=status, finished_at=now, resolve_at=None, **told
        )
        if moved:
            fees = list(payment.fees.order_by("pk"))
            if status == AttemptStatus.SUCCEEDED:
                _paid(payment, fees, told["external_id"], now)
            elif status == AttemptStatus.DECLINED:
                record_many(_entry(fee, "fee.declined", "Charge declined: {amount}.", payment, now) for fee in fees)
            if verdict is not None and verdict.hard:
                card_mark(payment.payment_method, verdict, payment.claimed_at)
            # Interest stood still meanwhile.
            customers_reassess([payment.customer_id], now)
    payment.refresh_from_db()
    return payment


def _paid(payment: FeePayment, fees: list[Fee], charge_id: str, now: datetime) -> None:
    for fee in fees:
        fee.status, fee.closed_at = Fee.Status.PAID, now
    Fee.objects.bulk_update(fees, ["status", "closed_at"])
    Fee.history.bulk_history_create(fees, update=True)
    # A webhook may have told of the charge first: money for no invoice, as it is, and what went back since.
    money, _made = Payment.objects.get_or_create(
        source=payment.source,
        external_id=charge_id,
        defaults={
            "customer_id": payment.customer_id,
            "amount": payment.amount,
            "currency": payment.currency,
            "received_at": now,
        },
    )
    record_many(_entry(fee, "fee.paid", "Paid on the payment page: {amount}.", payment, now) for fee in fees)
    if money.refunded >= money.amount:
        fees_reopen(source=payment.source, charge_id=charge_id, why="Refunded", now=now)


def _entry(fee: Fee, kind: str, words: str, payment: FeePayment, now: datetime) -> Entry:
    return Entry(
        customer_id=fee.customer_id,
        at=now,
        kind=kind,
        summary=words.format(amount=display(fee.amount, fee.currency)),
        direction=Direction.IN,
        actor_kind=ActorKind.CUSTOMER,
        subject=f"invoice:{fee.invoice_id}",
        data={"fee": fee.pk, "kind": fee.kind, "amount": fee.amount, "currency": fee.currency},
        key=f"{kind}:{payment.pk}:{fee.pk}",
    )


def _resolve(pk: int, now: datetime) -> str:
    with transaction.atomic(durable=True):
        payment = next(iter(FeePayment.objects.raw(_ONE, [pk, now, now - DEAD_AFTER])), None)
        if payment is None:
            return "skipped"
        age = now - payment.claimed_at
        wait = min(max(age, SHORTEST_WAIT), LONGEST_WAIT)
        FeePayment.objects.filter(pk=pk).update(status=AttemptStatus.UNKNOWN, resolve_at=now + wait)
        # Disputed since: what was charged is learnt, but nothing is charged any more.
        disputed = payment.fees.filter(Q(invoice__disputed_at__isnull=False) | Q(invoice__in_plan=True)).exists()
        repeat = age < KEY_LIFE and payment.payment_method is not None and not disputed
    try:
        result = _repeat(payment) if repeat else None
        if result is None:
            result = gateway_for(payment.source).find_customer_charge(
                customer_id=payment.customer.external_id or "",
                idempotency_key=payment.idempotency_key,
                since=payment.claimed_at - CLOCK_SKEW,
            )
    except GatewayError as error:
        # Whatever this call's error is, it says nothing of the first one: ask again at `resolve_at`.
        breaker.processor_refused(source=payment.source, error=error, now=now)
        return AttemptStatus.UNKNOWN.value
    breaker.processor_answered(source=payment.source)
    if result is not None:
        return _record(payment, result, now).status
    if age < ON_ITS_WAY:
        return AttemptStatus.UNKNOWN.value
    return _end(payment, AttemptStatus.CANCELLED, now, message="The processor made no charge.").status


def _repeat(payment: FeePayment) -> ChargeResult | None:
    """The identical call under its key; None when its answer does not settle it."""
    try:
        result = _charge(payment)
    except GatewayError as error:
        if error.kind in (ErrorKind.INVALID, ErrorKind.NOT_FOUND):
            return None
        raise
    return None if result.status == ChargeStatus.PROCESSING else result
