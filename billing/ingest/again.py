"""Puts inbox events that failed back at the head of the queue, when staff ask for it."""

from collections.abc import Sequence
from datetime import datetime

from billing.models import InboxEvent


def inbox_retry(*, event_ids: Sequence[int], now: datetime) -> int:
    """Makes the failed ones among these events due at `now` (aware UTC), with all their tries; returns how many."""
    return InboxEvent.objects.filter(pk__in=event_ids, status=InboxEvent.Status.FAILED).update(
        status=InboxEvent.Status.PENDING, retry_at=now, claimed_at=None, attempts=0
    )
