"""Owns banks that have just moved their hours: since when, and which hours and weekdays they keep now.

What a bank refuses by the hour is learned from all its charges. If it keeps other hours of late, hours that are closed
now are taken for open for months. So for each bank and each of some days it is asked whether hours of their own before
and since explain the answers better than hours that were always the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from billing.retries.learned.abreast import in_batches
from billing.retries.learned.banks import LEAST_REFUSED, MOST_REFUSED, OPEN, hours_of
from billing.retries.learned.calendars import weekday_of
from billing.retries.learned.habits import Floats, Habits
from billing.retries.learned.hypotheses import Customer, Ints
from billing.retries.learned.spans import FEWEST, SHARES, beforehand, spans

#: How many days ago a bank may have moved.
DAYS = (5, 7, 9, 12, 15, 18, 21, 25, 30, 36, 45, 60, 80, 110, 150, 220)
#: By how many nats that must explain better, over all such days: one bank in twenty moves in them.
_SELDOM = 3.0
#: How likely a weekday is like the others, where a bank has moved.
_USUAL_DAY = 0.9
_TURNS = 2
_NO_DAYS = np.zeros(7)
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class _Told:
    """Of charges, one entry each: the bank, the local hour since 1970, how likely the answer was where the bank lets
    pass, and by how much less where it is closed."""

    bank: Ints
    local: Ints
    opened: Floats
    less: Floats

    def of(self, which: NDArray[np.bool_]) -> _Told:
        """Some of the charges."""
        return _Told(self.bank[which], self.local[which], self.opened[which], self.less[which])

    def by_hour(self, days: Floats) -> Floats:
        """How likely all answers at each local hour are by the share that passes there, as logarithms, where so much
        is refused by weekday."""
        return self._by(self.local % 24, 24, 1 - days[weekday_of(self.local)])

    def kept_to(self) -> tuple[Floats, Floats]:
        """How much is refused by local hour and by weekday, found by turns."""
        days = _NO_DAYS
        for _turn in range(_TURNS):
            chances, _evidence = spans(self.by_hour(days)[None], often=OPEN)
            share = chances[0] @ SHARES
            days = self._days(share)
        return hours_of(share), days

    def _days(self, passing: Floats) -> Floats:
        """How much is refused by weekday, where so much passes by local hour; most weekdays are like the others."""
        told = self._by(weekday_of(self.local), 7, passing[self.local % 24])
        likely = beforehand(_USUAL_DAY) * np.exp(told - told.max(1, keepdims=True))
        return np.asarray(np.clip(1 - likely @ SHARES / likely.sum(1) / SHARES[-1], LEAST_REFUSED, MOST_REFUSED))

    def _by(self, place: Ints, places: int, otherwise: Floats) -> Floats:
        """By place and share; `otherwise` is the share of each charge that passes whatever its place."""
        chance = self.opened[:, None] - self.less[:, None] * (1 - otherwise[:, None] * SHARES)
        found = np.zeros((places, len(SHARES)))
        np.add.at(found, place, np.log(np.maximum(chance, _LEAST)))
        return found


def with_moves(habits: Habits, customers: Sequence[Customer]) -> Habits:
    """The habits with what banks have kept to since they moved; customers in falling order of charges."""
    unmoved = replace(
        habits,
        moved=np.zeros(len(habits.banks) + 1),
        refused_before=habits.refused,
        weekdays_before=habits.weekdays,
    )
    told = _told(unmoved, customers)
    refused, weekdays, moved = habits.refused.copy(), habits.weekdays.copy(), unmoved.moved.copy()
    many = np.bincount(told.bank, minlength=len(moved))
    for bank in 1 + np.flatnonzero(many[1:] >= FEWEST):
        own = told.of(told.bank == bank)
        begun = int(own.local.max()) + 1 - 24 * np.array(DAYS)
        begun = begun[begun > own.local.min()]
        if not len(begun):
            continue
        whole = own.by_hour(_NO_DAYS)
        late = np.array([own.of(own.local >= at).by_hour(_NO_DAYS) for at in begun])
        _chances, as_ever = spans(whole[None])
        _chances, since = spans(late)
        _chances, until = spans(whole - late)
        better = since + until - as_ever
        best = int(better.argmax())
        if better[best] + np.log(np.exp(better - better[best]).mean()) > _SELDOM:
            moved[bank] = begun[best]
            refused[bank], weekdays[bank] = own.of(own.local >= begun[best]).kept_to()
    return replace(unmoved, refused=refused, weekdays=weekdays, moved=moved)


def _told(habits: Habits, customers: Sequence[Customer]) -> _Told:
    banks, at, opened, less = [], [], [], []
    for batch, _belief, steps in in_batches(customers, habits):
        for index, step in enumerate(steps):
            here = batch[: len(step.told)]
            banks += [c.person.bank for c in here]
            at += [int(c.charges.local[index]) for c in here]
            opened += step.opened.tolist()
            less += (step.exposed * (step.opened - step.closed)).tolist()
    return _Told(np.array(banks, int), np.array(at, int), np.array(opened), np.array(less))
