"""The ladder each life goes on: as its segments are written and its arms of the running experiments make it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from campaigns.engine.moving import moved
from campaigns.engine.specs import ladder_specs, published_texts
from campaigns.engine.types import CaseSnapshot, LadderSpec
from campaigns.engine.variants import templates_of, variants_for
from campaigns.experiments.treatment import running, treatments_for
from campaigns.models import ExperimentArm
from campaigns.simulator.figures import figures
from campaigns.simulator.run import Simulation
from campaigns.simulator.types import Costs, Event, Life


@dataclass(frozen=True, slots=True)
class ArmLives:
    """The lives one arm has drawn, by their keys."""

    experiment: str
    arm: str
    keys: frozenset[int]


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """Totals of one arm; see figures.Figures."""

    experiment: str
    arm: str
    lives: int
    opened: int
    reminders: int
    tasks: int
    blocked: int
    recovered: int
    ended: int
    cost: int
    currency: str


def on_ladder(lives: Sequence[Life], spec: LadderSpec, now: datetime) -> tuple[list[Life], list[ArmLives]]:
    """The lives as they go on the ladder `spec`, each with the texts of its segments and as its arms of the
    experiments that run at `now` (aware UTC) make it; and who is in which arm.

    A case that is open is taken onto the ladder. It takes part in a comparison of versions only if it was drawn when
    it opened; everybody else is drawn as they would be. A fixed number of queries.
    """
    trials = running()
    drawn = {arm.version_id for trial in trials for arm in trial.arms if arm.version_id is not None}
    customers = {life.customer_id for life in lives}
    treatments = treatments_for(customers, now, trials)
    texts = published_texts()
    if drawn:
        treatments = replace(treatments, versions=ladder_specs(drawn, texts))
    variants = variants_for(templates_of([spec, *treatments.versions.values()]), customers, now)
    silent = {arm.id for trial in trials for arm in trial.arms if not arm.retries}
    found: dict[int, set[int]] = defaultdict(set)
    treated = []
    for life in lives:
        made, arms = treatments.foreseen(
            spec,
            life.customer_id,
            opens=life.case is None,
            written=partial(variants.ladder, customer_id=life.customer_id, texts=texts),
        )
        for arm in arms:
            found[arm].add(life.key)
        if life.case is not None:
            life = _on(life, life.case, made, now)
        elif made is not spec:
            life = replace(life, ladder=made)
        if silent.intersection(arms):
            life = replace(life, bills=tuple(bill._replace(retry=None, retry_at=None) for bill in life.bills))
        treated.append(life)
    names = ExperimentArm.objects.filter(pk__in=found).order_by("experiment", "position", "id")
    told = [
        ArmLives(experiment, arm, frozenset(found[pk]))
        for pk, experiment, arm in (names.values_list("pk", "experiment__name", "name") if found else ())
    ]
    return treated, told


def _on(life: Life, case: CaseSnapshot, ladder: LadderSpec, now: datetime) -> Life:
    """The life with its case moved to `ladder`; itself if that is the one it follows."""
    if ladder.version_id == case.ladder.version_id and ladder.steps == case.ladder.steps:
        return life
    return replace(life, case=moved(case, ladder, now), next_action_at=None)


def arm_figures(
    lives: Sequence[Life], arms: Sequence[ArmLives], simulation: Simulation, costs: Costs
) -> list[dict[str, Any]]:
    """Totals per arm, for JSON, in the order of the arms."""
    events: dict[int, list[Event]] = defaultdict(list)
    for event in simulation.events if arms else ():
        events[event.life].append(event)
    told = []
    for one in arms:
        own = [life for life in lives if life.key in one.keys]
        sums = figures(own, (event for life in own for event in events[life.key]), costs)
        told.append(
            ArmFigures(
                experiment=one.experiment,
                arm=one.arm,
                lives=sums.lives,
                opened=sums.opened,
                reminders=sums.reminders,
                tasks=sums.tasks,
                blocked=sums.blocked,
                recovered=sums.recovered,
                ended=sums.ended,
                cost=sums.cost,
                currency=sums.currency,
            )
        )
    return [asdict(one) for one in told]
