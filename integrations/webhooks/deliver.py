"""Owns telling until it is heard: claim, call with no transaction open, note the outcome, again later if need be.

At least once: a worker that dies after the call leaves the row claimed, and when the claim runs out it is told again
under the same event id, by which the receiver knows it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from customers.errors import SollecitoError
from integrations.models import Endpoint, EventDelivery
from integrations.webhooks.send import NotHeard, tell

#: A claim: longer than any call may take.
LEASE = timedelta(minutes=5)
#: Waits after the first, second … failure; after the last it is given up. Two and a half days in all.
BACKOFF = (
    timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2),
    timedelta(hours=6), timedelta(hours=12), timedelta(hours=24), timedelta(hours=24),
)  # fmt: skip
MAX_TRIES = len(BACKOFF) + 1
#: Where an endpoint's beginning is noted for each source of events.
_BEGAN = {"log": "began_interaction", "task": "began_task"}


@dataclass(frozen=True, slots=True)
class DeliverEventsResult:
    """What became of one batch."""

    claimed: int = 0
    delivered: int = 0
    retried: int = 0
    failed: int = 0


def deliver_events(*, now: datetime, limit: int = 20) -> DeliverEventsResult:
    """Tells up to `limit` due events. Safe with any number of workers; one deaf endpoint does not stop the others."""
    with transaction.atomic():
        rows = list(
            EventDelivery.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(status=EventDelivery.Status.WAITING, next_at__lte=now, endpoint__active=True)
            .select_related("endpoint")
            .order_by("next_at", "id")[:limit]
        )
        ids = [row.pk for row in rows]
        EventDelivery.objects.filter(pk__in=ids).update(next_at=now + LEASE, attempts=F("attempts") + 1)
    delivered = retried = failed = 0
    deaf: set[int] = set()
    for row in rows:
        row.attempts += 1
        if row.endpoint_id in deaf:
            # It did not hear a moment ago: this one waits, and the try does not count.
            _put_back(row, now)
            retried += 1
            continue
        try:
            tell(row, now)
        except NotHeard as error:
            deaf.add(row.endpoint_id)
            failed += _not_heard(row, error.message, now)
            retried += row.status == EventDelivery.Status.WAITING
            continue
        EventDelivery.objects.filter(pk=row.pk).update(
            status=EventDelivery.Status.DELIVERED, delivered_at=now, next_at=None, error=""
        )
        delivered += 1
    return DeliverEventsResult(len(rows), delivered, retried, failed)


def _put_back(row: EventDelivery, now: datetime) -> None:
    EventDelivery.objects.filter(pk=row.pk).update(next_at=now + BACKOFF[0], attempts=F("attempts") - 1)


def _not_heard(row: EventDelivery, why: str, now: datetime) -> bool:
    over = row.attempts >= MAX_TRIES
    row.status = EventDelivery.Status.FAILED if over else EventDelivery.Status.WAITING
    row.next_at = None if over else now + BACKOFF[row.attempts - 1]
    row.error = why[:500]
    row.save(update_fields=["status", "next_at", "error"])
    return over


def event_again(*, delivery_id: int, now: datetime) -> EventDelivery:
    """Tells an event that was given up once more, as a person's decision. Raises SollecitoError for any other."""
    with transaction.atomic():
        row = EventDelivery.objects.select_for_update().filter(pk=delivery_id).first()
        if row is None or row.status != EventDelivery.Status.FAILED:
            raise SollecitoError(_("Only what was given up can be told again."), code="not_given_up")
        row.status, row.next_at, row.attempts = EventDelivery.Status.WAITING, now, 0
        row.save(update_fields=["status", "next_at", "attempts"])
    return row


def events_purge(*, now: datetime, keep_days: int = 30, limit: int = 5000) -> int:
    """Drops up to `limit` events told or given up more than `keep_days` ago; returns how many.

    Their lines lie behind the endpoint's beginning from then on, else a look back would find and tell them anew.
    """
    over = EventDelivery.objects.filter(created_at__lt=now - timedelta(days=keep_days)).exclude(
        status=EventDelivery.Status.WAITING
    )
    rows = list(over.order_by("id").values_list("pk", "endpoint_id", "event_id")[:limit])
    newest: dict[tuple[int, str], int] = {}
    for _pk, endpoint_id, event_id in rows:
        source, _colon, told = event_id.partition(":")
        if source in _BEGAN and told.isdecimal():
            newest[endpoint_id, source] = max(newest.get((endpoint_id, source), 0), int(told))
    with transaction.atomic():
        for (endpoint_id, source), number in newest.items():
            name = _BEGAN[source]
            Endpoint.objects.filter(pk=endpoint_id).update(**{name: Greatest(F(name), Value(number))})
        EventDelivery.objects.filter(pk__in=[pk for pk, _endpoint, _event in rows]).delete()
    return len(rows)
