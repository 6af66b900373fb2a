"""What others ask of the retry loop: to hold still for a while, and to go on."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from billing.models import AttemptStatus, CollectionMethod, Invoice, InvoiceStatus, PaymentAttempt, RetryState
from billing.outcomes import UNRESOLVED
from customers import log
from customers.models import Customer
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


def _lock(invoice_ids: Iterable[int]) -> list[Invoice]:
    """Locks customers, then invoices, each by id (see billing.locks)."""
    ids = sorted(set(invoice_ids))
    owners = Invoice.objects.filter(pk__in=ids).values("customer_id")
    list(Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    return list(Invoice.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True))
