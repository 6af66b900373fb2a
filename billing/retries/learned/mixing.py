"""Owns how common pay calendars, lengths of time and random kinds are, given how well each explains each customer.

What a country or group shows by itself is drawn to what everybody shows, and that to what is supposed beforehand:
first how common each family of calendars is, then the days within it. How strongly days are drawn is tried out: half
of the customers must foresee the other half. Where countries share paydays they are learned soon, where everybody has
their own nothing is made of a few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from billing.retries.learned.calendars import CALENDARS
from billing.retries.learned.habits import LASTING_HOURS, Floats, Habits
from billing.retries.learned.hypotheses import Ints, Person

#: Pseudo-counts, of what a country shows and of days within a family of calendars: the strongest first.
STRENGTHS = tuple((own, days) for own in (240.0, 60.0, 15.0, 5.0) for days in (2000.0, 600.0, 200.0, 60.0))
_SUPPOSED = (15.0, 200.0)
#: The first is taken that foresees less well than the best by less than this, in log-likelihood.
_NEARLY = 1.0
#: From so many customers on, strengths are tried, and on so many at most: it costs many turns.
_TRIED_FROM, _TRIED_ON = 20, 300
_SHRINK_FAMILY = 20.0
_SHRINK_GROUP = 10.0
_TURNS = 8
_FAMILY = np.unique([calendar.family for calendar in CALENDARS], return_inverse=True)[1]
_MANY = len(CALENDARS) * len(LASTING_HOURS)


@dataclass(frozen=True, slots=True)
class Fits:
    """How well each hypothesis explains each customer (the best of each is 1), their countries and groups."""

    explains: Floats
    country: Ints
    group: Ints

    def of(self, rows: Ints) -> Fits:
        """Some of the customers."""
        return Fits(self.explains[rows], self.country[rows], self.group[rows])

    @property
    def by_pay(self) -> Floats:
        """Customer x calendar x class."""
        return self.explains[:, :_MANY].reshape(len(self.explains), len(CALENDARS), len(LASTING_HOURS))


@dataclass(frozen=True, slots=True)
class Shares:
    """Of each calendar by country and of each class and random kind by group; the customers counted for each of them;
    and the strengths by which countries and days are drawn to what is common. Row 0 is everybody."""

    calendars: Floats
    kinds: Floats
    seen_calendars: Floats
    seen_kinds: Floats
    drawn: tuple[float, float]


def mixed(habits: Habits, fits: Fits) -> Shares:
    """The shares that explain these customers, by the strengths that foresee best among them."""
    begun = Shares(
        habits.calendars,
        np.concatenate([habits.lasting, habits.random], axis=1),
        habits.seen_calendars,
        habits.seen_kinds,
        _SUPPOSED,
    )
    # Who always has enough tells nothing of calendars.
    short = np.flatnonzero(fits.explains[:, -1] < 0.5)
    if len(short) > _TRIED_FROM:
        short = short[:: -(-len(short) // _TRIED_ON)]
        halves = fits.of(short[::2]), fits.of(short[1::2])
        foreseen = {
            drawn: sum(_explained(_settled(a, begun, drawn), b) for a, b in (halves, halves[::-1]))
            for drawn in STRENGTHS
        }
        best = max(foreseen.values())
        return _settled(fits, begun, next(drawn for drawn in STRENGTHS if foreseen[drawn] > best - _NEARLY))
    return _settled(fits, begun, _SUPPOSED)


def _settled(fits: Fits, shares: Shares, drawn: tuple[float, float]) -> Shares:
    """Expectation maximisation, many quick turns: shares move slowly where most customers say little."""
    by_pay, by_chance = fits.by_pay, fits.explains[:, _MANY:]
    classes = len(LASTING_HOURS)
    for _turn in range(_TURNS):
        c, k = shares.calendars[fits.country].astype(np.float32), shares.kinds[fits.group].astype(np.float32)
        of_calendar = np.einsum("uck,uk->uc", by_pay, k[:, :classes]) * c
        of_class = np.einsum("uck,uc->uk", by_pay, c) * k[:, :classes]
        of_random = by_chance * k[:, classes:]
        whole = (of_calendar.sum(1) + of_random.sum(1))[:, None]
        seen_calendars = summed(of_calendar / whole, fits.country, len(shares.calendars))
        seen_kinds = summed(np.concatenate([of_class, of_random], axis=1) / whole, fits.group, len(shares.kinds))
        common = _common_calendars(seen_calendars[0], drawn[1])
        calendars = shrunk(seen_calendars, common, drawn[0])
        calendars[0] = common
        any_group = _common_kinds(seen_kinds[0])
        kinds = shrunk(seen_kinds, any_group, _SHRINK_GROUP)
        kinds[0] = any_group
        shares = Shares(calendars, kinds, seen_calendars, seen_kinds, drawn)
    return shares


def _explained(shares: Shares, fits: Fits) -> float:
    """The log-likelihood of customers."""
    c, k = shares.calendars[fits.country].astype(np.float32), shares.kinds[fits.group].astype(np.float32)
    classes = len(LASTING_HOURS)
    by_pay = (np.einsum("uck,uk->uc", fits.by_pay, k[:, :classes]) * c).sum(1)
    return float(np.log(by_pay + (fits.explains[:, _MANY:] * k[:, classes:]).sum(1)).sum())


def apart(habits: Habits, person: Person, calendars: Floats, kinds: Floats) -> tuple[Floats, Floats]:
    """By how much calendars, and classes with random kinds, are likelier for a customer by what all the others show
    than by what all show, the customer's own share among them: what they did must not speak for itself twice."""
    own, days = habits.drawn.tolist()
    seen_calendars, seen_kinds = habits.seen_calendars, habits.seen_kinds
    common = _common_calendars(_less(seen_calendars[0], calendars), days)
    if person.country:
        common = shrunk(_less(seen_calendars[person.country], calendars), common, own)
    usual = _common_kinds(_less(seen_kinds[0], kinds))
    if person.group:
        usual = shrunk(_less(seen_kinds[person.group], kinds), usual, _SHRINK_GROUP)
    had = np.concatenate([habits.lasting[person.group], habits.random[person.group]])
    return common / habits.calendars[person.country], usual / had


def _less(seen: Floats, own: Floats) -> Floats:
    return np.asarray(np.maximum(seen - own, 0))


def _common_calendars(seen: Floats, days: float) -> Floats:
    """How common calendars are everywhere: families of them are learned sooner than the days within each."""
    flat = Habits.flat().calendars[0]
    shares, even = np.bincount(_FAMILY, seen), np.bincount(_FAMILY, flat)
    within = (seen + days * flat) / (shares + days * even)[_FAMILY]
    return np.asarray(within * shrunk(shares, even, _SHRINK_FAMILY)[_FAMILY])


def _common_kinds(seen: Floats) -> Floats:
    flat = Habits.flat()
    return shrunk(seen, np.concatenate([flat.lasting[0], flat.random[0]]), _SHRINK_GROUP * 3)


def shrunk(own: Floats, everybody: Floats, strength: float) -> Floats:
    """Own counts with `strength` pseudo-counts spread as everybody's; rows sum to 1."""
    both = own + strength * everybody
    return np.asarray(both / both.sum(axis=-1, keepdims=True))


def summed(rows: Floats, place: Ints, places: int) -> Floats:
    """Rows summed by place; place 0 gets all of them."""
    found = np.zeros((places, rows.shape[1]))
    np.add.at(found, place, rows)
    found[0] = rows.sum(0)
    return found
