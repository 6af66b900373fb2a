"""Owns what is believed of customers: the weight of every way their money may come and go, given their charges.

A hypothesis is a pay calendar with a class of how long money lasts, or a kind of coming and going without a calendar.
Charges are taken in one by one, oldest first. Under each hypothesis is kept how likely it is that the current cycle's
money is there, or still to come; that the card is dead or a refusal still lasts is kept over all of them. Many
customers are taken in side by side: the first axis of every array is the customer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from billing.retries.learned.answers import answers, mixed
from billing.retries.learned.arriving import ARRIVING_HOURS, STEP_OF
from billing.retries.learned.calendars import COMES, table_for
from billing.retries.learned.foretold import foretold
from billing.retries.learned.habits import (
    APPROVED,
    BLOCK_HOURS,
    DEAD,
    EXPOSED,
    FINAL_CODE,
    LASTING_HOURS,
    LATELY_HOURS,
    LONG_BLOCK,
    LONGEST_HOURS,
    RANDOM_KINDS,
    SHORT_BLOCK,
    Floats,
    Habits,
)
from billing.retries.learned.hypotheses import Charges, Hypotheses, Ints, Person

_THERE = np.array([there for there, _gone in RANDOM_KINDS], np.float32)
_GONE = np.array([gone for _there, gone in RANDOM_KINDS], np.float32)
STANDING = _THERE / (_THERE + _GONE)
CHANGE = 1 / _THERE + 1 / _GONE
_LEAST = np.float32(1e-9)
NEVER = -(10**6)
#: What is less likely than this to be still to come is not looked for.
LEAST_PENDING = 1e-3
#: No refusal without a final code proves a card dead; banks change their habits, too.
MOST_DEAD = 0.9


@dataclass(slots=True)
class Belief:
    """The state after some charges.

    `kept`: the chance that the current cycle's money was there at the last charge, and `pending` that it had not come
    then and will: what is left to 1 is used up, or never comes. `lasted`: the chance of such money to be there then;
    `payday`: that cycle's day and `since`: the hours from its midnight to the last charge, by beat. `there`: for
    random kinds, the chance that money was there at the last charge. `exposed`: the chance that the card meets its
    bank's hours, for those who do not always have enough and, last, for those who do. `dead` and `blocks` are chances;
    `at` is the UTC hour of the last charge or NEVER.
    """

    hyps: Hypotheses
    weights: Floats
    kept: Floats
    lasted: Floats
    payday: Ints
    since: Ints
    pending: Floats
    there: Floats
    exposed: Floats
    dead: Floats
    blocks: Floats
    at: Ints

    def arrays(self) -> tuple[Any, ...]:
        """All but the hypotheses, in the order of the fields."""
        return tuple(getattr(self, f.name) for f in fields(self)[1:])

    def copy(self) -> Belief:
        """One that can be taken further without changing this one."""
        return Belief(self.hyps, *(array.copy() for array in self.arrays()))


@dataclass(slots=True)
class Step:
    """What fitting needs of one charge of each customer that has one.

    By hypothesis, whether there was `money` and the `chance` of the answer; `parts` of that, if there was none, are
    cause x customer x (who does not always have enough, who does). The chances of an approval, `foreseen`, and of what
    was `told`, the latter also if the bank was `opened`, and `closed` to cards that are `exposed` to its hours; and
    the advised waits, each with how likely one who knows when money comes would have advised it.
    """

    money: Floats
    chance: Floats
    parts: Floats
    foreseen: Floats
    told: Floats
    opened: Floats
    closed: Floats
    exposed: Floats
    advices: list[tuple[int, float]]


def begin(hyps: Hypotheses) -> Belief:
    """The belief before any charge."""
    people, many = len(hyps.prior), len(hyps.beat)
    return Belief(
        hyps,
        hyps.prior.copy(),
        np.ones((people, many), np.float32),
        np.ones((people, many), np.float32),
        np.full((people, hyps.calendar.shape[1]), NEVER, np.int32),
        np.zeros((people, hyps.calendar.shape[1]), np.int32),
        np.zeros((people, many), np.float32),
        np.tile(STANDING, (people, 1)),
        np.full((people, 2), EXPOSED),
        np.zeros(people),
        np.zeros((people, 2)),
        np.full(people, NEVER),
    )


def take_in(
    belief: Belief,
    people: Sequence[Person],
    charges: Sequence[Charges],
    habits: Habits,
    *,
    steps: list[Step] | None = None,
) -> Belief:
    """Take in each customer's charges, changing the belief. Customers must come in falling order of how many charges
    they have."""
    counts = np.array([len(c) for c in charges], np.int64)
    if not counts.any():
        return belief
    hyps = belief.hyps
    many = len(hyps.beat)
    table = table_for(
        min(int(c.local[0]) for c in charges if len(c)) // 24 - 2,
        max(int(c.local[-1]) for c in charges if len(c)) // 24 + 1,
    )
    banks = np.array([p.bank for p in people])
    gifts, one = np.float32(habits.gifts), np.float32(1)
    comes = (COMES * np.float32(1 - habits.skipped)).take(hyps.calendar).take(hyps.beat, axis=1)
    waiting, places = habits.arriving.waiting.ravel(), _waiting_places(hyps)
    for n, said, utc, local, gap, week, advice in _abreast(charges, counts):
        bank = banks[:n]
        passed = np.where(belief.at[:n] == NEVER, 0, utc - belief.at[:n])
        # What time does: calendars change, cards die, blocks end, money comes and goes.
        ended = np.minimum(utc, habits.lately + 2 * LATELY_HOURS)
        lately = np.maximum(0, ended - np.maximum(utc - passed, habits.lately))
        moved = (1 - np.exp(-habits.moving * passed - habits.moving_lately * lately)).astype(np.float32)[:, None]
        weights = belief.weights[:n]
        change = hyps.prior[:n] - weights
        change *= moved
        weights += change
        dead = belief.dead[:n] + (1 - belief.dead[:n]) * (1 - np.exp(-habits.dying * passed))
        blocks = belief.blocks[:n] * np.exp(-passed[:, None] / np.array(BLOCK_HOURS))
        there = STANDING + (belief.there[:n] - STANDING) * np.exp(-CHANGE * passed[:, None].astype(np.float32))
        # Whether money is there, under each hypothesis. The sums are made in place: these arrays are what costs.
        shifted = local[:, None] - hyps.hour[None, :]
        calendar = hyps.calendar[: n if len(hyps.calendar) > 1 else 1]
        latest = table.latest[calendar, shifted // 24 - table.first]
        since = np.minimum(shifted - 24 * latest, LONGEST_HOURS - 1)
        curves = hyps.row[: n if len(hyps.row) > 1 else 1]
        hours = since.take(hyps.beat, axis=1)
        hours += curves
        lasts = hyps.curve.take(hours)
        same_day = latest == belief.payday[:n]
        same = same_day.take(hyps.beat, axis=1)
        held = lasts / belief.lasted[:n]
        np.minimum(one, held, out=held)
        held *= belief.kept[:n]
        waiting_beats = same_day & (belief.since[:n] < ARRIVING_HOURS)
        if waiting_beats.any():
            waited = np.flatnonzero(waiting_beats.take(hyps.beat, axis=1) & (belief.pending[:n] > LEAST_PENDING))
            held.ravel()[waited] += still_to_come(belief, habits, curves, since, waited)
        money = np.concatenate([lasts * comes[: n if len(comes) > 1 else 1], there], axis=1)
        by_pay = money[:, :many]
        np.copyto(by_pay, held, where=same)
        # Money that came from elsewhere: without it one odd approval would rule the true calendar out.
        np.subtract(one, by_pay, out=held)
        held *= gifts
        by_pay += held
        # Before anybody looks at the money the card may be dead, or the bank refuse for reasons of its own. So the
        # answer's chance is constant + slope x money, whatever the hypothesis.
        blocked = blocks + (1 - blocks) * habits.blocked
        told = answers(habits, bank, local, (gap, week), said, dead, blocked)
        exposed = belief.exposed[:n]
        constant, slope = mixed(exposed, told.constant), mixed(exposed, told.slope)
        constants = constant.astype(np.float32)
        chance = slope[:, :1].astype(np.float32) * money
        chance += constants[:, :1]
        chance[:, -1] = constant[:, 1] + slope[:, 1] * money[:, -1]
        chance += _LEAST
        whole, with_money = (weights * chance).sum(1), in_two(weights * money)
        if steps is not None:
            passes, causes = mixed(exposed, told.passes), mixed(exposed, told.causes)
            foreseen, bound = (with_money * passes).sum(1), (exposed * in_two(weights)).sum(1)
            opened, closed = told.constant[1:] + told.slope[1:] * with_money.sum(1)
            steps.append(Step(money, chance, causes, foreseen, whole, opened, closed, bound, []))
        belief.exposed[:n] = told.after(exposed, in_two(weights), with_money)
        weights *= chance
        weights /= whole[:, None]
        for row in np.flatnonzero(advice).tolist():
            wait = int(advice[row])
            by_one_who_knows = foretold(hyps, row, table, habits.hours[people[row].country], int(local[row]), wait)
            if steps is not None:
                steps[-1].advices.append((wait, float(weights[row] @ by_one_who_knows)))
            by_others = (1 - habits.foresight) * float(habits.advised[wait - 1])
            weights[row] *= habits.foresight * by_one_who_knows + by_others
            weights[row] /= weights[row].sum()
        # What is left to believe of the cycle, the card and the blocks.
        empty = one - money
        empty[:, :-1] *= constants[:, :1]
        empty[:, -1] *= constants[:, 1]
        empty /= chance
        empty[said == APPROVED] = 0
        own = slice(n if len(places) > 1 else 1)
        pending = on_the_way(belief, waiting, places[own], since, same_day, comes[: n if len(comes) > 1 else 1])
        pending *= constants[:, :1]
        pending /= chance[:, :many]
        np.minimum(pending, empty[:, :many], out=pending)
        belief.pending[:n] = pending
        np.subtract(one, empty[:, :many], out=belief.kept[:n])
        np.subtract(one, empty[:, many:], out=belief.there[:n])
        # (These do not depend on the bank's hours.)
        blame = told.causes[0] / whole
        belief.dead[:n] = np.where(said == FINAL_CODE, 1, np.minimum(blame[DEAD], MOST_DEAD))
        belief.blocks[:n] = blame[[SHORT_BLOCK, LONG_BLOCK]].T
        belief.lasted[:n], belief.payday[:n], belief.since[:n], belief.at[:n] = lasts, latest, since, utc
    return belief


def in_two(weights: Floats) -> Floats:
    """The sums over hypotheses: of who does not always have enough, and of who does."""
    return np.stack([weights[:, :-1].sum(1), weights[:, -1]], axis=1)


def still_to_come(belief: Belief, habits: Habits, row: Ints, since: Ints, places: Ints) -> Floats:
    """The chance that money that had not come at the last charge is there now, at flat places (customer, hypothesis).

    `since` are the hours since each beat's payday; of the chance that it had not come, belief.pending, a part.
    """
    hyps, many = belief.hyps, len(belief.hyps.beat)
    customer, hyp = np.divmod(places, many)
    beat = hyps.beat[hyp]
    step = STEP_OF[np.minimum(belief.since[customer, beat], ARRIVING_HOURS - 1)]
    curve = row[customer if len(row) > 1 else 0, hyp] // LONGEST_HOURS
    to_come = habits.arriving.to_come
    flat = ((curve * to_come.shape[2]) + step) * LONGEST_HOURS + since[customer, beat]
    return np.asarray(belief.pending[customer, hyp] * to_come.ravel().take(flat))


def on_the_way(belief: Belief, waiting: Floats, place: Ints, since: Ints, same: Any, comes: Floats) -> Floats:
    """The chance, by customer and hypothesis, that money is still to come, before what a charge was answered.

    `waiting` is flat, and `place` tells where in it each beat's hours begin; `since` are the hours since its payday
    and `same` whether it is that of the last charge. `comes` is how often a payday brings anything.
    """
    beat, n = belief.hyps.beat, len(since)
    now = waiting.take(place + np.minimum(since, ARRIVING_HOURS))
    before = waiting.take(place + np.minimum(belief.since[:n], ARRIVING_HOURS))
    still = np.where(same, now / np.maximum(before, _LEAST), np.float32(0)).take(beat, axis=1)
    still *= belief.pending[:n]
    anew = np.where(same, np.float32(0), now).take(beat, axis=1)
    anew *= comes
    still += anew
    return np.asarray(still)


def _waiting_places(hyps: Hypotheses) -> Ints:
    """Where in the flat table of waiting each customer's and beat's hours begin; one row where all are alike."""
    first = np.zeros(len(hyps.hour), np.int64)
    first[hyps.beat[::-1]] = np.arange(len(hyps.beat))[::-1]
    return np.asarray(hyps.row[:, first] // (LONGEST_HOURS * len(LASTING_HOURS)) * (ARRIVING_HOURS + 1))


def _abreast(charges: Sequence[Charges], counts: Ints) -> Iterator[tuple[int, Ints, Ints, Ints, Ints, Ints, Ints]]:
    """Of the first charges, the second ones and so on: of how many customers, and what `Charges` holds of them."""
    told = np.zeros((6, len(charges), int(counts.max())), np.int64)
    for number, c in enumerate(charges):
        told[:, number, : len(c)] = c.said, c.utc, c.local, c.gap, c.week, c.advice
    for index in range(told.shape[2]):
        n = int((counts > index).sum())
        said, utc, local, gap, week, advice = told[:, :n, index]
        yield n, said, utc, local, gap, week, advice
