"""Owns the words of a declined charge: its category, its retry rule and what the customer is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Category(StrEnum):
    """Why a charge failed, in the fourteen kinds that change what we do next."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    ISSUER_SOFT = "issuer_soft"
    DO_NOT_HONOR = "do_not_honor"
    CARD_DATA = "card_data"
    EXPIRED = "expired"
    LOST_STOLEN = "lost_stolen"
    FRAUD = "fraud"
    AUTHENTICATION = "authentication"
    LIMIT_VELOCITY = "limit_velocity"
    TECHNICAL = "technical"
    ACCOUNT_CLOSED = "account_closed"
    REVOCATION = "revocation"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


class AsksFor(StrEnum):
    """What only the customer can do about it."""

    NEW_CARD = "new_card"
    AUTHENTICATE = "authenticate"
    FUNDS = "funds"
    NOTHING = "nothing"
    CONTACT_BANK = "contact_bank"


class RetryKind(StrEnum):
    """The three answers to "may the same credential be charged again without the customer?"."""

    NEVER = "never"
    NOT_BEFORE = "not_before"
    ALLOWED = "allowed"


@dataclass(frozen=True, slots=True)
class RetryRule:
    """May the same credential be charged again off-session, and how long after the decline at the earliest.

    `wait` is a minimum measured from the moment of the decline; it is zero unless `kind` is NOT_BEFORE.
    """

    kind: RetryKind
    wait: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if (self.kind is RetryKind.NOT_BEFORE) != (self.wait > timedelta(0)):
            raise ValueError(f"A {self.kind} rule cannot have a wait of {self.wait}.")

    @property
    def restrictiveness(self) -> tuple[bool, timedelta]:
        """Sort key: never is above every wait, a longer wait above a shorter one."""
        return (self.kind is RetryKind.NEVER, self.wait)


NEVER = RetryRule(RetryKind.NEVER)
ALLOWED = RetryRule(RetryKind.ALLOWED)


def after(*, hours: int = 0, days: int = 0) -> RetryRule:
    """A rule that allows a retry only once `hours` + `days` have passed since the decline."""
    return RetryRule(RetryKind.NOT_BEFORE, timedelta(hours=hours, days=days))


@dataclass(frozen=True, slots=True)
class CategoryPolicy:
    """What a category means where its code says nothing more exact.

    `hard` says that the credential itself is finished: no time, money or authentication will revive it. A
    rule that is NEVER but not hard (authentication, a postcode) works again once the customer has acted.
    """

    retry: RetryRule
    hard: bool
    asks_for: AsksFor


POLICIES: dict[Category, CategoryPolicy] = {
    Category.INSUFFICIENT_FUNDS: CategoryPolicy(after(hours=12), False, AsksFor.FUNDS),
    Category.ISSUER_SOFT: CategoryPolicy(ALLOWED, False, AsksFor.NOTHING),
    Category.DO_NOT_HONOR: CategoryPolicy(after(hours=12), False, AsksFor.CONTACT_BANK),
    Category.CARD_DATA: CategoryPolicy(NEVER, False, AsksFor.NEW_CARD),
    Category.EXPIRED: CategoryPolicy(NEVER, True, AsksFor.NEW_CARD),
    Category.LOST_STOLEN: CategoryPolicy(NEVER, True, AsksFor.NEW_CARD),
    Category.FRAUD: CategoryPolicy(NEVER, True, AsksFor.NEW_CARD),
    Category.AUTHENTICATION: CategoryPolicy(NEVER, False, AsksFor.AUTHENTICATE),
    Category.LIMIT_VELOCITY: CategoryPolicy(after(hours=12), False, AsksFor.NOTHING),
    Category.TECHNICAL: CategoryPolicy(after(hours=2), False, AsksFor.NOTHING),
    Category.ACCOUNT_CLOSED: CategoryPolicy(NEVER, True, AsksFor.NEW_CARD),
    Category.REVOCATION: CategoryPolicy(NEVER, True, AsksFor.NEW_CARD),
    Category.UNSUPPORTED: CategoryPolicy(NEVER, True, AsksFor.NEW_CARD),
    Category.UNKNOWN: CategoryPolicy(after(hours=12), False, AsksFor.CONTACT_BANK),
}

# An issuer that gives no reason. A more exact code beside one of these tells the category instead: about
# half of "do not honor" is insufficient funds in disguise (Adyen).
VAGUE = frozenset({Category.ISSUER_SOFT, Category.DO_NOT_HONOR, Category.UNKNOWN})
