"""What a case will do if nobody acts: the simulator's play of that one case, its events told step by step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from campaigns.engine.calendar import in_words
from campaigns.engine.load import Loaded
from campaigns.guard.zones import zone
from campaigns.simulator import open_cases
from campaigns.simulator.play import play
from campaigns.simulator.types import Costs, Event, Kind, Life

HORIZON = timedelta(days=90)
#: What passes over a step without doing it.
PASSED_OVER = frozenset({Kind.SUPERSEDED.value, Kind.SKIPPED.value})


@dataclass(frozen=True, slots=True)
class ForecastStep:
    """One thing the case does, or the end of its ladder (`step` is empty), and what moved it."""

    at: datetime
    #: The local time of the customer in words.
    local: str
    kind: str
    step: str
    name: str
    reason: str
    #: When the step would have acted had no window, charge or guard moved it.
    scheduled_for: datetime | None = None


def forecasts(loaded: Sequence[Loaded], now: datetime, horizon: timedelta = HORIZON) -> dict[int, list[ForecastStep]]:
    """By case what it does from `now` (aware UTC) within `horizon`, of cases as they stood at `now`; in a fixed number
    of queries for any number of them."""
    return {life.key: foreseen(life, now, horizon) for life in open_cases.lives_of(loaded, now)}


def foreseen(life: Life, now: datetime, horizon: timedelta = HORIZON) -> list[ForecastStep]:
    """What the case of `life` does from `now` (aware UTC) within `horizon`, up to where a person is asked. Pure; see
    play for what is assumed."""
    return list(_told(play(life, (), start=now, until=now + horizon, costs=Costs())))


def _told(events: list[Event]) -> Iterator[ForecastStep]:
    moved: dict[str, list[str]] = {}
    for event in events:
        if event.kind == Kind.TASK and not event.step:
            return  # it stays where it is until a person has acted
        if event.kind == Kind.DEFERRED:
            reasons = moved.setdefault(event.step, [])
            if event.reason not in reasons:
                reasons.append(event.reason)
        elif event.step:
            yield _step(event, event.name, " ".join((*moved.get(event.step, ()), event.reason)).strip())
        elif event.kind == Kind.ENDED:
            yield _step(event, _("The ladder ends; the case is lost."), event.reason)
        if event.kind == Kind.BLOCKED:
            return


def _step(event: Event, name: str, reason: str) -> ForecastStep:
    local = in_words(event.at, zone(event.zone))
    return ForecastStep(event.at, local, event.kind, event.step, name, reason, event.scheduled_for)
