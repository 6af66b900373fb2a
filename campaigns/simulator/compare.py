"""Two simulations of the same lives side by side: who is treated differently, and where it begins. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from campaigns.guard.zones import zone
from campaigns.simulator.types import Event, Kind, Life

#: Differences told of in full; the others are counted.
SHOWN = 100
#: What makes no difference to anybody: the charges run by their own rules, the facts are the same.
_ASIDE = frozenset({Kind.RETRY, Kind.PAID, Kind.DEFERRED})


@dataclass(frozen=True, slots=True)
class Difference:
    """The first event of a life that is not the same in both; None where one of them has none."""

    life: int
    label: str
    first: Mapping[str, str] | None
    second: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many lives go the same way, how many do not, and the first of those."""

    same: int
    different: int
    shown: Sequence[Difference]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compare(lives: Sequence[Life], first: Iterable[Event], second: Iterable[Event]) -> Comparison:
    """What differs between two simulations of `lives`, by life. Charges, payments and deferrals are left aside."""
    ours, theirs = _by_life(first), _by_life(second)
    shown: list[Difference] = []
    same = different = 0
    for life in lives:
        apart = next(
            (
                pair
                for pair in zip_longest(ours.get(life.key, ()), theirs.get(life.key, ()))
                if _what(pair[0]) != _what(pair[1])
            ),
            None,
        )
        if apart is None:
            same += 1
            continue
        different += 1
        if len(shown) < SHOWN:
            shown.append(Difference(life.key, life.label, _words(apart[0]), _words(apart[1])))
    return Comparison(same, different, shown)


def _by_life(events: Iterable[Event]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {}
    for event in events:
        if event.kind not in _ASIDE:
            found.setdefault(event.life, []).append(event)
    return found


def _what(event: Event | None) -> tuple[object, ...] | None:
    return None if event is None else (event.at, event.kind, event.name, event.channel, event.template_id)


def _words(event: Event | None) -> dict[str, str] | None:
    if event is None:
        return None
    local = event.at.astimezone(zone(event.zone))
    return {
        "at": f"{local:%Y-%m-%d %H:%M}",
        "kind": event.kind,
        "name": event.name,
        "channel": event.channel,
        "rule": event.rule,
    }
