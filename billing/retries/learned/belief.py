"""Owns what is believed of customers: the weight of every way their money may come and go, given their charges.

A hypothesis is a pay calendar with a class of how long money lasts, or a kind of coming and going without a calendar.
Charges are taken in one by one, oldest first. Under each hypothesis is kept how likely it is that the current cycle's
money is gone; that the card is dead or a refusal still lasts is kept over all of them. Many customers are taken in
side by side: the first axis of every array is the customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from billing.retries.learned.calendars import CALENDARS, table_for
from billing.retries.learned.habits import (
    APPROVED,
    BLOCK_HOURS,
    DEAD,
    FINAL_CODE,
    FUNDS,
    LASTING_HOURS,
    LONG_BLOCK,
    LONGEST_HOURS,
    NOISE,
    RANDOM_KINDS,
    SHORT_BLOCK,
    SHORT_CLASSES,
    Floats,
    Habits,
)
from billing.retries.learned.hypotheses import Charges, Hypotheses, Ints, Person, fine

_THERE = np.array([there for there, _gone in RANDOM_KINDS], np.float32)
_GONE = np.array([gone for _there, gone in RANDOM_KINDS], np.float32)
STANDING = _THERE / (_THERE + _GONE)
CHANGE = 1 / _THERE + 1 / _GONE
_LEAST = np.float32(1e-9)
NEVER = -(10**6)
#: No refusal without a final code proves a card dead; banks change their habits, too.
MOST_DEAD = 0.9
#: How many calendars are looked at hour by hour, and from what share of short-lived money on.
KEPT_CALENDARS = 16
_WORTH_HOURS = 0.05


@dataclass(slots=True)
class Belief:
    """The state after some charges.

    `gone`: the chance that the current cycle's money is used up; `lasted`: the share of such money that would have
    lasted until the last charge; `payday`: that cycle's day, by beat. `there`: for random kinds, the chance that money
    was there at the last charge. `dead` and `blocks` are chances; `at` is the UTC hour of the last charge or NEVER.
    """

    hyps: Hypotheses
    weights: Floats
    gone: Floats
    lasted: Floats
    payday: Ints
    there: Floats
    dead: Floats
    blocks: Floats
    at: Ints

    def copy(self) -> Belief:
        """One that can be taken further without changing this one."""
        arrays = (self.weights, self.gone, self.lasted, self.payday, self.there, self.dead, self.blocks, self.at)
        return Belief(self.hyps, *(array.copy() for array in arrays))


def refined(wide: Belief, habits: Habits, person: Person, charges: Charges) -> Belief:
    """One customer's coarse belief, with the hours of arrival told apart where they decide.

    Those calendars that most likely bring short-lived money are looked at anew hour by hour, and take the place of
    their averages.
    """
    classes, many = len(LASTING_HOURS), len(wide.hyps.beat)
    table = wide.weights[0, :many].reshape(len(CALENDARS), classes)
    short = table[:, :SHORT_CLASSES].sum(1)
    if short.sum() < _WORTH_HOURS:
        return wide
    likely = np.sort(np.argsort(-short, kind="stable")[:KEPT_CALENDARS])
    closer = fine(habits, person, likely)
    share = np.float32(closer.prior.sum())
    closer.prior[...] /= share
    found = take_in(begin(closer), [person], [charges], habits)
    replaced = ((likely[:, None] * classes) + np.arange(SHORT_CLASSES)[None, :]).ravel()
    mass = wide.weights[0, replaced].sum()
    weights, prior = wide.weights.copy(), wide.hyps.prior.copy()
    weights[0, replaced], prior[0, replaced] = 0, 0
    hyps, extra = wide.hyps, len(closer.beat)
    randoms = slice(many, None)

    def joined(old: Floats, new: Floats) -> Floats:
        return np.concatenate([old[:, :many], new[:, :extra], old[:, randoms]], axis=1)

    both = Hypotheses(
        calendar=np.concatenate([hyps.calendar, closer.calendar]),
        hour=np.concatenate([hyps.hour, closer.hour]),
        beat=np.concatenate([hyps.beat, closer.beat + len(hyps.calendar)]),
        lasting=np.concatenate([hyps.lasting, closer.lasting]),
        curve=np.concatenate([hyps.curve, closer.curve]),
        row=np.concatenate([hyps.row, closer.row + len(hyps.curve)], axis=1),
        prior=joined(prior, closer.prior * share),
    )
    return Belief(
        both,
        joined(weights, found.weights * mass),
        np.concatenate([wide.gone, found.gone], axis=1),
        np.concatenate([wide.lasted, found.lasted], axis=1),
        np.concatenate([wide.payday, found.payday], axis=1),
        wide.there,
        wide.dead,
        wide.blocks,
        wide.at,
    )


@dataclass(slots=True)
class Step:
    """What fitting needs of one charge of each customer that has one: see fitting."""

    money: Floats
    chance: Floats
    passes: Floats
    parts: Floats
    foreseen: Floats


def begin(hyps: Hypotheses) -> Belief:
    """The belief before any charge."""
    people, many = len(hyps.prior), len(hyps.beat)
    return Belief(
        hyps,
        hyps.prior.copy(),
        np.zeros((people, many), np.float32),
        np.ones((people, many), np.float32),
        np.full((people, len(hyps.calendar)), NEVER, np.int32),
        np.tile(STANDING, (people, 1)),
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
    start: int = 0,
    steps: list[Step] | None = None,
) -> Belief:
    """Take in each customer's charges from number `start` on, changing the belief; earlier ones only count for how
    close charges are. Customers must come in falling order of how many charges they have."""
    longest = max((len(c) for c in charges), default=0)
    if longest <= start:
        return belief
    hyps = belief.hyps
    many = len(hyps.beat)
    table = table_for(
        min(int(c.local[start]) for c in charges if len(c) > start) // 24 - 2,
        max(int(c.local[-1]) for c in charges if len(c)) // 24 + 1,
    )
    banks = np.array([p.bank for p in people])
    for index in range(start, longest):
        n = sum(1 for c in charges if len(c) > index)
        said = np.array([c.said[index] for c in charges[:n]])
        local = np.array([c.local[index] for c in charges[:n]])
        utc = np.array([c.utc[index] for c in charges[:n]])
        gap, week = np.array([c.gap[index] for c in charges[:n]]), np.array([c.week[index] for c in charges[:n]])
        passed = np.where(belief.at[:n] == NEVER, 0, utc - belief.at[:n])
        # What time does: calendars change, cards die, blocks end, money comes and goes.
        moved = (1 - np.exp(-habits.moving * passed)).astype(np.float32)[:, None]
        weights = belief.weights[:n] + moved * (hyps.prior[:n] - belief.weights[:n])
        dead = belief.dead[:n] + (1 - belief.dead[:n]) * (1 - np.exp(-habits.dying * passed))
        blocks = belief.blocks[:n] * np.exp(-passed[:, None] / np.array(BLOCK_HOURS))
        there = STANDING + (belief.there[:n] - STANDING) * np.exp(-CHANGE * passed[:, None].astype(np.float32))
        # Whether money is there, under each hypothesis.
        shifted = local[:, None] - hyps.hour[None, :]
        latest = table.latest[hyps.calendar[None, :], shifted // 24 - table.first]
        hours = np.minimum(shifted - 24 * latest, LONGEST_HOURS - 1)
        lasts = hyps.curve.take(hyps.row[: n if len(hyps.row) > 1 else 1] + hours.take(hyps.beat, axis=1))
        same = (latest == belief.payday[:n]).take(hyps.beat, axis=1)
        held = (1 - belief.gone[:n]) * np.minimum(1, lasts / belief.lasted[:n])
        by_pay = np.where(same, held, np.float32(1 - habits.skipped) * lasts)
        # Money that came from elsewhere: without it one odd approval would rule the true calendar out.
        by_pay += (1 - by_pay) * np.float32(habits.gifts)
        money = np.concatenate([by_pay, there], axis=1)
        # The answer's chance is parts[0] + parts[1] x money, whatever the hypothesis.
        passes = (
            (1 - habits.refused[banks[:n], local % 24])
            * (1 - habits.weekdays[(local // 24 + 3) % 7])
            * (1 - habits.crowded[gap, week])
        )
        blocked = blocks + (1 - blocks) * habits.blocked
        live, free = 1 - dead, (1 - blocked).prod(axis=1)
        ok = said == APPROVED
        group = np.where(ok, 0, said)
        causes = np.stack(
            [
                dead * habits.spoken[DEAD, group],
                live * habits.funds_spoken[banks[:n], group],
                live * blocked[:, 0] * habits.spoken[SHORT_BLOCK, group],
                live * (1 - blocked[:, 0]) * blocked[:, 1] * habits.spoken[LONG_BLOCK, group],
                live * free * (1 - passes) * habits.spoken[NOISE, group],
            ]
        )
        causes[:, ok] = 0
        constant = causes[DEAD] + causes[FUNDS]
        slope = np.where(ok, live * free * passes, causes[SHORT_BLOCK:].sum(0) - causes[FUNDS])
        chance = constant.astype(np.float32)[:, None] + slope.astype(np.float32)[:, None] * money + _LEAST
        if steps is not None:
            foreseen = (weights * money).sum(1) * live * free * passes
            steps.append(Step(money, chance, passes, causes, foreseen))
        weights *= chance
        whole = weights.sum(1)
        weights /= whole[:, None]
        # What is left to believe of the cycle, the card and the blocks.
        empty = constant.astype(np.float32)[:, None] * (1 - money) / chance
        belief.gone[:n] = np.where(ok[:, None], 0, empty[:, :many])
        belief.there[:n] = np.where(ok[:, None], 1, 1 - empty[:, many:])
        belief.dead[:n] = np.where(said == FINAL_CODE, 1, np.minimum(causes[DEAD] / whole, MOST_DEAD))
        with_money = (weights * money / chance).sum(1)
        belief.blocks[:n] = (causes[SHORT_BLOCK : LONG_BLOCK + 1] * with_money).T
        belief.weights[:n], belief.lasted[:n], belief.payday[:n], belief.at[:n] = weights, lasts, latest, utc
    return belief
