"""Owns what is told of a customer (charges, whereabouts) and the ways their money may come and go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from billing.retries.learned.calendars import CALENDARS
from billing.retries.learned.habits import (
    CROWD_BINS,
    GAP_BINS,
    LASTING_HOURS,
    LONGEST_HOURS,
    RANDOM_KINDS,
    SHORT_CLASSES,
    Floats,
    Habits,
)

Ints = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Charges:
    """A customer's charges, oldest first: UTC hours and local hours since 1970, and what was answered (-1 approved).

    `gap` and `week` are the bins of GAP_BINS and CROWD_BINS that each falls into, by the charges before it; `advice`
    is the place of the wait that was advised (see foretold), 0 for none.
    """

    utc: Ints
    local: Ints
    said: Ints
    gap: Ints
    week: Ints
    advice: Ints

    def __len__(self) -> int:
        return len(self.utc)

    def after(self, first: int) -> Charges:
        """Without the `first` ones, of which only remains how close charges are."""
        rest = (self.utc, self.local, self.said, self.gap, self.week, self.advice)
        return Charges(*(array[first:] for array in rest))

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, int, int]]) -> Charges:
        """From (UTC hour, local hour, answer, advice) of each charge, oldest first."""
        utc, local, said, advice = np.array(rows, np.int64).reshape(-1, 4).T
        gaps = np.append(np.diff(utc)[::-1], 10**6)[::-1][: len(utc)]
        week = np.arange(len(utc)) - np.searchsorted(utc, utc - 7 * 24)
        gap_bin = np.searchsorted(GAP_BINS, gaps, side="right")
        week_bin = np.searchsorted(CROWD_BINS, np.maximum(week, 0), side="right")
        return cls(utc, local, said, gap_bin, week_bin, advice)


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer to learn from."""

    person: Person
    charges: Charges


@dataclass(frozen=True, slots=True)
class Person:
    """Which country, group and bank of the habits a customer belongs to."""

    country: int
    group: int
    bank: int


def whereabouts(people: Sequence[Person]) -> tuple[Ints, Ints]:
    """Their countries and their banks."""
    return np.array([p.country for p in people]), np.array([p.bank for p in people])


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """Ways of coming and going. The random kinds come after those listed here, in every array by hypothesis.

    A beat is a calendar with the local hour of the day at which money comes in (0 where that is averaged over, in
    the first `averaged` of them): `beat` tells each hypothesis's; `hour` is by beat and `calendar` by customer and
    beat, or one row for all customers alike. `lasting` is the hypothesis's class. `curve` is the flat table of
    survival and `row` where each customer's and hypothesis's curve begins in it. `prior` sums to 1.
    """

    calendar: Ints
    hour: Ints
    averaged: int
    beat: Ints
    lasting: Ints
    curve: Floats
    row: Ints
    prior: Floats


def coarse(habits: Habits, people: Sequence[Person]) -> Hypotheses:
    """Every calendar with every class; the hour of arrival averaged over."""
    classes, calendars = len(LASTING_HOURS), len(CALENDARS)
    country = np.array([p.country for p in people])
    group = np.array([p.group for p in people])
    lasting = np.tile(np.arange(classes), calendars)
    by_class = habits.calendars[country][:, :, None] * habits.lasting[group][:, None, :]
    prior = np.concatenate([by_class.reshape(len(people), -1), habits.random[group]], axis=1)
    return Hypotheses(
        calendar=np.arange(calendars)[None, :],
        hour=np.zeros(calendars, np.int64),
        averaged=calendars,
        beat=np.repeat(np.arange(calendars), classes),
        lasting=lasting,
        curve=habits.curves,
        row=(country[:, None] * classes + lasting[None, :]) * LONGEST_HOURS,
        prior=prior.astype(np.float32),
    )


def fine(habits: Habits, people: Sequence[Person], calendars: Ints) -> Hypotheses:
    """Some calendars of each customer (customer x calendar) with every hour of arrival, for the classes of short-lived
    money only."""
    country, bank = whereabouts(people)
    group = np.array([p.group for p in people])
    habit = habits.calendars[country[:, None], calendars]
    spread = (habit[:, :, None] * habits.coming(country, bank)[:, None, :]).reshape(len(people), -1)
    beats = spread.shape[1]
    lasting = np.repeat(np.arange(SHORT_CLASSES), beats)
    by_class = habits.lasting[group][:, :SHORT_CLASSES, None] * spread[:, None, :]
    no_random = np.zeros((len(people), len(RANDOM_KINDS)))
    return Hypotheses(
        calendar=np.repeat(calendars, 24, axis=1),
        hour=np.tile(np.arange(24), calendars.shape[1]),
        averaged=0,
        beat=np.tile(np.arange(beats), SHORT_CLASSES),
        lasting=lasting,
        curve=habits.curves,
        row=((len(habits.hours) * len(LASTING_HOURS) + lasting) * LONGEST_HOURS)[None, :],
        prior=np.concatenate([by_class.reshape(len(people), -1), no_random], axis=1).astype(np.float32),
    )
