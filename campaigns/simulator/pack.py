"""Keeps the events of a simulation small: by column, words once, compressed. A hundred thousand take a megabyte."""

import json
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from campaigns.simulator.types import Event, Life

_WORDS = ("zone", "kind", "step", "name", "channel", "rule", "reason")
_MOMENTS = ("at", "until", "scheduled_for")
_PLAIN = ("life", "cost", "days", "template_id", "invoices")
_SCHEMA = 1


def pack(lives: Sequence[Life], runs: Iterable[Sequence[Event]]) -> bytes:
    """The events of one or more simulations of the same lives, each in the order of time, with the lives' names."""
    data = {
        "schema": _SCHEMA,
        "lives": [[life.key, life.label, life.customer_id] for life in lives],
        "bills": [[bill.id, bill.number] for life in lives for bill in life.bills],
        "runs": [_columns(sorted(events, key=lambda event: (event.at, event.life))) for events in runs],
    }
    return zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 6)


def _columns(events: Sequence[Event]) -> dict[str, Any]:
    words: dict[str, int] = {}
    columns: dict[str, list[Any]] = {}
    for name in _WORDS:
        columns[name] = [words.setdefault(getattr(event, name), len(words)) for event in events]
    for name in _MOMENTS:
        columns[name] = [_stamp(getattr(event, name)) for event in events]
    for name in _PLAIN:
        columns[name] = [getattr(event, name) for event in events]
    return {"words": list(words), **columns}


def _stamp(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


class Packed:
    """Reads what `pack` wrote: events are made only where they are asked for."""

    def __init__(self, blob: bytes | memoryview) -> None:
        data = json.loads(zlib.decompress(blob))
        self.labels: dict[int, str] = {key: label for key, label, _customer in data["lives"]}
        self.customers: dict[int, int] = {key: customer for key, _label, customer in data["lives"]}
        self.numbers: dict[int, str] = dict(data["bills"])
        self._runs: list[dict[str, Any]] = data["runs"]

    def count(self, run: int = 0) -> int:
        """Events of one of the simulations."""
        return len(self._runs[run]["life"])

    def places(self, run: int = 0, *, life: int | None = None, kinds: frozenset[str] | None = None) -> Sequence[int]:
        """Numbers of the events, in the order of time; of one life and of some kinds where told."""
        columns = self._runs[run]
        found: Iterable[int] = range(len(columns["life"]))
        if life is not None:
            found = [place for place in found if columns["life"][place] == life]
        if kinds is not None:
            wanted = {number for number, word in enumerate(columns["words"]) if word in kinds}
            found = [place for place in found if columns["kind"][place] in wanted]
        return list(found)

    def event(self, place: int, run: int = 0) -> Event:
        """One event by its number."""
        columns = self._runs[run]
        words = columns["words"]
        values: dict[str, Any] = {name: words[columns[name][place]] for name in _WORDS}
        for name in _MOMENTS:
            stamp = columns[name][place]
            values[name] = None if stamp is None else datetime.fromtimestamp(stamp, UTC)
        values |= {name: columns[name][place] for name in _PLAIN}
        values["invoices"] = tuple(values["invoices"])
        return Event(**values)
