"""What the assessment is shown of a customer with a brand, and what it answers: immutable values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from billing.models.invoice import InvoiceStatus
from campaigns.engine.types import LadderSpec
from campaigns.models.ladder import PRE_DUNNING


@dataclass(frozen=True, slots=True)
class Debt:
    """An invoice as the assessment sees it; `since` is its first failure or due date, aware UTC."""

    id: int
    brand_id: int
    trigger: str
    since: datetime
    status: str = InvoiceStatus.OPEN.value
    #: Minor units still owed.
    balance: int = 0
    disputed: bool = False
    in_plan: bool = False
    #: It was in a case that ended unpaid or that staff closed: it does not start another.
    finished: bool = False

    @property
    def owed(self) -> bool:
        return self.status == InvoiceStatus.OPEN and self.balance > 0

    @property
    def pressed(self) -> bool:
        return self.owed and not self.disputed and not self.in_plan

    @property
    def outcome(self) -> str:
        """How it was settled, for CaseInvoice.outcome."""
        return "credited" if self.status == InvoiceStatus.OPEN else self.status


@dataclass(frozen=True, slots=True)
class LiveCase:
    """The customer's open case with a brand."""

    id: int
    state: str
    ladder: LadderSpec
    anchor_at: datetime
    round: int
    position: int
    rests_until: datetime | None
    #: Invoices in it that have not left.
    members: tuple[Debt, ...] = ()
    #: An invoice left it as paid already.
    paid_before: bool = False
    trigger: str = ""
    #: Of a case before the day: what it is about, where that is no invoice.
    payment_method_id: int | None = None
    subscription_id: int | None = None

    @property
    def ahead(self) -> bool:
        """True for a case about a day that is coming: nothing has failed yet."""
        return self.trigger in PRE_DUNNING


@dataclass(frozen=True, slots=True)
class PromiseFact:
    """An open promise; `paid` is what has come in since it was made, in its currency (minor units); `left` what is
    still owed on the invoices it named, None where it named none."""

    id: int
    amount: int
    expires_at: datetime
    paid: int = 0
    left: int | None = None


@dataclass(frozen=True, slots=True)
class PlanFact:
    """An active payment plan; `due` is the sum of the instalments whose day and grace have passed, `paid` what has
    come in since it was made, in its currency (minor units)."""

    id: int
    due: int
    paid: int
    invoices: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Occasion:
    """A day that is coming (aware UTC) and what happens then, if nobody does anything about it."""

    trigger: str
    at: datetime
    invoice_id: int | None = None
    payment_method_id: int | None = None
    subscription_id: int | None = None
    #: Staff have closed a case about it: it does not start another.
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A published ladder a new case may follow; in order of priority."""

    trigger: str
    brand_id: int | None
    spec: LadderSpec
    #: Whom it is for; None: everybody.
    segment_id: int | None = None
    ladder_id: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is known of one customer with one brand."""

    customer_id: int
    brand_id: int
    zone: str
    excluded: bool = False
    case: LiveCase | None = None
    #: Invoices that failed or fell overdue and are in no live case.
    loose: tuple[Debt, ...] = ()
    promise: PromiseFact | None = None
    plan: PlanFact | None = None
    #: Days that are coming, soonest first.
    occasions: tuple[Occasion, ...] = ()
    #: The ladder this customer follows whatever others are offered.
    override_id: int | None = None
    #: Of the segments offers are made to, those the customer is in.
    segments: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class CaseFields:
    """What a case is to hold from now on."""

    state: str
    anchor_at: datetime
    round: int
    position: int
    #: None: as it is. Only looked at where `look` is set or the case closes or rests.
    next_action_at: datetime | None = None
    next_action_reason: str = ""
    rests_until: datetime | None = None
    rest_reason: str = ""
    close_reason: str = ""
    #: The ladder version it goes over to, and its new trigger; None and empty: as they are.
    version_id: int | None = None
    trigger: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One line for the log."""

    kind: str
    summary: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opening:
    """A case to be opened."""

    trigger: str
    ladder: LadderSpec
    payment_method_id: int | None = None
    subscription_id: int | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is to be written for one customer and brand."""

    customer_id: int
    brand_id: int
    case_id: int | None = None
    opening: Opening | None = None
    #: None: the case's own row stays as it is.
    fields: CaseFields | None = None
    joins: tuple[int, ...] = ()
    leaves: tuple[tuple[int, str], ...] = ()
    told: tuple[Told, ...] = ()
    promise_id: int | None = None
    promise_status: str = ""
    #: A plan that was broken: its invoices are pressed for again.
    plan_broken_id: int | None = None
    receipt: bool = False
