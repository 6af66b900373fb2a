"""Owns keeping dj-stripe's copy of Stripe's objects up to date: after our own facts, and never in their way.

The copy is for people to look at and for back-fills; nothing here decides anything. dj-stripe may call Stripe for
what an object points at, so no transaction is open, and only the latest state of each object is written.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from billing.gateways import JSON, GatewayError, gateway_for
from billing.gateways.stripe import library_object
from billing.models import InboxEvent

logger = logging.getLogger(__name__)

#: Stripe's name of an object → dj-stripe's model.
MODELS = {
    "charge": "Charge",
    "customer": "Customer",
    "dispute": "Dispute",
    "invoice": "Invoice",
    "payment_intent": "PaymentIntent",
    "payment_method": "PaymentMethod",
    "price": "Price",
    "product": "Product",
    "refund": "Refund",
    "setup_intent": "SetupIntent",
    "subscription": "Subscription",
}
LEASE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class MirrorResult:
    """Counts of one batch: events looked at, objects written, objects dj-stripe could not take."""

    claimed: int = 0
    synced: int = 0
    failed: int = 0


def mirror_inbox(*, now: datetime, limit: int = 100) -> MirrorResult:
    """Mirrors the objects of one batch of events whose facts are in. `now` is aware UTC. Never raises for one object.

    A failure is recorded on the event and not tried again: the object's next event, or a back-fill, brings it.
    """
    events = _claim(now, limit)
    if not events:
        return MirrorResult()
    errors: dict[int, str] = {}
    latest = _latest(events)
    for event, tied in latest:
        error = _sync(event, tied=tied)
        if error:
            errors[event.pk] = error
    InboxEvent.objects.filter(pk__in=[e.pk for e in events]).update(mirrored_at=now)
    for pk, error in errors.items():
        InboxEvent.objects.filter(pk=pk).update(error=f"Mirror: {error}"[:2000])
    return MirrorResult(claimed=len(events), synced=len(latest) - len(errors), failed=len(errors))


def _claim(now: datetime, limit: int) -> list[InboxEvent]:
    """Events that are done with, oldest first. Two workers that mirror the same object write the same thing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE billing_inboxevent SET claimed_at = %s
            WHERE id IN (
                SELECT id FROM billing_inboxevent
                WHERE mirrored_at IS NULL AND status IN ('done', 'ignored')
                  AND (claimed_at IS NULL OR claimed_at < %s OR processed_at >= claimed_at)
                ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
            ) RETURNING id
            """,
            [now, now - LEASE, limit],
        )
        ids = [row[0] for row in cursor.fetchall()]
    return list(InboxEvent.objects.filter(pk__in=ids).order_by("occurred_at", "pk"))


def _latest(events: Iterable[InboxEvent]) -> list[tuple[InboxEvent, bool]]:
    """Per object the event with the latest stamp, and whether another one has the same stamp."""
    chosen: dict[tuple[str, str], tuple[InboxEvent, bool]] = {}
    for event in events:
        obj = event.payload["data"]["object"]
        if obj.get("object") not in MODELS or not obj.get("id"):
            continue
        key = (obj["object"], obj["id"])
        before = chosen.get(key)
        chosen[key] = (event, before is not None and before[0].occurred_at == event.occurred_at)
    return list(chosen.values())


def _sync(event: InboxEvent, *, tied: bool) -> str:
    """Writes one object; returns what went wrong, "" if nothing did."""
    obj: JSON = event.payload["data"]["object"]
    try:
        if tied:
            # Stamps are whole seconds: of two in one second neither is known to be the later.
            obj = gateway_for(event.source).retrieve(obj["object"], obj["id"])
        mirror_object(obj)
    except GatewayError as error:
        return error.message
    except Exception as error:
        # dj-stripe raises whatever an unexpected shape makes it raise; facts do not depend on it.
        logger.warning("dj-stripe could not take %s %s: %r", obj.get("object"), obj.get("id"), error)
        return f"{type(error).__name__}: {error}"
    return ""


def mirror_object(obj: JSON) -> None:
    """Has dj-stripe write one object as it is in `obj`. Raises what dj-stripe raises."""
    from djstripe import models

    model: Any = getattr(models, MODELS[obj["object"]])
    if obj.get("deleted"):
        model.objects.filter(id=obj["id"]).delete()
    else:
        model.sync_from_stripe_data(library_object(obj), api_key=settings.STRIPE_SECRET_KEY)
