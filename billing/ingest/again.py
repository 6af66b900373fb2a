"""Has the inbox look again: at events that failed, at an invoice of which an event may have been lost."""

from collections.abc import Sequence
from datetime import datetime

from billing.ingest.facts import REREAD
from billing.ingest.inbox import store
from billing.models import InboxEvent


def inbox_retry(*, event_ids: Sequence[int], now: datetime) -> int:
    """Makes the failed ones among these events due at `now` (aware UTC), with all their tries; returns how many."""
    return InboxEvent.objects.filter(pk__in=event_ids, status=InboxEvent.Status.FAILED).update(
        status=InboxEvent.Status.PENDING, retry_at=now, claimed_at=None, attempts=0
    )


def invoice_look_again(*, source: str, external_id: str, now: datetime) -> None:
    """Has the invoice read from the processor once `now` (aware UTC) has come, by an event of our own."""
    stamp = int(now.timestamp())
    store(
        source=source,
        event={
            "id": f"{REREAD}:{external_id}:{stamp}",
            "type": REREAD,
            "created": stamp,
            "data": {"object": {"id": external_id, "object": "invoice"}},
        },
        now=now,
    )
