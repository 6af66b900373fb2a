"""Owns chances that are tried out: how often calendars change, always and of late (when everything may have begun to
change at once), how often pay is late and how often money comes from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from billing.retries.learned.abreast import in_batches
from billing.retries.learned.habits import APPROVED, LATELY_HOURS, Habits
from billing.retries.learned.hypotheses import Customer

YEAR_HOURS = 365 * 24.0
#: What is tried, one after another: how often in an hour calendars change, how often pay comes late, and how often
#: there is money although the pay is used up.
_TRIED: dict[str, tuple[float, ...]] = {
    "moving": (0.2 / YEAR_HOURS, 0.8 / YEAR_HOURS, 3.0 / YEAR_HOURS),
    "late": (0.0, 0.3, 0.6),
    "gifts": (0.01, 0.03),
}
#: Of the last weeks alone, in case everything has just changed; see with_lately.
LATELY_RATES = (2.0, 4.0, 8.0, 16.0)
#: In nats, one for each of the two numbers that are fitted to so few charges (Akaike 1974).
_LATELY_MARGIN = 2.0
#: Customers that the rates are tried on, about.
_TRIED_CUSTOMERS, _LATELY_CUSTOMERS = 250, 1000


def with_chances(habits: Habits, customers: Sequence[Customer], now: int) -> Habits:
    """How often calendars change, pay is late and money comes from elsewhere, by what best foresees the last 60 days
    before the UTC hour `now`.

    Customers come in falling order of how many charges they have, here and below.
    """
    customers = _some(customers, _TRIED_CUSTOMERS)
    for name, values in _TRIED.items():
        tried = [replace(habits, **{name: value}) for value in values]  # type: ignore[arg-type]
        habits = max(tried, key=lambda one: foreseen(customers, one, now - 60 * 24))
    return habits


def with_lately(habits: Habits, customers: Sequence[Customer], now: int) -> Habits:
    """Whether calendars have begun to change of late, by what best foresees the last weeks; none, in doubt."""
    since = now - LATELY_HOURS
    customers = _some(customers, _LATELY_CUSTOMERS)
    # Plans are about those who are refused at times; the others foresee themselves well by any calendar.
    short = [c for c in customers if (c.charges.said != APPROVED).any() and c.charges.utc[-1] > since]
    best, most = habits, foreseen(short, habits, since) + _LATELY_MARGIN
    for rate in LATELY_RATES:
        tried = replace(habits, moving_lately=rate / YEAR_HOURS, lately=since)
        if (found := foreseen(short, tried, since)) > most:
            best, most = tried, found
    return best


def _some(customers: Sequence[Customer], many: int) -> Sequence[Customer]:
    return customers[:: max(1, len(customers) // many)]


def foreseen(customers: Sequence[Customer], habits: Habits, since: int) -> float:
    """The logarithm of the chance that was given to what came, summed over charges after the UTC hour `since`."""
    total = 0.0
    for batch, _belief, steps in in_batches(customers, habits):
        for index, step in enumerate(steps):
            for number, chance in enumerate(step.foreseen):
                if (charges := batch[number].charges).utc[index] > since:
                    right = chance if charges.said[index] == APPROVED else 1 - chance
                    total += float(np.log(max(right, 1e-6)))
    return total
