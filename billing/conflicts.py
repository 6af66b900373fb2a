"""Owns the knowledge that a processor retries by a schedule of its own while the retries are ours.

Two who charge the same invoice race each other. We stay out of the way of every invoice the processor has planned a
try for, and say so where people look until it ends: the admin's first page and its list of accounts, the log,
`check --database`.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from billing.models import CollectionMethod, Invoice, InvoiceStatus, ProcessorAccount, RetryMode

logger = logging.getLogger(__name__)

_BOTH = Q(status=InvoiceStatus.OPEN, collection_method=CollectionMethod.AUTOMATIC)
_BOTH &= Q(processor_next_attempt_at__isnull=False, processor_attempts__gt=0)


@dataclass(frozen=True, slots=True)
class Conflict:
    """An account whose processor retries `invoices` open invoices, seen first at `since` (aware UTC)."""

    account_id: int
    name: str
    since: datetime
    invoices: int


def conflict_seen(sources: Iterable[str], *, now: datetime) -> None:
    """Notes that the processors of these accounts retry although we are to; the first sighting stays."""
    new = list(
        ProcessorAccount.objects.filter(code__in=set(sources), schedule_conflict_at__isnull=True).order_by("code")
    )
    for account in new:
        logger.error(
            "account %s: the processor's own retry schedule is on while we own the retries; its invoices are left "
            "to it until one of the two is switched off",
            account.code,
        )
    ProcessorAccount.objects.filter(pk__in=[account.pk for account in new]).update(schedule_conflict_at=now)


def conflict_settle(account: ProcessorAccount) -> bool:
    """Takes the note back when no open invoice is retried by both any more; returns whether it did."""
    if account.schedule_conflict_at is None or _retried_by_both(account).exists():
        return False
    ProcessorAccount.objects.filter(pk=account.pk).update(schedule_conflict_at=None)
    account.schedule_conflict_at = None
    logger.warning("account %s: the processor has no retries of its own planned any more", account.code)
    return True


def conflicts() -> list[Conflict]:
    """Accounts with a conflict now, oldest first; one query."""
    tries = Invoice.objects.filter(_BOTH, source=OuterRef("code")).order_by().values("source")
    count = tries.annotate(n=Count("pk")).values("n")
    rows = (
        ProcessorAccount.objects.filter(schedule_conflict_at__isnull=False)
        .exclude(retry_mode=RetryMode.OBSERVE)
        .annotate(invoices=Subquery(count))
        .order_by("schedule_conflict_at", "code")
        .values_list("pk", "name", "schedule_conflict_at", "invoices")
    )
    return [Conflict(pk, name, since, invoices or 0) for pk, name, since, invoices in rows if since is not None]


def _retried_by_both(account: ProcessorAccount) -> QuerySet[Invoice]:
    planned = Invoice.objects.filter(_BOTH, source=account.code)
    if account.retry_mode == RetryMode.OBSERVE:
        return planned.none()
    if account.retry_mode == RetryMode.TAKE_OVER:
        # The first tries are the processor's by agreement.
        return planned.filter(processor_attempts__gte=account.take_over_after)
    return planned
