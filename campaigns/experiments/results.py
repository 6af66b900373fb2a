"""What became of each arm: cases closed and recovered, with intervals; computed from the rows, never stored.

Counted is the case a customer was first exposed in, in the arm they were drawn into, whatever happened later
(intention to treat). A case closed after the stop is not counted as closed: the treatment had ended before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from campaigns.models import Experiment, ExperimentArm
from customers.statistics import chi_square_p, newcombe, wilson

#: Arms this far from their shares did not come about by chance.
MISMATCH = 0.001

_CASES = """
    SELECT e.arm_id, count(*),
           count(*) FILTER (WHERE c.closed_at <= COALESCE(%s, 'infinity'::timestamptz)),
           count(*) FILTER (WHERE c.closed_at <= COALESCE(%s, 'infinity'::timestamptz) AND c.state = 'recovered'),
           count(*) FILTER (WHERE c.closed_at <= COALESCE(%s, 'infinity'::timestamptz) AND c.state = 'cancelled')
      FROM campaigns_experimentexposure e
      JOIN campaigns_case c ON c.id = e.case_id
     WHERE e.experiment_id = %s
     GROUP BY e.arm_id
"""
# Case by case down the index: a planner without statistics of a young table would compare every message with every
# exposure.
_MESSAGES = """
    SELECT e.arm_id, SUM(m.sent)::bigint
      FROM campaigns_experimentexposure e
     CROSS JOIN LATERAL (
           SELECT count(*) AS sent FROM campaigns_message
            WHERE case_id = e.case_id AND purpose = 'dunning' AND sent_at >= e.at
              AND sent_at <= COALESCE(%s, 'infinity'::timestamptz)
     ) m
     WHERE e.experiment_id = %s
     GROUP BY e.arm_id
"""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95% interval, as shares of 1."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class ArmResult:
    """Cases of one arm. `closed` includes `recovered` and `cancelled`; `open` is not in any rate."""

    arm: ExperimentArm
    exposed: int
    closed: int
    recovered: int
    cancelled: int
    messages: int
    #: Recovered of closed; None while none is closed.
    rate: Interval | None
    #: Rate minus the base's; None for the base itself and while either has none closed.
    difference: Interval | None

    @property
    def open(self) -> int:
        return self.exposed - self.closed

    @property
    def messages_each(self) -> float:
        """Messages per exposed case."""
        return self.messages / self.exposed if self.exposed else 0.0


@dataclass(frozen=True, slots=True)
class Results:
    """Arms in order, the first being the base, and how well the drawing kept to the shares."""

    arms: tuple[ArmResult, ...]
    ratio_p: float

    @property
    def ratio_mismatch(self) -> bool:
        """The drawing or its recording is broken: nothing else on the page may be believed."""
        return self.ratio_p < MISMATCH

    @property
    def exposed(self) -> int:
        return sum(arm.exposed for arm in self.arms)

    @property
    def open(self) -> int:
        return sum(arm.open for arm in self.arms)


def experiment_results(experiment: Experiment, arms: Sequence[ExperimentArm] | None = None) -> Results:
    """Results as of now. Two queries, three without `arms` in order."""
    rows = list(experiment.arms.order_by("position", "id")) if arms is None else list(arms)
    stopped = experiment.stopped_at
    with connection.cursor() as cursor:
        cursor.execute(_CASES, [stopped, stopped, stopped, experiment.pk])
        counted = {arm_id: counts for arm_id, *counts in cursor.fetchall()}
        cursor.execute(_MESSAGES, [stopped, experiment.pk])
        sent = dict(cursor.fetchall())
    base_closed, base_recovered = counted[rows[0].pk][1:3] if rows and rows[0].pk in counted else (0, 0)
    results = []
    for arm in rows:
        exposed, closed, recovered, cancelled = counted.get(arm.pk, (0, 0, 0, 0))
        rate = difference = None
        if closed:
            rate = Interval(recovered / closed, *wilson(recovered, closed))
        if closed and base_closed and arm is not rows[0]:
            difference = Interval(
                recovered / closed - base_recovered / base_closed,
                *newcombe(recovered, closed, base_recovered, base_closed),
            )
        results.append(ArmResult(arm, exposed, closed, recovered, cancelled, sent.get(arm.pk, 0), rate, difference))
    ratio = chi_square_p([result.exposed for result in results], [arm.share for arm in rows])
    return Results(tuple(results), ratio)
