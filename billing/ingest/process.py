"""Owns the ingest loop: claims waiting events, writes their facts per customer, keeps what failed for another try.

A claim pushes `retry_at` forward by a lease: a worker that dies leaves nothing behind that must be swept, its
events simply fall due again. Facts are idempotent, so working an event twice is harmless; at least once it is.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from billing.gateways import GatewayError
from billing.ingest.again import invoice_look_again
from billing.ingest.coalesce import links_told, worth_telling
from billing.ingest.facts import Unit, apply_event, customer_of
from billing.ingest.reread import prefetch, run_unit
from billing.models import InboxEvent, ProcessorAccount

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
#: Tries of an event that fails by itself; one that waits for the processor to answer is tried for ever.
MAX_ATTEMPTS = 8
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """Counts of one batch; `claimed` 0 means that nothing was due."""

    claimed: int = 0
    done: int = 0
    failed: int = 0


def process_inbox(*, now: datetime, limit: int = 100) -> ProcessResult:
    """Works one batch of events due at `now` (aware UTC). Safe with any number of workers; never raises for one event.

    Events of one customer are worked together in one transaction. If that fails, each is tried alone, so that a bad
    one keeps its error and its neighbours go through.
    """
    events = _claim(now, limit)
    if not events:
        return ProcessResult()
    accounts = {a.code: a for a in ProcessorAccount.objects.filter(code__in={e.source for e in events})}
    groups: dict[tuple[str, str], list[InboxEvent]] = defaultdict(list)
    links: dict[str, dict[str, str]] = {code: {} for code in accounts}
    failed = 0
    for event in events:
        try:
            holder, told = customer_of(event.payload), links_told([event.payload])
        except Exception as error:
            # Not of the shape of an event: it must not take the batch with it, which would come back the same.
            logger.exception("event %s (%s) cannot be read", event.event_id, event.type)
            _keep(event, now, f"{type(error).__name__}: {error}", counts=True)
            failed += 1
            continue
        # Those that name no customer only say which invoice a payment is for: one statement writes them all.
        together = "" if event.type.startswith("invoice_payment.") else event.event_id
        groups[event.source, holder or together].append(event)
        links.setdefault(event.source, {}).update(told)
    for (source, _customer), group in groups.items():
        group.sort(key=lambda e: (e.occurred_at, e.pk))
        account = accounts.get(source)
        if account is None:
            failed += len(group)
            for event in group:
                _keep(event, now, f"There is no processor account {source!r}.", counts=True)
        else:
            failed += _work(account, group, links[source], now)
    return ProcessResult(claimed=len(events), done=len(events) - failed, failed=failed)


_DONE = "UPDATE billing_inboxevent SET status = 'done', processed_at = %s, error = '' WHERE id = ANY(%s)"
_CLAIM = """
    UPDATE billing_inboxevent SET claimed_at = %(now)s, retry_at = %(lease)s, attempts = attempts + 1
     WHERE id IN (
           SELECT id FROM billing_inboxevent
            WHERE status = 'pending' AND retry_at <= %(now)s
            ORDER BY retry_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
     ) RETURNING *
"""


def _claim(now: datetime, limit: int) -> list[InboxEvent]:
    claimed = InboxEvent.objects.raw(_CLAIM, {"now": now, "lease": now + LEASE, "limit": limit})
    return sorted(claimed, key=lambda event: event.pk)


def _work(account: ProcessorAccount, group: list[InboxEvent], links: dict[str, str], now: datetime) -> int:
    """Writes the facts of a group; returns how many of its events failed."""
    try:
        telling = worth_telling(account.code, [event.payload for event in group], links)

        def work(unit: Unit) -> None:
            unit.links.update(telling.links)
            for payload in telling.events:
                apply_event(unit, payload)
            with connection.cursor() as cursor:
                cursor.execute(_DONE, [now, [event.pk for event in group]])

        _unit, put_off = run_unit(account, now, work, fetched=prefetch(account.code, telling.needs))
    except Exception as error:
        if len(group) > 1:
            return sum(_work(account, [event], links, now) for event in group)
        waits = isinstance(error, GatewayError) and not error.permanent
        log = logger.warning if waits else logger.exception
        log("event %s (%s) failed: %s", group[0].event_id, group[0].type, error)
        _keep(group[0], now, f"{type(error).__name__}: {error}", counts=not waits)
        return 1
    for _kind, external_id in put_off:
        if external_id.startswith("in_"):
            invoice_look_again(source=account.code, external_id=external_id, now=now + FIRST_PAUSE)
    return 0


def _keep(event: InboxEvent, now: datetime, error: str, *, counts: bool) -> None:
    """Keeps a failed event for another try, or for people to see once its tries are used up."""
    spent = counts and event.attempts >= MAX_ATTEMPTS
    pause = min(FIRST_PAUSE * 2 ** min(event.attempts - 1, 10), LONGEST_PAUSE)
    InboxEvent.objects.filter(pk=event.pk).update(
        status=InboxEvent.Status.FAILED if spent else InboxEvent.Status.PENDING,
        retry_at=now + pause,
        error=error[:2000],
    )
