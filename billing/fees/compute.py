"""Computes late fees and interest: pure, exact, in whole minor units.

Interest is simple, never compound: it runs on what was unpaid of the invoice, day by day, from the day after it fell
due, at rate / 365 in leap years too. The sum over all days is one exact fraction, rounded down once, in the debtor's
favour. A payment stops interest on its amount from the day it came in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from billing.fees.table import Regime
from billing.money import display
from customers.errors import SollecitoError

_DAY = timedelta(days=1)
#: Basis points in one, times the days of the year interest is divided by.
_WHOLE = 10_000 * 365


class FeeRefused(SollecitoError):
    """No fee can be charged; the message says why."""


@dataclass(frozen=True, slots=True)
class Paid:
    """A part payment, in minor units, and the local day it came in."""

    on: date
    amount: int


@dataclass(frozen=True, slots=True)
class Debt:
    """An invoice to a business: `amount` (minor units of `currency`) fell due on `due_on`; credits are off already."""

    amount: int
    currency: str
    due_on: date
    payments: tuple[Paid, ...] = ()
    business: bool = True


@dataclass(frozen=True, slots=True)
class Quote:
    """What may be asked for: minor units of `currency`, and how it came about, in words."""

    amount: int
    currency: str
    rule: str
    basis: str
    #: Interest: the last day counted.
    until: date | None = None


def fixed_sum(debt: Debt, regime: Regime, today: date) -> Quote:
    """The fixed sum for recovery costs on a debt that is late `today`. Raises FeeRefused."""
    _check(debt, regime, today)
    size = _unpaid_on(debt, debt.due_on + _DAY)
    if regime.currency == debt.currency:
        amount = next(amount for start, amount in reversed(regime.fixed) if start <= size)
    elif len(regime.fixed) == 1:
        amount = regime.fixed[0][1]
    else:
        raise FeeRefused(
            f"The fixed sum depends on the size of the debt in {regime.currency}; this one is in {debt.currency}.",
            code="fee_currency",
        )
    basis = f"{regime.name}: {display(amount, regime.currency)} for a debt of {display(size, debt.currency)}."
    return Quote(amount, regime.currency, f"{regime.code}.fixed", basis)


def interest(debt: Debt, regime: Regime, until: date) -> Quote:
    """Interest from the day after the due date to `until`, both counted. Raises FeeRefused for what is not late or not
    between businesses, SollecitoError (`rate_unknown`) for days the table does not hold."""
    _check(debt, regime, until)
    start = debt.due_on + _DAY
    parts: list[str] = []
    numerator = 0
    day = start
    while day <= until:
        rate = regime.rate_on(start if regime.frozen else day)
        end = until + _DAY
        if not regime.frozen:
            end = min(end, regime.next_change(day))
        end = min([end, *(paid.on for paid in debt.payments if paid.on > day)])
        principal = _unpaid_on(debt, day)
        days = (end - day).days
        numerator += principal * rate * days
        if principal:
            parts.append(
                f"{day} to {end - _DAY}: {display(principal, debt.currency)}, {days} days at {_percent(rate)}"
            )
        day = end
    basis = f"{regime.name}, simple interest, actual days / 365, rounded down. " + "; ".join(parts)
    return Quote(numerator // _WHOLE, debt.currency, f"{regime.code}.interest", basis, until)


def _check(debt: Debt, regime: Regime, today: date) -> None:
    if not debt.business:
        raise FeeRefused("Statutory fees are for businesses; this customer is a consumer.", code="fee_consumer")
    if debt.due_on >= today:
        raise FeeRefused(f"Nothing is late before {debt.due_on + _DAY}.", code="fee_not_late")
    if debt.due_on < regime.applies_from:
        raise FeeRefused(f"{regime.name} is tabled for debts due from {regime.applies_from}.", code="fee_too_old")


def _unpaid_on(debt: Debt, day: date) -> int:
    return max(debt.amount - sum(paid.amount for paid in debt.payments if paid.on <= day), 0)


def _percent(points: int) -> str:
    return f"{points // 100}.{points % 100:02d} %"


def payments_in_order(payments: Sequence[Paid]) -> tuple[Paid, ...]:
    """Part payments by day."""
    return tuple(sorted(payments, key=lambda paid: paid.on))
