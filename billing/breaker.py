"""Owns the circuit breaker of an account: after several failed calls in a row nobody calls for a while.

A decline is an answer and counts as success; what counts is a processor that cannot be reached, refuses our key or
answers with its own errors. The state is on ProcessorAccount, so that all processes see it and staff too.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from billing.gateways.base import ErrorKind, GatewayError
from billing.models import ProcessorAccount

logger = logging.getLogger(__name__)

FAILURES_TO_OPEN = 5
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
#: Where a processor says "too many requests" without saying for how long.
DEFAULT_RETRY_AFTER = timedelta(seconds=1)
#: And where it says a time in which no retry would ever be made: a mistake of a proxy must not stop an account.
LONGEST_RETRY_AFTER = timedelta(hours=1)


#: SQL condition: calls to the account of attempt `a` pause. Takes the moment (aware UTC) as its parameter.
PAUSED = """EXISTS (
    SELECT FROM billing_invoice i JOIN billing_processoraccount p ON p.code = i.source
     WHERE i.id = a.invoice_id AND p.paused_until > %s
)"""


_ANSWERED = """
    UPDATE billing_processoraccount SET consecutive_failures = 0, paused_until = NULL
     WHERE code = %s AND (consecutive_failures > 0 OR paused_until IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Silence:
    """An account whose last `failures` calls failed; it is not called before `until` (aware UTC)."""

    account_id: int
    name: str
    failures: int
    until: datetime


def silences() -> list[Silence]:
    """Accounts whose breaker is open, or was and has not been proved well since, by name; one query."""
    rows = (
        ProcessorAccount.objects.filter(consecutive_failures__gte=FAILURES_TO_OPEN, paused_until__isnull=False)
        .order_by("name", "pk")
        .values_list("pk", "name", "consecutive_failures", "paused_until")
    )
    return [Silence(pk, name, failures, until) for pk, name, failures, until in rows if until is not None]


def paused_until(account: ProcessorAccount | None, now: datetime) -> datetime | None:
    """Until when calls to the account pause (UTC); None where they go on, and without an account."""
    until = account.paused_until if account is not None else None
    return until if until is not None and until > now else None


def processor_answered(*, source: str) -> None:
    """Closes the breaker: the processor gave an answer. Writes only where there is something to reset."""
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERED, [source])


def processor_failed(*, source: str, now: datetime) -> None:
    """Counts a failed call; from the fifth in a row on calls pause, twice as long each time, 15 minutes at most."""
    with transaction.atomic():
        account = ProcessorAccount.objects.select_for_update().filter(code=source).first()
        if account is None:
            return
        failures = account.consecutive_failures + 1
        paused_until = account.paused_until
        if failures >= FAILURES_TO_OPEN:
            doublings = min(failures - FAILURES_TO_OPEN, 10)
            paused_until = now + min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
            logger.warning("Calls to %s pause until %s: %d failed in a row.", source, paused_until, failures)
        ProcessorAccount.objects.filter(pk=account.pk).update(consecutive_failures=failures, paused_until=paused_until)


def processor_throttled(*, source: str, now: datetime, retry_after: float | None) -> datetime:
    """Honours "too many requests": no calls for `retry_after` seconds, an hour at most; returns their end (UTC)."""
    pause = min(retry_after, LONGEST_RETRY_AFTER.total_seconds()) if retry_after else 0
    until = now + (timedelta(seconds=pause) or DEFAULT_RETRY_AFTER)
    ProcessorAccount.objects.filter(Q(paused_until__isnull=True) | Q(paused_until__lt=until), code=source).update(
        paused_until=until
    )
    return until


def processor_refused(*, source: str, error: GatewayError, now: datetime) -> None:
    """Counts the error of a call that was only asking, or that repeated an earlier one under its key."""
    if error.kind == ErrorKind.RATE_LIMITED:
        processor_throttled(source=source, now=now, retry_after=error.retry_after)
    elif not error.permanent or error.kind == ErrorKind.AUTH:
        processor_failed(source=source, now=now)
