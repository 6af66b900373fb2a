"""What the simulator is given and what it answers: plain values, so that playing is pure and crosses processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from billing.retries.planner import Strategy
from billing.retries.types import PastAttempt, RetryContext
from campaigns.engine.types import CaseSnapshot, LadderSpec
from campaigns.guard.types import GuardSnapshot


class Kind(StrEnum):
    """What happens at one moment of a life."""

    OPENED = "opened"
    JOINED = "joined"
    REANCHORED = "reanchored"
    RESTED = "rested"
    WOKEN = "woken"
    SENT = "sent"
    RECEIPT = "receipt"
    TASK = "task"
    ACTED = "acted"
    STARTED = "started"
    DEFERRED = "deferred"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    SUPERSEDED = "superseded"
    RETRY = "retry"
    PAID = "paid"
    PROMISE_BROKEN = "promise_broken"
    RECOVERED = "recovered"
    CANCELLED = "cancelled"
    ENDED = "ended"


#: Kinds that take up the customer's attention; the others are the machinery's.
CONTACTS = frozenset({Kind.SENT, Kind.RECEIPT})


class RetryPlan(NamedTuple):
    """What planning the next charge of an invoice needs; see billing.retries.planner.plan_with."""

    context: RetryContext
    attempts: tuple[PastAttempt, ...] = ()
    card_history: tuple[datetime, ...] = ()
    card_declines: tuple[PastAttempt, ...] = ()
    #: None: the rules.
    strategy: Strategy | None = None
    not_before: datetime | None = None


class Bill(NamedTuple):
    """One invoice of a life. `since` is its first failure or the moment it fell due; moments are aware UTC."""

    id: int
    number: str
    currency: str
    #: Minor units.
    balance: int
    since: datetime
    #: The local day it fell due, for counting days from it.
    due_on: date
    trigger: str
    #: When it is paid; None: never within the simulation.
    paid_at: datetime | None = None
    disputed: bool = False
    in_plan: bool = False
    decline_category: str = ""
    asks_for: str = ""
    retry_at: datetime | None = None
    retry_probability: float | None = None
    retry: RetryPlan | None = None
    #: From when a bill that is not due yet can be announced; None: never.
    known_at: datetime | None = None
    subscription_id: int | None = None
    subscription_status: str = ""


class Promised(NamedTuple):
    """A promise to pay that stands when the simulation begins. `amount` in minor units."""

    id: int
    amount: int
    expires_at: datetime
    paid: int = 0


@dataclass(frozen=True, slots=True)
class Life:
    """One customer with one brand: what they owe and when they pay, and the case they are in if there is one."""

    #: The case's id where one is open, else the customer's.
    key: int
    label: str
    customer_id: int
    brand_id: int
    zone: str
    country: str
    guard: GuardSnapshot
    bills: tuple[Bill, ...] = ()
    case: CaseSnapshot | None = None
    #: When the escalate loop looks at the case next; None: at once.
    next_action_at: datetime | None = None
    promise: Promised | None = None
    excluded: bool = False
    #: What the customer's arms of experiments make of the ladder on offer; None: as it is offered.
    ladder: LadderSpec | None = None


class Event(NamedTuple):
    """One thing that happens in a life, at `at` (aware UTC; the local time is that of `zone`)."""

    life: int
    at: datetime
    zone: str
    kind: str
    step: str = ""
    name: str = ""
    channel: str = ""
    #: The rule that deferred, blocked or skipped, and what it says.
    rule: str = ""
    reason: str = ""
    until: datetime | None = None
    scheduled_for: datetime | None = None
    #: What the contact costs, in thousandths of a minor unit of the cost table's currency.
    cost: int = 0
    #: The invoices it speaks of.
    invoices: tuple[int, ...] = ()
    #: Days from the due day of the oldest of them, by the local calendar; None where that means nothing.
    days: int | None = None
    template_id: int | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """What a contact costs by channel, in minor units of `currency` per thousand contacts."""

    currency: str = "EUR"
    per_thousand: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, channel: str) -> int:
        """The cost of one contact in thousandths of a minor unit; 0 for a channel the table does not name."""
        return self.per_thousand.get(channel, 0)
