"""Writes the communication log: the only way an Interaction comes to be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from customers.models import ActorKind, Direction


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


_COLUMNS = (
    "customer_id", "at", "kind", "direction", "channel", "actor_kind", "actor_id", "summary", "body", "outcome",
    "subject", "data",
)  # fmt: skip
_encode = DjangoJSONEncoder().encode
_COPY = f"COPY customers_interaction ({', '.join(_COLUMNS)}) FROM STDIN"
# Plain SQL: composing it by the ORM costs more than running it, and it is the most frequent write there is.
_INSERT = f"""
    INSERT INTO customers_interaction ({", ".join(_COLUMNS)}, key)
    SELECT {", ".join(_COLUMNS)}, key
      FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
                  %s::text[], %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::text[])
           AS u({", ".join(_COLUMNS)}, key)
        ON CONFLICT DO NOTHING
"""


def record_many(entries: Iterable[Entry]) -> None:
    """Writes lines in the caller's transaction, two statements at most; repeated keys are passed over."""
    plain: list[Entry] = []
    keyed: list[Entry] = []
    for entry in entries:
        (keyed if entry.key else plain).append(entry)
    if plain:
        # The loops write thousands of lines at a time; COPY takes a third of an INSERT's time, but knows no
        # ON CONFLICT.
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for e in plain:
                copy.write_row(_row(e))
    if keyed:
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, [list(column) for column in zip(*map(_keyed_row, keyed), strict=True)])


def _row(e: Entry) -> tuple[Any, ...]:
    return (
        e.customer_id, e.at, e.kind, str(e.direction), str(e.channel), str(e.actor_kind), e.actor_id,
        e.summary[:500], e.body, e.outcome, e.subject, _encode(e.data),
    )  # fmt: skip


def _keyed_row(e: Entry) -> tuple[Any, ...]:
    return (*_row(e), e.key)
