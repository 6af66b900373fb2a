"""Simulations as staff ask for them: asked, claimed by a worker, played outside any transaction, recorded.

Read-only towards the world: nothing but the simulation's own row is written, and nothing is sent.
"""

import logging
import os
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from campaigns.models import LadderVersion, SimulationRun
from campaigns.simulator import arms, ladders, open_cases, past
from campaigns.simulator.compare import compare
from campaigns.simulator.costs import cost_table
from campaigns.simulator.ladders import Candidate
from campaigns.simulator.pack import pack
from campaigns.simulator.run import Simulation, simulate
from campaigns.simulator.types import Life
from customers.errors import SollecitoError
from customers.wake import wake

logger = logging.getLogger(__name__)

TASK = "campaigns.tasks.run_simulations"
#: A worker that gave no sign of life for so long is dead, and the simulation is played anew.
STALE = timedelta(minutes=5)
#: One that was asked for so long ago and whose worker died is given up: it may be what kills them.
GIVEN_UP = timedelta(hours=1)
#: Least seconds of real time between two writes of the progress.
_TICK = 1.0
#: Of each ladder so many simulations are kept.
KEPT = 20
#: Played in so many processes: the loops that write to customers keep a core where there are more.
PROCESSES = min(2, os.cpu_count() or 1)
MOST_CASES = 20_000
MOST_DAYS = 400


def simulation_start(
    *,
    version_id: int,
    source: str,
    now: datetime,
    actor_id: int | None,
    other_version_id: int | None = None,
    cases: int = 200,
    customer_id: int | None = None,
    since: date | None = None,
    upto: date | None = None,
    days: int = 60,
) -> SimulationRun:
    """Asks for a simulation and wakes a worker; oldest ones of the ladder make room.

    `cases` is the most cases (of a past period: customers) played, `days` how far from `now`, or from the end of the
    period. Raises SollecitoError for a version without steps, a second version of another ladder, and for numbers,
    a customer or a period that make no sense.
    """
    version = LadderVersion.objects.filter(pk=version_id).first()
    other = LadderVersion.objects.filter(pk=other_version_id).first() if other_version_id else None
    if version is None or (other_version_id and other is None):
        raise SollecitoError(_("There is no such version."), code="version_missing")
    if other is not None and (other.pk == version.pk or other.ladder_id != version.ladder_id):
        raise SollecitoError(_("Compare two different versions of one ladder."), code="version_other")
    for one in (version, other):
        if one is not None and not one.steps.filter(enabled=True).exists():
            raise SollecitoError(_("A ladder needs at least one step."), code="ladder_empty")
    if not (1 <= cases <= MOST_CASES and 1 <= days <= MOST_DAYS):
        raise SollecitoError(
            _("At most %(cases)d cases and %(days)d days.") % {"cases": MOST_CASES, "days": MOST_DAYS},
            code="too_much",
        )
    if source == SimulationRun.Source.CUSTOMER and customer_id is None:
        raise SollecitoError(_("Name the customer."), code="customer_missing")
    if source == SimulationRun.Source.PAST and (since is None or upto is None or since > upto):
        raise SollecitoError(_("A past period needs its first and last day, in order."), code="period_wrong")
    with transaction.atomic():
        run = SimulationRun.objects.create(
            ladder_id=version.ladder_id,
            version=version,
            other_version=other,
            source=source,
            cases=cases,
            customer_id=customer_id if source == SimulationRun.Source.CUSTOMER else None,
            since=since if source == SimulationRun.Source.PAST else None,
            upto=upto if source == SimulationRun.Source.PAST else None,
            days=days,
            asked_by_id=actor_id,
            created_at=now,
        )
        old = SimulationRun.objects.filter(ladder_id=version.ladder_id).order_by("-id").values_list("id", flat=True)
        SimulationRun.objects.filter(pk__in=list(old[KEPT : KEPT + 100])).delete()
        wake(TASK)
    return run


@dataclass(frozen=True, slots=True)
class SimulationsResult:
    """Counts of one turn."""

    done: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """Simulations played; 0 when none waits."""
        return self.done + self.failed


def simulations_run(*, now: datetime) -> SimulationsResult:
    """Plays the oldest simulation that waits, or that a dead worker left, at `now` (aware UTC). Safe with any number
    of workers."""
    run = _claim(now)
    if run is None:
        return SimulationsResult()
    beat = _Beat(run, now)
    try:
        values = _play(run, now, beat)
    except Exception as error:  # whatever is wrong with it, whoever waits for it must be told
        if not isinstance(error, SollecitoError):
            logger.exception("simulation %s failed", run.pk)
        words = str(error) or type(error).__name__
        beat.finish(status=SimulationRun.Status.FAILED, error=words[:500])
        return SimulationsResult(failed=1)
    beat.finish(status=SimulationRun.Status.DONE, **values)
    return SimulationsResult(done=1)


def _claim(now: datetime) -> SimulationRun | None:
    free = Q(status=SimulationRun.Status.QUEUED) | Q(status=SimulationRun.Status.RUNNING, claimed_at__lt=now - STALE)
    with transaction.atomic():
        SimulationRun.objects.filter(
            status=SimulationRun.Status.RUNNING, claimed_at__lt=now - STALE, created_at__lt=now - GIVEN_UP
        ).update(
            status=SimulationRun.Status.FAILED,
            finished_at=now,
            error=_("Its worker died more than once. Ask for fewer cases or days."),
        )
        run = (
            SimulationRun.objects.filter(free)
            .select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("version__ladder", "other_version__ladder")
            .order_by("id")
            .first()
        )
        if run is not None:
            run.status, run.claimed_at, run.done = SimulationRun.Status.RUNNING, now, 0
            run.save(update_fields=["status", "claimed_at", "done"])
    return run


class _Beat:
    """Writes progress now and then, and the end; only while the claim is this worker's."""

    def __init__(self, run: SimulationRun, now: datetime) -> None:
        self.run = run
        self.now = now
        self.began = self.told = time.monotonic()
        self.offset = 0

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self.told >= _TICK:
            self.told = time.monotonic()
            self._write(done=self.offset + done)

    def finish(self, **values: Any) -> None:
        self._write(finished_at=self._now(), **values)

    def begin(self, **values: Any) -> None:
        self._write(**values)

    def _write(self, **values: Any) -> None:
        mine = SimulationRun.objects.filter(
            pk=self.run.pk, status=SimulationRun.Status.RUNNING, claimed_at=self.run.claimed_at
        )
        self.run.claimed_at = values["claimed_at"] = self._now()
        mine.update(**values)

    def _now(self) -> datetime:
        return self.now + timedelta(seconds=time.monotonic() - self.began)


def _play(run: SimulationRun, now: datetime, beat: _Beat) -> dict[str, Any]:
    versions = [version for version in (run.version, run.other_version) if version is not None]
    candidates = [ladders.of_version(version) for version in versions]
    start, until = now, now + timedelta(days=run.days)
    if run.source == SimulationRun.Source.PAST and run.since is not None and run.upto is not None:
        start, end = past.bounds(run.since, run.upto)
        until = end + timedelta(days=run.days)
    beat.begin(starts_at=start, ends_at=until)
    costs = cost_table()
    played: list[Simulation] = []
    told: list[dict[str, Any]] = []
    for number, (version, candidate) in enumerate(zip(versions, candidates, strict=True)):
        lives, drawn = arms.on_ladder(_lives(run, candidate, now), candidate.spec, now)
        beat.offset = number * len(lives)
        beat.begin(total=len(candidates) * len(lives), done=beat.offset)
        simulation = simulate(
            lives,
            candidate.offers,
            start=start,
            until=until,
            costs=costs,
            ladders=ladders.gone_over_to(candidate),
            processes=PROCESSES,
            progress=beat,
        )
        played.append(simulation)
        told.append(
            {
                "name": str(version),
                "figures": simulation.figures.as_dict(),
                "arms": arms.arm_figures(lives, drawn, simulation, costs),
            }
        )
    result: dict[str, Any] = {"versions": told}
    if len(played) > 1:
        result["comparison"] = compare(lives, played[0].events, played[1].events).as_dict()
    return {
        "result": result,
        "events": pack(lives, [simulation.events for simulation in played]),
        "done": F("total"),
    }


def _lives(run: SimulationRun, candidate: Candidate, now: datetime) -> list[Life]:
    if run.source == SimulationRun.Source.PAST and run.since is not None and run.upto is not None:
        return past.lives(run.since, run.upto, trigger=candidate.trigger, most=run.cases)
    trigger = "" if run.source == SimulationRun.Source.CUSTOMER else candidate.trigger
    ids = open_cases.sample(run.cases, trigger=trigger, customer_id=run.customer_id)
    return open_cases.lives(ids, now, all_set_up=True)
