"""What others ask of the retry loop: to hold still for a while, and to go on."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from billing.attempts import planned_data
from billing.matching import UNRESOLVED
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    CollectionMethod,
    Invoice,
    InvoiceStatus,
    PaymentAttempt,
    ProcessorAccount,
    RetryState,
)
from billing.retries.debits import is_debit, not_before
from billing.retries.eligibility import card_country_of, network_of
from billing.retries.loading import debit_notice_of
from customers import log
from customers.models import ActorKind, Customer
from customers.wake import wake


def retries_hold(*, invoice_ids: Iterable[int], until: datetime | None, reason: str, now: datetime) -> int:
    """Has no charge of these invoices run before `until` (aware UTC; None: until `retries_resume`).

    What is planned earlier is called off and, with a date, planned again behind it. A charge under way is not
    touched. Returns the number of charges called off.
    """
    with transaction.atomic():
        invoices = _lock(invoice_ids)
        ids = [invoice.pk for invoice in invoices]
        planned = PaymentAttempt.objects.filter(invoice__in=ids, status=AttemptStatus.PLANNED)
        if until is not None:
            planned = planned.filter(scheduled_for__lt=until)
        held = dict(planned.values_list("id", "invoice_id"))
        PaymentAttempt.objects.filter(pk__in=held).update(
            status=AttemptStatus.CANCELLED, finished_at=now, cancel_reason=reason[:255]
        )
        waiting = Invoice.objects.filter(pk__in=ids)
        if until is not None:
            waiting.update(retry_not_before=until)
            waiting.filter(pk__in=held.values()).update(retry_state=RetryState.NEEDS_PLAN, retry_reason="")
        else:
            waiting.filter(retry_state__in=(RetryState.PLANNED, RetryState.NEEDS_PLAN)).exclude(
                attempts__status__in=UNRESOLVED
            ).update(retry_state=RetryState.STOPPED, retry_reason=reason[:255])
        owners = {invoice.pk: invoice for invoice in invoices}
        log.record_many(
            log.Entry(
                customer_id=owners[invoice_id].customer_id,
                at=now,
                kind="attempt.cancelled",
                summary=f"Charge of {owners[invoice_id]} called off: {reason}",
                subject=f"invoice:{invoice_id}",
                data={"attempt": attempt_id, "claimed": False},
                key=f"attempt:{attempt_id}:cancelled",
            )
            for attempt_id, invoice_id in held.items()
        )
        if held and until is not None:
            wake("billing.tasks.plan_retries")
    return len(held)


def retries_resume(*, invoice_ids: Iterable[int], now: datetime) -> int:
    """Has the next charge of these invoices planned again: a promise, plan, dispute or exclusion has ended.

    Passes over what is not open, was never tried, or has a charge planned or under way. The planner decides anew, so
    one that stopped for good stops again. Returns the number of invoices to be planned.
    """
    with transaction.atomic():
        ids = [invoice.pk for invoice in _lock(invoice_ids)]
        woken = (
            Invoice.objects.filter(
                pk__in=ids,
                status=InvoiceStatus.OPEN,
                collection_method=CollectionMethod.AUTOMATIC,
                first_failed_at__isnull=False,
                retry_state__in=(RetryState.STOPPED, RetryState.NONE),
            )
            .exclude(attempts__status__in=(*UNRESOLVED, AttemptStatus.PLANNED))
            .update(retry_state=RetryState.NEEDS_PLAN, retry_reason="", retry_not_before=None)
        )
        if woken:
            wake("billing.tasks.plan_retries")
    return woken


def retries_hasten(
    *, invoice_ids: Iterable[int], reason: str, now: datetime, actor_id: int | None = None
) -> dict[int, datetime]:
    """Brings the planned charge of these invoices forward to `now` (aware UTC), in the caller's transaction.

    Never before the wait their last declines, their debit scheme or a law impose; the networks' limits are asked again
    when the charge is made. What has stopped, or is not ours to charge, is left alone. Returns the invoices whose
    charge was brought forward with its new moment. The caller need not hold the invoices' locks: only planned rows are
    touched.
    """
    planned = list(
        PaymentAttempt.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("invoice", "payment_method")
        .filter(
            invoice__in=list(invoice_ids),
            status=AttemptStatus.PLANNED,
            origin=AttemptOrigin.RETRY,
            scheduled_for__gt=now,
        )
    )
    declined = PaymentAttempt.objects.filter(
        invoice__in=[attempt.invoice_id for attempt in planned], status=AttemptStatus.DECLINED, at__isnull=False
    )
    waits: dict[int, datetime] = {}
    last: dict[int, datetime] = {}
    for row in declined:
        if row.at is not None:
            waits[row.invoice_id] = max(row.at + row.verdict.retry.wait, waits.get(row.invoice_id, now))
            last[row.invoice_id] = max(row.at, last.get(row.invoice_id, row.at))
    hastened = []
    moments: dict[int, datetime] = {}
    debits = {attempt.invoice.source for attempt in planned if is_debit(network_of(attempt.payment_method))}
    accounts = {row.code: row for row in ProcessorAccount.objects.filter(code__in=debits)}
    for attempt in planned:
        lawful = not_before(
            brand=network_of(attempt.payment_method),
            card_country=card_country_of(attempt.payment_method),
            last=last.get(attempt.invoice_id),
            now=now,
            debit_notice=debit_notice_of(accounts.get(attempt.invoice.source)),
        )
        at = max(lawful, waits.get(attempt.invoice_id, now), attempt.invoice.retry_not_before or now)
        if attempt.scheduled_for is not None and at < attempt.scheduled_for:
            attempt.scheduled_for, attempt.explanation = at, reason[:500]
            hastened.append(attempt)
            moments[attempt.invoice_id] = at
    PaymentAttempt.objects.bulk_update(hastened, ["scheduled_for", "explanation"], batch_size=500)
    log.record_many(
        log.Entry(
            customer_id=attempt.invoice.customer_id,
            at=now,
            kind="attempt.hastened",
            summary=f"Charge of {attempt.invoice} brought forward: {reason}",
            actor_kind=ActorKind.USER if actor_id else ActorKind.SYSTEM,
            actor_id=actor_id,
            subject=f"invoice:{attempt.invoice_id}",
            data=planned_data(attempt),
        )
        for attempt in hastened
    )
    if hastened:
        wake("billing.tasks.charge_due")
    return moments


def _lock(invoice_ids: Iterable[int]) -> list[Invoice]:
    """Locks customers, then invoices, each by id (see billing.locks)."""
    ids = sorted(set(invoice_ids))
    owners = Invoice.objects.filter(pk__in=ids).values("customer_id")
    list(Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    return list(Invoice.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True))
