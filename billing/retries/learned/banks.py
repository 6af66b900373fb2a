"""Owns what is learned of banks' own hours and weekdays, from charges refused for no lack of money.

A bank may refuse by hour of the day and by day of the week; both are local to the customer. What one hour shows is
drawn to the hours beside it and to what the bank does at all other hours, and that to what all banks do: hours in
which few were charged are learned from the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from billing.retries.learned.habits import APPROVED, GAP_BINS, WORDLESS, Floats, Habits
from billing.retries.learned.hypotheses import Customer

#: Pseudo-counts: of all banks' mean in a bank's, of the bank's mean and of neighbouring hours in an hour's, and of all
#: banks' weekdays in a bank's.
_BANK, _MEAN, _NEAR, _DAY = 25.0, 2.0, 4.0, 8.0
#: How much the hours one and two away tell of an hour.
_BESIDE = ((1, 0.6), (2, 0.3))
_TURNS = 6
#: Banks change their habits: no hour is ever held to be safer than this, none to be more surely closed.
LEAST_REFUSED, MOST_REFUSED = 0.02, 0.97


def at_first_sight(habits: Habits, customers: Sequence[Customer]) -> Habits:
    """The hours that banks seem to keep at first sight.

    Expectation maximisation would never find a closed bank from even beginnings: each customer who was always refused
    there would be taken for one without money. A customer counts once an hour and weekday, however often they were
    charged, so that one of them makes no habit. Charges soon after another may have been refused for that.
    """
    passed, refused = np.zeros((2, len(habits.banks) + 1, 7, 24))
    for customer in customers:
        told, bank = customer.charges, customer.person.bank
        known = ((told.said == APPROVED) | np.isin(told.said, WORDLESS)) & (told.gap == len(GAP_BINS))
        place = ((told.local // 24 + 3) % 7 * 24 + told.local % 24)[known]
        good = np.bincount(place, told.said[known] == APPROVED, 7 * 24)
        whole = np.maximum(np.bincount(place, minlength=7 * 24), 1)
        seen = (np.bincount(place, minlength=7 * 24) > 0).reshape(7, 24)
        share = (good / whole).reshape(7, 24)
        for row in {0, bank}:
            passed[row] += share * seen
            refused[row] += (1 - share) * seen
    return with_banks(habits, passed, refused)


def with_banks(habits: Habits, passed: Floats, refused: Floats) -> Habits:
    """The hours and weekdays that explain how many charges passed and were refused: bank x weekday x local hour.

    A charge passes where both do. The chances are found by turns, each given the other.
    """
    whole = passed + refused
    by_hour = np.zeros((len(whole), 24))
    for _turn in range(_TURNS):
        # So many would have been expected to pass, were it not for the day; and were it not for the hour.
        expected = (whole * (1 - by_hour)[:, None, :]).sum(2)
        by_day = _days(expected, np.minimum(passed.sum(2), expected))
        expected = (whole * (1 - by_day)[:, :, None]).sum(1)
        by_hour = _hours(expected, np.minimum(passed.sum(1), expected))
    return replace(habits, refused=by_hour, weekdays=by_day)


def _hours(whole: Floats, passed: Floats) -> Floats:
    refused = whole - passed
    usual = (refused[0] + 0.05 * 20) / (whole[0] + 20)
    mean = float(usual.mean())
    level = (refused.sum(1) + mean * _BANK) / (whole.sum(1) + _BANK)
    # All banks' hours, as much likelier to refuse as this bank is.
    more = (level / (1 - level) / (mean / (1 - mean)))[:, None]
    odds = usual / (1 - usual) * more
    near_refused = sum(w * (np.roll(refused, n, 1) + np.roll(refused, -n, 1)) for n, w in _BESIDE)
    near = sum(w * (np.roll(whole, n, 1) + np.roll(whole, -n, 1)) for n, w in _BESIDE)
    lesser = _NEAR / np.maximum(near, _NEAR)
    before = (near_refused * lesser + _MEAN * odds / (1 + odds)) / (near * lesser + _MEAN)
    found = (refused + (_NEAR + _MEAN) * before) / (whole + _NEAR + _MEAN)
    found[0] = usual
    return np.asarray(np.clip(found, LEAST_REFUSED, MOST_REFUSED))


def _days(whole: Floats, passed: Floats) -> Floats:
    refused = whole - passed
    usual = (refused[0] + 0.01 * 200) / (whole[0] + 200)
    found = (refused + _DAY * usual) / (whole + _DAY)
    found[0] = usual
    return np.asarray(np.minimum(found, MOST_REFUSED))
