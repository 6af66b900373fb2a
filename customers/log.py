"""Writes the communication log: the only way an Interaction comes to be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from customers.models import ActorKind, Direction, Interaction


@dataclass(frozen=True, slots=True)
class Entry:
    """One line to be written; see Interaction for the meaning of each field. `at` is aware UTC."""

    customer_id: int
    at: datetime
    kind: str
    summary: str
    direction: str = Direction.INTERNAL
    channel: str = ""
    actor_kind: str = ActorKind.SYSTEM
    actor_id: int | None = None
    body: str = ""
    outcome: str = ""
    subject: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None


def record(entry: Entry) -> None:
    """Writes one line; a line whose key is there already is left as it was."""
    record_many([entry])


def record_many(entries: Iterable[Entry]) -> None:
    """Writes lines in one statement, in the caller's transaction; repeated keys are passed over."""
    rows = [
        Interaction(
            customer_id=e.customer_id,
            at=e.at,
            kind=e.kind,
            direction=e.direction,
            channel=e.channel,
            actor_kind=e.actor_kind,
            actor_id=e.actor_id,
            summary=e.summary[:500],
            body=e.body,
            outcome=e.outcome,
            subject=e.subject,
            data=dict(e.data),
            key=e.key,
        )
        for e in entries
    ]
    if rows:
        Interaction.objects.bulk_create(rows, ignore_conflicts=True)
