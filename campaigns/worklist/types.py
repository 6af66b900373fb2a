"""What the ranking is shown of a customer, and what it answers: immutable values. All moments are aware UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from campaigns.guard.types import GuardSnapshot

#: First days of the ageing bands: not due yet, 1-30, 31-60, 61-90, more.
BANDS = (0, 1, 31, 61, 91)
#: Why something is owed, where nobody was asked for a card: the invoice is paid by hand.
OVERDUE = "overdue"


def band_of(days: int) -> int:
    """The band's place in BANDS for an age in days; negative days are not due yet."""
    return sum(days >= first for first in BANDS[1:])


@dataclass(frozen=True, slots=True)
class Owed:
    """An open invoice of the case; `balance` in minor units, `since` its first failure or due date."""

    currency: str
    balance: int
    since: datetime
    #: What the last decline asks the customer for (billing.retries.taxonomy.AsksFor), or OVERDUE.
    reason: str
    disputed: bool = False
    in_plan: bool = False
    #: The next charge that is planned, and its chance where one was predicted.
    charge_at: datetime | None = None
    charge_chance: float | None = None

    @property
    def pressed(self) -> bool:
        return not self.disputed and not self.in_plan


@dataclass(frozen=True, slots=True)
class TaskFact:
    """An open task. `key` tells who asked for it: `reply:` the customer, `step:` the ladder, empty a person."""

    id: int
    kind: str
    due_at: datetime
    title: str
    key: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call made or taken in the last month; `talk` if somebody spoke."""

    at: datetime
    talk: bool


@dataclass(frozen=True, slots=True)
class Touch:
    """The last thing a person, a message or the customer did."""

    at: datetime
    kind: str
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class WorkFacts:
    """All the ranking knows of one customer."""

    customer_id: int
    case_id: int | None = None
    #: campaigns.models.CaseState; empty without a case.
    state: str = ""
    rests_until: datetime | None = None
    owner_id: int | None = None
    zone: str = "UTC"
    country: str = ""
    language: str = ""
    guard: GuardSnapshot | None = None
    debts: tuple[Owed, ...] = ()
    tasks: tuple[TaskFact, ...] = ()
    #: When the promise that stands runs out, grace included.
    promised_until: datetime | None = None
    #: When the last promise was found broken, and how many were.
    broken_at: datetime | None = None
    broken: int = 0
    disputes: int = 0
    in_plan: bool = False
    calls: tuple[Call, ...] = ()
    #: The last message that left, and the last word from the customer.
    written_at: datetime | None = None
    heard_at: datetime | None = None
    touch: Touch | None = None
    snoozed_at: datetime | None = None
    snoozed_until: datetime | None = None
    #: That an invoice of theirs is paid late, 0 to 1; None where there is not enough to say. `late_supposed`: read off
    #: the rating, not foretold.
    late_chance: float | None = None
    late_supposed: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as a code with its figures; campaigns.worklist.words says it."""

    code: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """When the guard lets people call: [start, end), both None where it forbids it. `rule` delays or forbids."""

    start: datetime | None = None
    end: datetime | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What the list holds of a customer; see campaigns.models.WorkItem for each."""

    action: str
    rank: int
    score: int
    chance: float
    reasons: tuple[Reason, ...]
    flags: tuple[Reason, ...]
    #: None: it rests without a date.
    due_at: datetime | None
    rest: str
    window: Window
    balances: Mapping[str, int]
    currency: str
    balance: int
    ageing: tuple[int, ...]
    invoices: int
    oldest_days: int
    reason: str
    #: When to rank again, though nothing were to happen.
    refresh_at: datetime
