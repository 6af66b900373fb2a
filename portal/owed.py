"""Owns the values the payment page is made of: invoices by currency, the card, what can be done about each."""

from dataclasses import dataclass
from enum import StrEnum

from billing.retries.taxonomy import AsksFor
from portal.fees import FeeLine, Offer, Sums, Told


class Standing(StrEnum):
    """What can be done about an invoice here."""

    PAYABLE = "payable"
    BUSY = "busy"
    DISPUTED = "disputed"
    IN_PLAN = "in_plan"
    ELSEWHERE = "elsewhere"


class Way(StrEnum):
    """The one button that helps most."""

    NEW_CARD = "new_card"
    STORED = "stored"
    CONFIRM = "confirm"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Item:
    """One invoice as the page shows it; texts are in the page's language, dates in the customer's zone."""

    id: int
    number: str
    title: str
    amount: int
    currency: str
    amount_text: str
    standing: Standing
    reason: str
    asks_for: str
    due_text: str
    overdue: bool
    next_try_text: str
    pdf_url: str
    hosted_url: str
    chosen: bool = True
    fees: tuple[FeeLine, ...] = ()

    @property
    def payable(self) -> bool:
        """Whether it can be paid here and now."""
        return self.standing is Standing.PAYABLE

    @property
    def held(self) -> bool:
        """Whether nothing is asked for it meanwhile."""
        return self.standing in (Standing.DISPUTED, Standing.IN_PLAN)

    @property
    def late(self) -> bool:
        """Whether its day has passed, or its charge has failed."""
        return self.overdue or bool(self.reason)


@dataclass(frozen=True, slots=True)
class Group:
    """Everything owed in one currency; totals in words, `total` in minor units."""

    currency: str
    items: tuple[Item, ...]
    total: int
    total_text: str
    payable_total_text: str

    @property
    def payable(self) -> int:
        """How many invoices can be paid here and now."""
        return sum(item.payable for item in self.items)


@dataclass(frozen=True, slots=True)
class Card:
    """The stored method a payment would be taken from."""

    id: int
    label: str
    expiry: str
    usable: bool
    expired: bool


@dataclass(frozen=True, slots=True)
class Account:
    """Everything on the payment page."""

    groups: tuple[Group, ...]
    card: Card | None
    way: Way
    promised_text: str
    next_try_text: str
    paid_lately: tuple[str, ...]
    #: What invoices and late fees come to; empty where no fees are owed.
    sums: tuple[Sums, ...] = ()
    #: Fees that stayed when their invoice was paid.
    fees_left: tuple[FeeLine, ...] = ()
    fee_offers: tuple[Offer, ...] = ()
    fees_told: Told | None = None

    @property
    def payable(self) -> tuple[Item, ...]:
        """Invoices that can be paid here and now."""
        return tuple(item for group in self.groups for item in group.items if item.payable)

    @property
    def failed(self) -> bool:
        """Whether a charge of something payable here was declined."""
        return any(item.reason for item in self.payable)

    @property
    def payable_text(self) -> str:
        """What paying all of them comes to, per currency."""
        return " + ".join(group.payable_total_text for group in self.groups if group.payable)

    @property
    def to_confirm(self) -> Item | None:
        """The first invoice whose payment the customer must confirm with the bank."""
        return next((i for i in self.payable if i.asks_for == AsksFor.AUTHENTICATE and i.hosted_url), None)
