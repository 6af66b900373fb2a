"""Draws a customer into an arm by a hash: the same one every time, without asking the database. Pure."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol, TypeVar

#: The lot has this many tickets; shares are in percent.
TICKETS = 10_000


class Shared(Protocol):
    """Anything with a share in percent."""

    @property
    def share(self) -> int: ...


A = TypeVar("A", bound=Shared)


def ticket(code: str, customer_id: int) -> int:
    """The customer's ticket in the experiment's lot, 0 to TICKETS - 1.

    The code is hashed with the id, so that who is drawn in one experiment says nothing about the next.
    """
    digest = sha256(f"{code}:{customer_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % TICKETS


def assign(code: str, arms: Sequence[A], customer_id: int) -> A:
    """The arm the customer is drawn into. Raises ValueError unless the shares add up to 100."""
    if sum(arm.share for arm in arms) != 100:
        raise ValueError(f"The shares of {code} do not add up to 100.")
    drawn = ticket(code, customer_id)
    upper = 0
    for arm in arms:
        upper += arm.share * TICKETS // 100
        if drawn < upper:
            return arm
    raise AssertionError("unreachable: the shares cover every ticket")
