"""Owns what is learned of banks' own hours and weekdays, from charges refused for no lack of money.

A bank may refuse by hour of the day and by day of the week; both are local to the customer. What one hour shows is
drawn to the hours beside it and to what the bank does at all other hours, and that to what all banks do: hours in
which few were charged are learned from the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from billing.retries.learned.calendars import week_hour_of
from billing.retries.learned.habits import APPROVED, GAP_BINS, WORDLESS, Floats, Habits
from billing.retries.learned.hypotheses import Customer

#: Pseudo-counts: of all banks' mean in a bank's, of the bank's mean and of neighbouring hours in an hour's, and of all
#: banks' weekdays in a bank's.
_BANK, _MEAN, _NEAR, _DAY = 25.0, 2.0, 4.0, 8.0
#: How much the hours one and two away tell of an hour.
_BESIDE = ((1, 0.6), (2, 0.3))
_TURNS = 6
#: By how many nats its own hours must explain better what a bank refused than the usual share of refusals does. (What
#: chance alone gains is less.)
_CLEARLY = 8.0
#: Banks change their habits: no hour is ever held to be safer than this, none to be more surely closed.
LEAST_REFUSED, MOST_REFUSED = 0.02, 0.97


def at_first_sight(habits: Habits, customers: Sequence[Customer]) -> Habits:
    """The hours that banks seem to keep at first sight.

    Expectation maximisation would never find a closed bank from even beginnings: each customer who was always refused
    there would be taken for one without money. A customer counts once an hour, however often they were charged
    then, so that one of them makes no habit. Charges soon after another may have been refused for that. Only what
    a bank refuses beyond what is usual speaks of its hours, and only where that is clear: all banks have customers
    without money, whatever word they have for that.
    """
    passed, refused = np.zeros((2, len(habits.banks) + 1, 7, 24))
    for customer in customers:
        told, bank = customer.charges, customer.person.bank
        known = ((told.said == APPROVED) | np.isin(told.said, WORDLESS)) & (told.gap == len(GAP_BINS))
        place = week_hour_of(told.local)[known]
        whole = np.bincount(place, minlength=7 * 24).reshape(7, 24)
        good = np.bincount(place[told.said[known] == APPROVED], minlength=7 * 24).reshape(7, 24)
        # One vote for each hour they were charged at, shared out among its weekdays.
        weight = (whole > 0) / np.maximum((whole > 0).sum(0), 1)
        share = good / np.maximum(whole, 1)
        for row in {0, bank}:
            passed[row] += weight * share
            refused[row] += weight * (1 - share)
    found = with_banks(habits, passed, refused)
    passes = (1 - found.weekdays)[:, :, None] * (1 - found.refused)[:, None, :]
    usual = _usual(passed.sum((1, 2)), refused.sum((1, 2)))
    clear = (_told(passed, refused, passes) - _told(passed, refused, np.array(usual)) > _CLEARLY)[:, None]
    by_hour = np.maximum(1 - (1 - found.refused) / usual, LEAST_REFUSED)
    return replace(
        habits,
        refused=np.where(clear, by_hour, habits.refused),
        weekdays=np.where(clear, found.weekdays, habits.weekdays),
    )


def _usual(passed: Floats, refused: Floats) -> float:
    """The share of charges that passes at the bank in the middle, by how much is known of each."""
    # Where no bank is named all charges are one bank's, in row 0.
    banks = slice(min(1, len(passed) - 1), None)
    known = passed[banks] + refused[banks]
    share = (passed[banks] + 1) / (known + 2)
    order = np.argsort(share)
    upto = np.cumsum(known[order])
    return float(share[order][np.searchsorted(upto, upto[-1] / 2)])


def _told(passed: Floats, refused: Floats, passes: Floats) -> Floats:
    """The log-likelihood of what passed and was refused, by bank."""
    return np.asarray((passed * np.log(passes) + refused * np.log(1 - passes)).sum((1, 2)))


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
