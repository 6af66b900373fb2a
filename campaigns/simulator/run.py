"""Plays many lives, in one process or several; the answer is the same whatever their number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import billiard
from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]

from campaigns.engine.standing import Offer
from campaigns.engine.types import LadderSpec
from campaigns.engine.words import one_language
from campaigns.simulator.figures import Figures, figures
from campaigns.simulator.play import play
from campaigns.simulator.types import Costs, Event, Life
from campaigns.simulator.world import NO_LADDERS

#: Lives handed to a process at once, and told of as progress.
CHUNK = 100
#: Fewer lives are played sooner than a second process is started.
WORTH_A_PROCESS = 500

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What happened, life by life in the order given and each in the order of time, and its totals."""

    events: list[Event]
    figures: Figures


@dataclass(frozen=True, slots=True)
class _Order:
    """What every process is to play; inherited by fork, so that nothing is copied over."""

    lives: Sequence[Life]
    offers: Sequence[Offer]
    start: datetime
    until: datetime
    costs: Costs
    ladders: Mapping[str, LadderSpec]


_order: _Order | None = None


def simulate(
    lives: Sequence[Life],
    offers: Sequence[Offer],
    *,
    start: datetime,
    until: datetime,
    costs: Costs | None = None,
    ladders: Mapping[str, LadderSpec] = NO_LADDERS,
    processes: int = 1,
    progress: Progress = lambda done, total: None,
) -> Simulation:
    """Plays `lives` from `start` to `until` (aware UTC) against the ladders offered; see play for what is assumed.

    `progress` is told how many lives of how many are done.
    """
    global _order
    costs = costs or Costs()
    _order = _Order(lives, offers, start, until, costs, ladders)
    events: list[Event] = []
    starts = range(0, len(lives), CHUNK)
    try:
        if processes > 1 and len(lives) >= WORTH_A_PROCESS:
            # Celery's own multiprocessing: a worker's child is a daemon, and the standard library's lets no daemon
            # have children. It also tells of a child that was killed, where the other one waits for it for ever.
            with billiard.get_context("fork").Pool(processes) as pool:
                waiting = [pool.apply_async(_chunk, (first,)) for first in starts]
                for number, chunk in enumerate(waiting, start=1):
                    try:
                        events += chunk.get()
                    except ExceptionWithTraceback as error:
                        raise error.exc from error
                    progress(min(number * CHUNK, len(lives)), len(lives))
        else:
            for number, first in enumerate(starts, start=1):
                events += _chunk(first)
                progress(min(number * CHUNK, len(lives)), len(lives))
    finally:
        _order = None
    return Simulation(events, figures(lives, events, costs))


def _chunk(first: int) -> list[Event]:
    order = _order
    assert order is not None
    with one_language():
        return [
            event
            for life in order.lives[first : first + CHUNK]
            for event in play(
                life,
                order.offers,
                start=order.start,
                until=order.until,
                costs=order.costs,
                ladders=order.ladders,
            )
        ]
