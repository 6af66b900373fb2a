"""Gives each case the ladder its arm makes of it, and writes down who met which arm when.

Arms of running experiments act through the ladder's specification: another version, another template or hours in
its steps, or steps that are withheld. Deciding, sending and simulating go on as ever. Without a running experiment
this costs one query a batch.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time

from django.db import connection
from django.utils.translation import gettext as _

from billing.retries.services import retries_hold
from campaigns.engine.standing import Offer, Standing
from campaigns.engine.types import LadderSpec, StepSpec
from campaigns.experiments.assignment import assign
from campaigns.models import Action, ExperimentArm, ExperimentKind
from campaigns.segments.evaluate import segments_of
from customers.rows import rows

logger = logging.getLogger(__name__)

#: What a holdout is spared.
CONTACT = frozenset({Action.MESSAGE.value, Action.CALL_TASK.value})
NO_ARMS: frozenset[int] = frozenset()

# Plain SQL: read with every batch of customers and of cases, however small.
_RUNNING = """
    SELECT x.id, x.code, x.name, x.kind, x.ladder_id, x.template_id, x.segment_id, s.query
      FROM campaigns_experiment x LEFT JOIN campaigns_segment s ON s.id = x.segment_id
     WHERE x.status = 'running'
     ORDER BY x.id
"""
_MET = """
    SELECT customer_id, arm_id FROM campaigns_experimentexposure
     WHERE customer_id = ANY(%s) AND experiment_id = ANY(%s)
"""
_EXPOSE = """
    INSERT INTO campaigns_experimentexposure (experiment_id, arm_id, customer_id, case_id, at)
    SELECT a.experiment_id, a.id, u.customer_id, u.case_id, %s
      FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS u(arm_id, customer_id, case_id)
      JOIN campaigns_experimentarm a ON a.id = u.arm_id
     ORDER BY u.case_id
    ON CONFLICT (experiment_id, customer_id) DO NOTHING
"""
_TO_HOLD = """
    SELECT i.id
      FROM campaigns_experimentexposure e
      JOIN campaigns_experimentarm a ON a.id = e.arm_id AND NOT a.retries
      JOIN campaigns_experiment x ON x.id = e.experiment_id AND x.status = 'running'
      JOIN campaigns_caseinvoice ci ON ci.case_id = e.case_id AND ci.left_at IS NULL
      JOIN campaigns_case c ON c.id = e.case_id AND c.closed_at IS NULL
      JOIN billing_invoice i ON i.id = ci.invoice_id
     WHERE e.customer_id = ANY(%s) AND i.status = 'open' AND i.retry_state IN ('planned', 'needs_plan')
"""


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a running experiment; see campaigns.models.ExperimentArm."""

    id: int
    share: int
    holdout: bool = False
    retries: bool = True
    version_id: int | None = None
    template_id: int | None = None
    send_from: time | None = None
    send_to: time | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A running experiment."""

    id: int
    code: str
    name: str
    kind: str
    arms: tuple[Arm, ...]
    ladder_id: int | None = None
    template_id: int | None = None
    segment_id: int | None = None
    segment_query: str = ""


def running() -> tuple[Trial, ...]:
    """Experiments that draw customers now. Two queries; one if there is none."""
    with connection.cursor() as cursor:
        cursor.execute(_RUNNING)
        found = {row[0]: row for row in cursor.fetchall()}
    if not found:
        return ()
    arms: dict[int, list[Arm]] = {}
    for arm in rows(ExperimentArm, "experiment_id = ANY(%s) ORDER BY experiment_id, position, id", [list(found)]):
        arms.setdefault(arm.experiment_id, []).append(
            Arm(arm.pk, arm.share, arm.holdout, arm.retries, arm.ladder_version_id, arm.template_id, arm.send_from,
                arm.send_to)
        )  # fmt: skip
    for pk in [pk for pk in found if sum(arm.share for arm in arms.get(pk, ())) != 100]:
        # Nobody can be drawn from it, and a whole batch of cases must not stop for it.
        logger.error("experiment %s is left out: its shares do not add up to 100", found.pop(pk)[1])
    return tuple(
        Trial(pk, code, name, kind, tuple(arms.get(pk, ())), ladder_id, template_id, segment_id, query or "")
        for pk, code, name, kind, ladder_id, template_id, segment_id, query in found.values()
    )


def draw(trial: Trial, customer_id: int, met: frozenset[int], segments: frozenset[int]) -> Arm | None:
    """The customer's arm: the one they have met already, else the one they are drawn into. Pure.

    None for who does not take part: not in the experiment's segment, and never met an arm.
    """
    for arm in trial.arms:
        if arm.id in met:
            return arm
    if trial.segment_id is not None and trial.segment_id not in segments:
        return None
    return assign(trial.code, trial.arms, customer_id)


@dataclass(slots=True)
class Treatments:
    """Running experiments and what is known of a batch of customers with them."""

    trials: tuple[Trial, ...] = ()
    #: Customer → arms they have met, segments they are in.
    met: Mapping[int, frozenset[int]] = field(default_factory=dict)
    segments: Mapping[int, frozenset[int]] = field(default_factory=dict)
    #: Ladder versions that arms follow.
    versions: Mapping[int, LadderSpec] = field(default_factory=dict)
    _made: dict[tuple[int, tuple[tuple[int, int], ...], tuple[int, ...]], LadderSpec] = field(default_factory=dict)

    def _arm(self, trial: Trial, customer_id: int) -> Arm | None:
        return draw(trial, customer_id, self.met.get(customer_id, NO_ARMS), self.segments.get(customer_id, NO_ARMS))

    def ladder(self, spec: LadderSpec, customer_id: int) -> LadderSpec:
        """The ladder of a case as the customer's arms make it; the same object for all with the same arms."""
        if not self.trials:
            return spec
        treated = []
        for trial in self.trials:
            if trial.kind == ExperimentKind.LADDER:
                # Only who was left out when their case opened: those written to before go on.
                met = self.met.get(customer_id, NO_ARMS)
                arm = next((arm for arm in trial.arms if arm.holdout and arm.id in met), None)
            elif _concerns(trial, spec):
                arm = self._arm(trial, customer_id)
            else:
                arm = None
            if arm is not None:
                treated.append((trial, arm))
        return self._made_by(spec, treated)

    def foreseen(
        self, spec: LadderSpec, customer_id: int, *, opens: bool, written: Callable[[LadderSpec], LadderSpec]
    ) -> tuple[LadderSpec, tuple[int, ...]]:
        """The ladder `spec` as the customer's arms make it from the first step to the last, and these arms' ids.

        With `opens` of a case that is yet to open; else of one under way, which is in no lot of versions it was not
        drawn into. `written` puts in the texts the customer's segments are written, before any text is varied.
        """
        arms: list[int] = []
        treated = []
        for trial in self.trials:
            if trial.kind != ExperimentKind.LADDER or trial.ladder_id != spec.ladder_id:
                continue
            arm = self._arm(trial, customer_id)
            if arm is not None and (opens or arm.id in self.met.get(customer_id, NO_ARMS)):
                arms.append(arm.id)
                if arm.holdout:
                    treated.append((trial, arm))
                spec = self.versions.get(arm.version_id, spec) if arm.version_id is not None else spec
                break
        spec = written(spec)
        for trial in self.trials:
            if trial.kind != ExperimentKind.LADDER and _concerns(trial, spec):
                arm = self._arm(trial, customer_id)
                if arm is not None:
                    arms.append(arm.id)
                    treated.append((trial, arm))
        return self._made_by(spec, treated), tuple(arms)

    def _made_by(self, spec: LadderSpec, treated: Sequence[tuple[Trial, Arm]]) -> LadderSpec:
        """The ladder as these arms make it; the same object for all with the same arms."""
        if not treated:
            return spec
        key = (spec.version_id, spec.variants, tuple(arm.id for _trial, arm in treated))
        made = self._made.get(key)
        if made is None:
            made = spec
            for trial, arm in treated:
                made = replace(made, steps=tuple(_treated(trial, arm, step) for step in made.steps))
                if trial.kind == ExperimentKind.SEND_TIME:
                    made = replace(made, hour_arm_ids=(*made.hour_arm_ids, arm.id))
            self._made[key] = made
        return made

    def offers(self, offers: Sequence[Offer], standing: Standing) -> Sequence[Offer]:
        """The ladders a new case of this customer may follow, in the version of their arm."""
        by_ladder = {trial.ladder_id: trial for trial in self.trials if trial.kind == ExperimentKind.LADDER}
        if not by_ladder:
            return offers
        drawn = []
        for offer in offers:
            trial = by_ladder.get(offer.ladder_id)
            # A ladder chosen for this very customer is nobody's lot.
            if trial is not None and offer.ladder_id != standing.override_id:
                arm = self._arm(trial, standing.customer_id)
                if arm is not None:
                    offer = replace(offer, spec=self._version(offer.spec, arm))
            drawn.append(offer)
        return drawn

    def _version(self, spec: LadderSpec, arm: Arm) -> LadderSpec:
        chosen = self.versions.get(arm.version_id, spec) if arm.version_id is not None else spec
        key = (chosen.version_id, chosen.variants, (arm.id,))
        if key not in self._made:
            self._made[key] = replace(chosen, arm_id=arm.id)
        return self._made[key]


NOTHING_RUNS = Treatments()


def _concerns(trial: Trial, spec: LadderSpec) -> bool:
    if trial.kind == ExperimentKind.TEMPLATE:
        return any(step.template_id == trial.template_id for step in spec.steps)
    return trial.ladder_id == spec.ladder_id


def _treated(trial: Trial, arm: Arm, step: StepSpec) -> StepSpec:
    """A step as the arm makes it."""
    if trial.kind == ExperimentKind.LADDER:
        if step.action in CONTACT:
            return replace(step, withheld=_("“%(name)s” leaves this customer without contact.") % {"name": trial.name})
        return step
    if step.action != Action.MESSAGE:
        return step
    if trial.kind == ExperimentKind.TEMPLATE:
        if step.template_id != trial.template_id:
            return step
        return replace(step, template_id=arm.template_id or step.template_id, arm_ids=(*step.arm_ids, arm.id))
    if arm.send_from is None:
        return step
    return replace(step, window_from=arm.send_from, window_to=arm.send_to)


def treatments_for(
    customer_ids: Collection[int], now: datetime, trials: tuple[Trial, ...] | None = None
) -> Treatments:
    """Treatments of a batch of customers at `now` (aware UTC): one query, four while experiments run."""
    trials = running() if trials is None else trials
    if not trials:
        return NOTHING_RUNS
    met: dict[int, set[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_MET, [list(customer_ids), [trial.id for trial in trials]])
        for customer_id, arm_id in cursor.fetchall():
            met.setdefault(customer_id, set()).add(arm_id)
    queries = {trial.segment_id: trial.segment_query for trial in trials if trial.segment_id is not None}
    segments = segments_of(queries, list(customer_ids), now) if queries else {}
    return Treatments(trials, {pk: frozenset(arms) for pk, arms in met.items()}, segments)


def expose(meetings: Iterable[tuple[int, int, int]], now: datetime) -> None:
    """Writes down first meetings, as (arm, customer, case), in the caller's transaction. One query, if any."""
    first = list(meetings)
    if first:
        with connection.cursor() as cursor:
            cursor.execute(_EXPOSE, [now, *[list(column) for column in zip(*first, strict=True)]])


def hold_retries(trials: Sequence[Trial], customer_ids: Collection[int], now: datetime) -> None:
    """Stops the charges of those whose arm is left without contact and without retries, in the caller's transaction.

    Repeated for every look at a customer: an invoice that joins later is held as well.
    """
    if all(arm.retries for trial in trials for arm in trial.arms):
        return
    with connection.cursor() as cursor:
        cursor.execute(_TO_HOLD, [list(customer_ids)])
        ids = [pk for (pk,) in cursor.fetchall()]
    if ids:
        retries_hold(invoice_ids=ids, until=None, reason=_("An experiment leaves this customer alone."), now=now)
