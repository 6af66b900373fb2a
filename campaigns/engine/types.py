"""What the engine is shown and what it answers: immutable values, no models, so that deciding is pure.

What is made for every case is a tuple by name: a frozen dataclass takes ten times as long to make.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from campaigns.guard.types import GuardSnapshot


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One rung of a published ladder; see campaigns.models.Step for the meaning of each field."""

    id: int
    position: int
    key: str
    name: str
    offset: int
    offset_unit: str
    anchor: str
    action: str
    channel: str = ""
    template_id: int | None = None
    #: False where the template has no published version: the step cannot act.
    has_text: bool = True
    condition: Mapping[str, Any] = field(default_factory=dict)
    window_days: tuple[int, ...] = ()
    window_from: time | None = None
    window_to: time | None = None
    business_days: bool = False
    wait_for_retry_hours: int = 0
    #: Tried in order where `channel` does not reach anybody.
    fallback_channels: tuple[str, ...] = ()
    #: Those of its channels its template has no text for.
    mute: frozenset[str] = frozenset()
    #: Why cases of this treatment never take it, in words; empty: they do (campaigns.experiments.treatment).
    withheld: str = ""
    #: Arms of experiments whose treatment it carries: whoever it acts for has met them.
    arm_ids: tuple[int, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LadderSpec:
    """A published ladder version with its enabled steps; one object shared by all cases that follow it."""

    version_id: int
    steps: tuple[StepSpec, ...]
    end_actions: tuple[str, ...] = ()
    end_after_hours: int = 72
    min_gap_hours: int = 0
    silent_hours: int = 0
    end_params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ladder_id: int = 0
    #: The arm of an experiment a case that opens on it is drawn into.
    arm_id: int | None = None
    #: Arms met by whoever is about to be written to by it, whenever that will be: those that move the hour.
    hour_arm_ids: tuple[int, ...] = ()
    #: Steps that are written otherwise to a segment, each with its variant (campaigns.engine.variants).
    variants: tuple[tuple[int, int], ...] = ()


class InvoiceFact(NamedTuple):
    """One invoice still owed in a case: neither settled, disputed nor in a plan. Amounts in minor units."""

    id: int
    currency: str
    balance: int
    decline_category: str = ""
    #: What only the customer can do about the last decline (billing.retries.taxonomy.AsksFor).
    asks_for: str = ""
    #: The next charge of it, ours or the processor's, and its predicted chance (None: unknown).
    retry_at: datetime | None = None
    retry_probability: float | None = None
    #: The retry loop has not yet said when it tries next.
    retry_unplanned: bool = False
    #: A charge is under way or its outcome is being asked for.
    retry_in_flight: bool = False
    subscription_id: int | None = None
    subscription_status: str = ""


class RunFact(NamedTuple):
    """What was decided earlier about a step in the case's present round."""

    step_id: int
    decision: str
    decided_at: datetime
    rule: str = ""
    #: Of the step's newest message, if it has one: campaigns.models.MessageStatus, and the rule that stopped it.
    message_status: str = ""
    message_id: int | None = None
    message_rule: str = ""
    #: Channels it has gone by already.
    channels: tuple[str, ...] = ()
    #: Of the task that asks a person to step in for it: empty, `open` or closed (`done`, `cancelled`).
    task_status: str = ""


NO_RUNS: Mapping[int, RunFact] = MappingProxyType({})


class CaseSnapshot(NamedTuple):
    """Everything `decide` may know of a case. All moments are aware UTC."""

    case_id: int
    customer_id: int
    brand_id: int
    state: str
    ladder: LadderSpec
    anchor_at: datetime
    round: int
    position: int
    zone: str
    country: str
    guard: GuardSnapshot
    invoices: tuple[InvoiceFact, ...] = ()
    runs: Mapping[int, RunFact] = NO_RUNS
    #: Newest decision of any round: what `counted since the previous step` and the end fall back on after a
    #: case was anchored anew.
    last_decided_at: datetime | None = None
    rests_until: datetime | None = None
    trigger: str = ""
    #: Nothing has happened yet: `anchor_at` is the day that is coming (campaigns.models.ladder.PRE_DUNNING).
    ahead: bool = False
    #: What a case before the day is about still stands, though no invoice is owed (a card, a renewal).
    stands: bool = False
    tags: tuple[str, ...] = ()
    promises_broken: int = 0

    def balances(self) -> dict[str, int]:
        """Sums still owed in minor units by currency."""
        sums: dict[str, int] = {}
        for invoice in self.invoices:
            sums[invoice.currency] = sums.get(invoice.currency, 0) + invoice.balance
        return dict(sorted(sums.items()))


class Outcome(StrEnum):
    """What became of one look at one case."""

    DONE = "done"
    DEFERRED = "deferred"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    ENDED = "ended"
    WAITING = "waiting"
    RESTING = "resting"


class RunRecord(NamedTuple):
    """One StepRun to be written."""

    step: StepSpec
    scheduled_for: datetime
    decision: str
    reason: str = ""
    rule: str = ""
    #: False where this repeats what the log already says.
    tell: bool = True


class TaskWanted(NamedTuple):
    """A task for staff; asked for twice (same key) it is one."""

    kind: str
    title: str
    notes: str
    key: str


class Decision(NamedTuple):
    """What is to be done about a case now, and when to look again."""

    case_id: int
    outcome: Outcome
    position: int
    anchor_at: datetime
    state: str
    next_action_at: datetime | None
    next_action_reason: str
    #: The step that acts now, if one does; its record is the last of `runs`, or an earlier one where `again`.
    act: StepSpec | None = None
    #: The channel its message takes.
    channel: str = ""
    #: The step acted before and was not heard: this is the same rung by another channel.
    again: bool = False
    #: Code of the ladder the case goes over to.
    start: str = ""
    runs: tuple[RunRecord, ...] = ()
    tasks: tuple[TaskWanted, ...] = ()
    #: The case rested and goes on.
    woken: bool = False
    #: The ladder is exhausted: end actions to be ordered; then the case is lost, unless one of them keeps it alive.
    end_actions: tuple[str, ...] = ()
    #: Invoices not to be charged again before `retry_quiet` has passed (a new card was asked for).
    quiet_invoices: tuple[int, ...] = ()
    retry_quiet: timedelta = timedelta(0)
