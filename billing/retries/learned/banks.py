"""Owns what is learned of banks' own hours and weekdays, from charges refused for no lack of money.

A bank may refuse by hour of the day and by day of the week; both are local to the customer. Hours in which few were
charged are learned from those around them, and from all banks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from billing.retries.learned.calendars import weekday_of
from billing.retries.learned.habits import APPROVED, EXPOSED, GAP_BINS, OTHER_WORDS, Floats, Habits
from billing.retries.learned.hypotheses import Customer
from billing.retries.learned.spans import by_spans

#: Pseudo-counts: of all banks' weekdays in a bank's, and of all banks' hours in each hour of a bank's.
_DAY, _SHARED = 8.0, 0.3
#: How likely hours are open of which nothing is known, and how far each is drawn to the bank's mean.
OPEN, _UNSURE = 0.5, 0.2
#: By how many standard deviations weekdays are doubted at first sight.
_DOUBTED = 2.0
_TURNS = 6
#: Banks change their habits: no hour is ever held to be safer than this, none to be more surely closed.
LEAST_REFUSED, MOST_REFUSED = 0.02, 0.97


def at_first_sight(habits: Habits, customers: Sequence[Customer], doubt: float) -> Habits:
    """The hours and weekdays that banks seem to keep at first sight: fewer of their customers are approved then.

    Expectation maximisation would never find a closed bank from even beginnings: each customer who was always refused
    there would be taken for one without money. A customer counts once an hour, however often they were charged
    then, so that one of them makes no habit. Charges soon after another may have been refused for that, and those
    refused for lack of money tell nothing. What is missing to the bank's best hour, by `doubt` standard deviations at
    least, is taken for more than it is, the more so the less it is: hours wrongly closed are opened by what passes
    in them, turn by turn; those wrongly open make people poor for good. Weekdays are always doubted, since paydays
    look like them.
    """
    (passed, refused), days = np.zeros((2, len(habits.banks) + 1, 24)), np.zeros((2, len(habits.banks) + 1, 7))
    for customer in customers:
        told, rows = customer.charges, list({0, customer.person.bank})
        known = ((told.said == APPROVED) | np.isin(told.said, OTHER_WORDS)) & (told.gap == len(GAP_BINS))
        good = told.said[known] == APPROVED
        for counts, place in (((passed, refused), told.local[known] % 24), (days, weekday_of(told.local[known]))):
            whole = np.bincount(place, minlength=counts[0].shape[1])
            share = np.bincount(place[good], minlength=len(whole)) / np.maximum(whole, 1)
            counts[0][rows] += (whole > 0) * share
            counts[1][rows] += (whole > 0) * (1 - share)
    passes, unsure = by_spans(passed, refused, shared=_SHARED)
    by_day = (days[0] + _DAY * (days[0].sum(1) / np.maximum(days.sum((0, 2)), 1))[:, None]) / (days.sum(0) + _DAY)
    spread = np.sqrt(by_day * (1 - by_day) / (days.sum(0) + _DAY))
    return replace(
        habits,
        refused=np.clip(_missing(passes, doubt * unsure) / EXPOSED, LEAST_REFUSED, MOST_REFUSED),
        weekdays=np.minimum(_missing(by_day, _DOUBTED * spread) / EXPOSED, MOST_REFUSED),
    )


def _missing(passes: Floats, unsure: Floats) -> Floats:
    """What is missing to each bank's best, taken for more than it is."""
    best = np.maximum(passes.max(1, keepdims=True), LEAST_REFUSED)
    return np.asarray(np.sqrt(np.maximum(0, 1 - (passes + unsure) / best)))


def with_banks(habits: Habits, passed: Floats, refused: Floats) -> Habits:
    """The hours and weekdays that explain how many charges passed and were refused: bank x weekday x local hour.

    A charge passes where both do. The chances are found by turns, each given the other; hours that are mostly closed
    tell nothing of the days, nor such days of the hours. Each hour is drawn to the bank's mean a little, since banks
    change their habits.
    """
    whole = passed + refused
    by_hour = np.zeros((len(whole), 24))
    for _turn in range(_TURNS):
        # So many would have been expected to pass, were it not for the day; and were it not for the hour.
        told = _mostly_open(by_hour)[:, None, :]
        expected = (whole * told * (1 - by_hour)[:, None, :]).sum(2)
        by_day = _days(expected, np.minimum((passed * told).sum(2), expected))
        told = _mostly_open(by_day)[:, :, None]
        expected = (whole * told * (1 - by_day)[:, :, None]).sum(1)
        good = np.minimum((passed * told).sum(1), expected)
        share, _unsure = by_spans(good, expected - good, shared=_SHARED, often=OPEN)
        by_hour = np.clip(1 - share, LEAST_REFUSED, MOST_REFUSED)
    return replace(habits, refused=hours_of(share), weekdays=by_day)


def hours_of(share: Floats) -> Floats:
    """The chances to be refused by the hour that are believed where that share passes: each drawn to the mean a
    little, since banks change their habits."""
    refused = np.clip(1 - share, LEAST_REFUSED, MOST_REFUSED)
    return np.asarray(refused + _UNSURE * (refused.mean(-1, keepdims=True) - refused))


def _mostly_open(refused: Floats) -> Any:
    """Which hours or days of each bank let pass at least half of what its best does."""
    return 2 * (1 - refused) >= (1 - refused).max(1, keepdims=True)


def _days(whole: Floats, passed: Floats) -> Floats:
    refused = whole - passed
    usual = (refused[0] + 0.01 * 200) / (whole[0] + 200)
    found = (refused + _DAY * usual) / (whole + _DAY)
    found[0] = usual
    return np.asarray(np.minimum(found, MOST_REFUSED))
