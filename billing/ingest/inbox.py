"""Owns the receipt of outside events: verify, store once, answer; the work is done later by `process`."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.db import connection

from billing.gateways import GatewayError
from billing.gateways.stripe import verify_webhook
from billing.ingest.facts import handles
from billing.models import InboxEvent
from customers import clock
from customers.errors import SollecitoError
from customers.wake import wake

#: Bytes; Stripe's events are far below it. What is bigger is not read to its end.
MAX_BODY = 1_000_000


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a delivery: `stored` is False for one that was there already."""

    event_id: str
    type: str
    stored: bool
    ignored: bool


def receive(*, source: str, payload: bytes, signature: str, now: datetime) -> Received:
    """Stores one event in the inbox of account `source`, once; calls nobody. `now` is aware UTC.

    Raises SollecitoError (`too_large`, `bad_webhook`) for what is forged, stale or malformed; nothing is then stored.
    The signature's age is measured on the wall clock: it tells how long the delivery took, whatever day is played.
    """
    if len(payload) > MAX_BODY:
        raise SollecitoError("The body is too large.", code="too_large")
    try:
        event = verify_webhook(
            payload,
            signature,
            secrets=settings.STRIPE_WEBHOOK_SECRETS,
            tolerance=settings.STRIPE_WEBHOOK_TOLERANCE,
            now=clock.wall_clock(),
        )
    except GatewayError as error:
        raise SollecitoError(error.message, code="bad_webhook") from error
    return store(source=source, event=event, now=now)


def store(*, source: str, event: dict[str, object], now: datetime) -> Received:
    """Stores a verified event once, and wakes the loop when it is in. Raises SollecitoError if it is no event."""
    event_type, data, created = event.get("type"), event.get("data"), event.get("created")
    obj = data.get("object") if isinstance(data, dict) else None
    if not isinstance(event_type, str) or not isinstance(obj, dict) or not isinstance(created, int):
        raise SollecitoError("The body is not an event.", code="bad_webhook")
    ignored = not handles(event_type)
    event_id = str(event["id"])[:255]
    # One statement, so that a webhook costs one round trip; in a caller's transaction it waits for that commit.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO billing_inboxevent
                (source, event_id, type, object_id, occurred_at, payload, received_at, retry_at, status,
                 attempts, error)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 0, '')
            ON CONFLICT (source, event_id) DO NOTHING
            """,
            [
                source,
                event_id,
                event_type[:100],
                str(obj.get("id") or "")[:255],
                datetime.fromtimestamp(created, UTC),
                json.dumps(event),
                now,
                now,
                InboxEvent.Status.IGNORED if ignored else InboxEvent.Status.PENDING,
            ],
        )
        stored = cursor.rowcount == 1
    if stored and not ignored:
        wake("billing.tasks.process_inbox")
    return Received(event_id=event_id, type=event_type, stored=stored, ignored=ignored)
