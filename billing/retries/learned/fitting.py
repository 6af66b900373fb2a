"""Owns learning the habits from rows: expectation maximisation over a sample of customers, with shrinkage.

Each turn takes in the charges of every sampled customer, asks which calendar, class and cause explains them, and
counts. What a country, group or bank shows by itself is mixed with what everybody shows, in proportion to how much
there is of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from billing.retries.learned.abreast import KEPT_CALENDARS
from billing.retries.learned.banks import at_first_sight, with_banks
from billing.retries.learned.belief import Step, begin, take_in
from billing.retries.learned.calendars import CALENDARS, weekday_of
from billing.retries.learned.changing import with_chances, with_lately
from billing.retries.learned.foretold import trust
from billing.retries.learned.habits import (
    APPROVED,
    CODE_GROUPS,
    CROWD_BINS,
    DEAD,
    FUNDS,
    GAP_BINS,
    LASTING_HOURS,
    LONG_BLOCK,
    NOISE,
    SHORT_BLOCK,
    SHORT_CLASSES,
    Floats,
    Habits,
)
from billing.retries.learned.hypotheses import Charges, Customer, Person, coarse, fine, whereabouts
from billing.retries.learned.mixing import Fits, mixed, shrunk, summed

#: Pseudo-counts: how much of what everybody shows is mixed in.
_SHRINK_HOUR = 10.0
_SHRINK_HOURS_OWN = 5.0
_SHRINK_POSTING = 5.0
_SHRINK_SPOKEN = 20.0
TURNS = 4
_TURNS_WITH_HOURS = (1, 3)
_BATCH = 24
_MOSTLY_SHORT = 0.2
_MIXING_TURNS = 8
_NEWTON_STEPS = 40
_LONGEST_MOVE = 0.5
_CALIBRATION_PRIOR = 10.0


class _Counts:
    """What one turn counted."""

    def __init__(self, habits: Habits) -> None:
        self.fits: list[tuple[Person, Floats]] = []
        self.arrivals: list[tuple[Person, Floats, float]] = []
        self.passed, self.refused = np.zeros((2, len(habits.banks) + 1, 7, 24))
        self.crowd = np.zeros((2, len(GAP_BINS) + 1, len(CROWD_BINS) + 1))
        self.spoken = np.zeros((5, CODE_GROUPS))
        self.funds_spoken = np.zeros((len(habits.banks) + 1, CODE_GROUPS))
        self.blocks = np.zeros(2)
        self.tested = 0.0
        self.died = 0.0
        self.hours_lived = 0.0
        self.retries: list[tuple[float, bool]] = []
        self.advices: list[tuple[int, float]] = []


def learn(
    customers: Sequence[Customer],
    habits: Habits,
    *,
    turns: int = TURNS,
    progress: Callable[[float], None] = lambda _share: None,
) -> Habits:
    """Better habits from these customers' charges; `progress` is told the share done, 0 to 1."""
    ordered = sorted(customers, key=lambda c: -len(c.charges))
    now = max((int(c.charges.utc[-1]) for c in ordered if len(c.charges)), default=0)
    habits = at_first_sight(replace(habits, moving_lately=0.0), ordered)
    counts = _Counts(habits)
    for turn in range(turns):
        counts = _Counts(habits)
        for begun in range(0, len(ordered), _BATCH):
            _count(ordered[begun : begun + _BATCH], habits, counts, hours=turn in _TURNS_WITH_HOURS)
            progress((turn + begun / len(ordered)) / turns)
        habits = _improved(habits, counts)
        if turn == 1:
            habits = with_chances(habits, ordered, now)
    return replace(with_lately(habits, ordered, now), calibration=calibrated(counts.retries), until=now)


def _count(batch: Sequence[Customer], habits: Habits, counts: _Counts, *, hours: bool) -> None:
    people, charges = [c.person for c in batch], [c.charges for c in batch]
    steps: list[Step] = []
    belief = take_in(begin(coarse(habits, people)), people, charges, habits, steps=steps)
    weights = belief.weights
    counts.died += float(belief.dead.sum())
    counts.hours_lived += sum(float(c.utc[-1] - c.utc[0]) for c in charges if len(c))
    many = len(CALENDARS) * len(LASTING_HOURS)
    tables = weights[:, :many].reshape(len(batch), len(CALENDARS), len(LASTING_HOURS))
    prior = coarse(habits, people).prior
    for number, person in enumerate(people):
        # How well each hypothesis fits, whatever was believed of it beforehand.
        counts.fits.append((person, weights[number] / np.maximum(prior[number], 1e-12)))
        if hours and tables[number][:, :SHORT_CLASSES].sum() > _MOSTLY_SHORT:
            _count_hours(batch[number], weights[number], habits, counts)
    for index, step in enumerate(steps):
        counts.advices += step.advices
        n = len(step.chance)
        # Over all hypotheses, by how likely they are in the end: why this charge was refused.
        inverse = weights[:n] / step.chance
        with_money = (inverse * step.money).sum(1)
        without = inverse.sum(1) - with_money
        blame = step.parts * (with_money + without)
        blame[FUNDS] = step.parts[FUNDS] * without
        blame = np.clip(blame, 0, 1)
        noise_with_money = np.clip(step.parts[NOISE] * with_money, 0, 1)
        for number in range(n):
            noise = float(noise_with_money[number])
            _count_charge(people[number], charges[number], index, blame[:, number], noise, habits, counts)
            if index and charges[number].said[index - 1] != APPROVED:
                counts.retries.append((float(step.foreseen[number]), bool(charges[number].said[index] == APPROVED)))


def _count_hours(customer: Customer, weights: Floats, habits: Habits, counts: _Counts) -> None:
    """At which hour money comes in, where it is so short-lived that charges tell."""
    table = weights[: len(CALENDARS) * len(LASTING_HOURS)].reshape(len(CALENDARS), -1)[:, :SHORT_CLASSES]
    likely = np.argsort(-table.sum(1), kind="stable")[:KEPT_CALENDARS]
    closer = fine(habits, [customer.person], likely[None, :])
    closer.prior[...] /= closer.prior.sum()
    found = take_in(begin(closer), [customer.person], [customer.charges], habits).weights[0, : len(closer.beat)]
    by_hour = np.bincount(closer.hour[closer.beat], found, 24) / habits.coming(*whereabouts([customer.person]))[0]
    counts.arrivals.append((customer.person, by_hour / by_hour.sum(), float(table.sum())))


def _count_charge(
    person: Person, charges: Charges, index: int, blame: Floats, noise: float, habits: Habits, counts: _Counts
) -> None:
    local, said = int(charges.local[index]), int(charges.said[index])
    gap, hour, weekday = (int(charges.gap[index]), int(charges.week[index])), local % 24, weekday_of(local)
    # Who never has money tells a bank's hours from lack of it only as far as the bank has other words for them.
    tells = float(habits.tells_apart[person.bank])
    passed, noise = (1.0, 0.0) if said == APPROVED else (tells * blame[FUNDS], noise + tells * (blame[NOISE] - noise))
    if said != APPROVED:
        counts.spoken[:, said] += blame
        for bank in {0, person.bank}:
            counts.funds_spoken[bank, said] += blame[FUNDS]
        counts.blocks += blame[[SHORT_BLOCK, LONG_BLOCK]]
    counts.tested += 1 - float(blame[DEAD]) if said != APPROVED else 1
    # What was refused for no cause of the customer's: how often the bank's hours were to blame, how often the crowd.
    by_bank = 1 - habits.bank_passes(person.bank, local)
    by_crowd = habits.crowded[gap]
    share = noise / (1 - (1 - by_bank) * (1 - by_crowd))
    for bank in {0, person.bank}:
        counts.passed[bank, weekday, hour] += passed + noise - share * by_bank
        counts.refused[bank, weekday, hour] += share * by_bank
    counts.crowd[(0, *gap)] += passed + noise - share * by_crowd
    counts.crowd[(1, *gap)] += share * by_crowd


def calibrated(retries: Sequence[tuple[float, bool]]) -> Floats:
    """Slope and step of the log-odds that fit what was foreseen of retries to what came (Platt 1999), by Newton steps.

    Pulled towards leaving the odds as they are, as if _CALIBRATION_PRIOR retries had been foreseen rightly.
    """
    if not retries:
        return np.array([1.0, 0.0])
    foreseen, came = np.clip(np.array([p for p, _won in retries]), 1e-4, 1 - 1e-4), np.array([w for _p, w in retries])
    odds = np.log(foreseen / (1 - foreseen))
    known, found = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    features = np.stack([odds, np.ones_like(odds)])
    for _step in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(found @ features, -30, 30)))
        slope = features @ (came - chance) - _CALIBRATION_PRIOR * (found - known)
        curve = (features * chance * (1 - chance)) @ features.T + _CALIBRATION_PRIOR * np.eye(2)
        move = np.linalg.solve(curve, slope)
        # Far from the answer the curve is too flat, and a whole step would leap over it for good.
        found = found + move / max(1.0, float(np.abs(move).max()) / _LONGEST_MOVE)
    return np.array([max(0.1, found[0]), found[1]])


def _arrivals(habits: Habits, counts: _Counts) -> tuple[Floats, Floats]:
    """At which local hours money comes in, by country and by bank, given how well each hour fits the charges of those
    whose money is short-lived. Expectation maximisation as in mixing."""
    hours, posting = habits.hours, habits.posting
    if not counts.arrivals:
        return hours, posting
    country, bank = whereabouts([person for person, _fit, _share in counts.arrivals])
    fit = np.array([fit for _person, fit, _share in counts.arrivals])
    share = np.array([share for _person, _fit, share in counts.arrivals])
    even = Habits.flat().hours[0]
    for _turn in range(_MIXING_TURNS):
        blame = fit * replace(habits, hours=hours, posting=posting).coming(country, bank)
        blame *= (share / blame.sum(1))[:, None]
        seen = summed(blame, country, len(hours))
        any_hour = shrunk(seen[0], even, _SHRINK_HOUR)
        hours = shrunk(seen, any_hour, _SHRINK_HOURS_OWN)
        hours[0] = any_hour
        # A bank is drawn to what the countries of its customers show.
        usual = summed(hours[country] * share[:, None], bank, len(posting))
        usual = shrunk(usual, any_hour, _SHRINK_HOURS_OWN)
        posting = shrunk(summed(blame, bank, len(posting)), usual, _SHRINK_POSTING)
    return hours, posting


def _improved(habits: Habits, counts: _Counts) -> Habits:
    flat = Habits.flat()
    fits = [fit / fit.max() for _person, fit in counts.fits]
    people = [person for person, _fit in counts.fits]
    shares = mixed(
        habits,
        Fits(np.array(fits, np.float32), np.array([p.country for p in people]), np.array([p.group for p in people])),
    )
    classes = len(LASTING_HOURS)
    foresight, advised = trust(habits, counts.advices)
    hours, posting = _arrivals(habits, counts)
    crowded = (counts.crowd[1] + 0.02 * 50) / (counts.crowd.sum(0) + 50)
    spoken = words_of_causes(counts.spoken)
    funds_spoken = shrunk(counts.funds_spoken, spoken[FUNDS], _SHRINK_SPOKEN)
    funds_spoken[0] = spoken[FUNDS]
    spoken, funds_spoken = np.maximum(spoken, 1e-3), np.maximum(funds_spoken, 1e-3)
    return replace(
        with_banks(habits, counts.passed, counts.refused),
        calendars=shares.calendars,
        seen_calendars=shares.seen_calendars,
        seen_kinds=shares.seen_kinds,
        drawn=np.array(shares.drawn),
        hours=hours,
        posting=posting,
        lasting=shares.kinds[:, :classes],
        random=shares.kinds[:, classes:],
        foresight=foresight,
        advised=advised,
        crowded=crowded,
        spoken=spoken,
        funds_spoken=funds_spoken,
        dying=(counts.died + 5) / (counts.hours_lived + 5 / flat.dying),
        blocked=np.clip((counts.blocks + 0.01 * 50) / (counts.tested + 50), 0.001, 0.2),
        rows=habits.rows,
    )


def words_of_causes(counts: Floats) -> Floats:
    """How each cause speaks, from refusals counted by cause and kind; rows sum to 1.

    Words for lack of money are kept for it: left to themselves, the others' counts would take who has none for
    somebody with money whose bank refuses for reasons of its own.
    """
    flat = Habits.flat().spoken
    found = shrunk(counts, flat, _SHRINK_SPOKEN)
    others = [SHORT_BLOCK, LONG_BLOCK, NOISE]
    kept = np.minimum(found[others, 0], flat[others, 0])
    found[others, 1:] *= ((1 - kept) / (1 - found[others, 0]))[:, None]
    found[others, 0] = kept
    return found


def indexed(names: Sequence[str], known: Mapping[str, int]) -> dict[str, int]:
    """Numbers for names, from 1 on; those known keep theirs."""
    found = dict(known)
    for name in names:
        found.setdefault(name, len(found) + 1)
    return found
