"""Owns learning the habits from rows: expectation maximisation over a sample of customers, with shrinkage.

Each turn takes in the charges of every sampled customer, asks which calendar, class and cause explains them, and
counts. What a country, group or bank shows by itself is mixed with what everybody shows, in proportion to how much
there is of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from billing.retries.learned.abreast import KEPT_CALENDARS, in_batches
from billing.retries.learned.banks import at_first_sight, with_banks
from billing.retries.learned.belief import Belief, Step, begin, in_two, take_in
from billing.retries.learned.calendars import CALENDARS, weekday_of
from billing.retries.learned.calibration import calibrated
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
    LEAST_SPOKEN,
    LONG_BLOCK,
    NOISE,
    SHORT_BLOCK,
    SHORT_CLASSES,
    Floats,
    Habits,
)
from billing.retries.learned.hypotheses import Charges, Customer, Person, fine, whereabouts
from billing.retries.learned.mixing import Fits, mixed, shrunk, summed
from billing.retries.learned.moves import with_moves
from billing.retries.learned.spans import FEWEST

#: Pseudo-counts: how much of what everybody shows is mixed in.
_SHRINK_HOUR = 10.0
_SHRINK_HOURS_OWN = 5.0
_SHRINK_POSTING = 5.0
_SHRINK_SPOKEN = 20.0
#: How far below what is known of an hour a bank's best must be, in standard deviations, for it to be taken for closed
#: at first sight: once with care, once without.
_DOUBTS = (1.0, 0.0)
#: By how many nats for each bank that charges tell of they must be explained better without care: one for each number
#: that tells of its hours, and some for its words (Akaike 1974).
_CLEARLY = 4.0
_MOSTLY_SHORT = 0.2
_MIXING_TURNS = 8


class _Counts:
    """What one turn counted."""

    def __init__(self, habits: Habits) -> None:
        self.fits: list[tuple[Person, Floats]] = []
        self.arrivals: list[tuple[Person, Floats, float]] = []
        self.passed, self.refused = np.zeros((2, len(habits.banks) + 1, 7, 24))
        self.crowd = np.zeros((2, len(GAP_BINS) + 1, len(CROWD_BINS) + 1))
        self.spoken = np.zeros((5, CODE_GROUPS))
        self.funds_spoken, self.noise_spoken = np.zeros((2, len(habits.banks) + 1, CODE_GROUPS))
        self.blocks = np.zeros(2)
        self.tested = 0.0
        self.died = 0.0
        self.hours_lived = 0.0
        self.retries: list[tuple[float, bool]] = []
        self.advices: list[tuple[int, float]] = []


def learn(customers: Sequence[Customer], habits: Habits) -> Habits:
    """Better habits from these customers' charges."""
    ordered = sorted(customers, key=lambda c: -len(c.charges))
    now = max((int(c.charges.utc[-1]) for c in ordered if len(c.charges)), default=0)
    habits = replace(habits, moving_lately=0.0, moved=np.zeros(len(habits.banks) + 1))
    # Which of two beginnings ends nearer the truth differs. (The eager one must explain clearly better: it takes more
    # hours for closed, which chance alone rewards.)
    calm, eager = (_begun(at_first_sight(habits, ordered, doubt), ordered) for doubt in _DOUBTS)
    better = _explained(eager, ordered) - _explained(calm, ordered)
    told = np.bincount(np.array([c.person.bank for c in ordered], int), [len(c.charges) for c in ordered])
    clearly = _CLEARLY * max(1, int((told[1:] >= FEWEST).sum()))
    habits = with_chances(eager if better > clearly else calm, ordered, now)
    habits = _improved(habits, _counted(habits, ordered, hours=False))
    counts = _counted(habits, ordered, hours=True)
    habits = _improved(habits, counts)
    habits = with_moves(habits, ordered)
    return replace(with_lately(habits, ordered, now), calibration=calibrated(counts.retries), until=now)


def _begun(habits: Habits, ordered: Sequence[Customer]) -> Habits:
    """The habits after the first turns from there."""
    habits = _improved(habits, _counted(habits, ordered, hours=False))
    return _improved(habits, _counted(habits, ordered, hours=True))


def _explained(habits: Habits, ordered: Sequence[Customer]) -> float:
    """The logarithm of the chance of all that was answered."""
    batches = in_batches(ordered, habits)
    return sum(float(np.log(step.told).sum()) for _batch, _belief, steps in batches for step in steps)


def _counted(habits: Habits, ordered: Sequence[Customer], *, hours: bool) -> _Counts:
    """What one turn counts; `hours`, and at which hours money comes."""
    counts = _Counts(habits)
    for batch, belief, steps in in_batches(ordered, habits):
        _count(batch, belief, steps, habits, counts, hours=hours)
    return counts


def _count(
    batch: Sequence[Customer], belief: Belief, steps: Sequence[Step], habits: Habits, counts: _Counts, *, hours: bool
) -> None:
    people, charges, weights = [c.person for c in batch], [c.charges for c in batch], belief.weights
    counts.died += float(belief.dead.sum())
    counts.hours_lived += sum(float(c.utc[-1] - c.utc[0]) for c in charges if len(c))
    many = len(CALENDARS) * len(LASTING_HOURS)
    tables = weights[:, :many].reshape(len(batch), len(CALENDARS), len(LASTING_HOURS))
    prior = belief.hyps.prior
    exposed = (belief.exposed * in_two(weights)).sum(1)
    for number, person in enumerate(people):
        # How well each hypothesis fits, whatever was believed of it beforehand.
        counts.fits.append((person, weights[number] / np.maximum(prior[number], 1e-12)))
    short = tables[:, :, :SHORT_CLASSES].sum(2)
    if hours and (mostly := np.flatnonzero(short.sum(1) > _MOSTLY_SHORT).tolist()):
        _count_hours([batch[number] for number in mostly], short[mostly], habits, counts)
    for index, step in enumerate(steps):
        counts.advices += step.advices
        n = len(step.chance)
        # Over all hypotheses, by how likely they are in the end: why this charge was refused.
        inverse = weights[:n] / step.chance
        everybody, with_money = in_two(inverse), in_two(inverse * step.money)
        blame = step.parts * everybody
        blame[FUNDS] = step.parts[FUNDS] * (everybody - with_money)
        blame = np.clip(blame.sum(2), 0, 1)
        noise_with_money = np.clip((step.parts[NOISE] * with_money).sum(1), 0, 1)
        for number in range(n):
            why = _Why(blame[:, number], float(noise_with_money[number]), float(exposed[number]))
            _count_charge(people[number], charges[number], index, why, habits, counts)
            if index and charges[number].said[index - 1] != APPROVED:
                counts.retries.append((float(step.foreseen[number]), bool(charges[number].said[index] == APPROVED)))


def _count_hours(batch: Sequence[Customer], short: Floats, habits: Habits, counts: _Counts) -> None:
    """At which hour money comes in, where it is so short-lived that charges tell; `short` is how likely it is that and
    follows each calendar, customer x calendar."""
    people = [c.person for c in batch]
    likely = np.argsort(-short, axis=1, kind="stable")[:, :KEPT_CALENDARS]
    closer = fine(habits, people, likely)
    closer.prior[...] /= closer.prior.sum(1, keepdims=True)
    found = take_in(begin(closer), people, [c.charges for c in batch], habits).weights[:, : len(closer.beat)]
    by_hour = summed(found.T, 1 + closer.hour[closer.beat], 25)[1:].T / habits.coming(*whereabouts(people))
    by_hour /= by_hour.sum(1, keepdims=True)
    counts.arrivals += zip(people, by_hour, short.sum(1).tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class _Why:
    """Of one charge the chances, in the end, of each cause of its refusal, of the bank's own reasons although there
    was money, and that the card meets its bank's hours."""

    blame: Floats
    noise: float
    exposed: float


def _count_charge(person: Person, charges: Charges, index: int, why: _Why, habits: Habits, counts: _Counts) -> None:
    blame, noise = why.blame, why.noise
    local, said = int(charges.local[index]), int(charges.said[index])
    gap, hour, weekday = (int(charges.gap[index]), int(charges.week[index])), local % 24, weekday_of(local)
    # Who never has money tells a bank's hours from lack of it only as far as the bank has other words for them.
    tells = float(habits.tells_apart[person.bank])
    passed, noise = (1.0, 0.0) if said == APPROVED else (tells * blame[FUNDS], noise + tells * (blame[NOISE] - noise))
    if said != APPROVED:
        counts.spoken[:, said] += blame
        for bank in {0, person.bank}:
            counts.funds_spoken[bank, said] += blame[FUNDS]
            counts.noise_spoken[bank, said] += blame[NOISE]
        counts.blocks += blame[[SHORT_BLOCK, LONG_BLOCK]]
    counts.tested += 1 - float(blame[DEAD]) if said != APPROVED else 1
    # What was refused for no cause of the customer's: how often the bank's hours were to blame, how often the crowd.
    by_bank = why.exposed * (1 - habits.bank_passes(person.bank, local))
    by_crowd = habits.crowded[gap]
    share = noise / (1 - (1 - by_bank) * (1 - by_crowd))
    for bank in {0, person.bank}:
        counts.passed[bank, weekday, hour] += why.exposed * (passed + noise - share * by_bank)
        counts.refused[bank, weekday, hour] += share * by_bank
    counts.crowd[(0, *gap)] += passed + noise - share * by_crowd
    counts.crowd[(1, *gap)] += share * by_crowd


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
    noise_spoken = kept_for_funds(shrunk(counts.noise_spoken, spoken[NOISE], _SHRINK_SPOKEN), NOISE)
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
        spoken=np.maximum(spoken, LEAST_SPOKEN),
        funds_spoken=np.maximum(funds_spoken, LEAST_SPOKEN),
        noise_spoken=np.maximum(noise_spoken, LEAST_SPOKEN),
        dying=(counts.died + 5) / (counts.hours_lived + 5 / flat.dying),
        blocked=np.clip((counts.blocks + 0.01 * 50) / (counts.tested + 50), 0.001, 0.2),
        rows=habits.rows,
    )


def words_of_causes(counts: Floats) -> Floats:
    """How each cause speaks, from refusals counted by cause and kind; rows sum to 1."""
    found = shrunk(counts, Habits.flat().spoken, _SHRINK_SPOKEN)
    others = [SHORT_BLOCK, LONG_BLOCK, NOISE]
    found[others] = kept_for_funds(found[others], others)
    return found


def kept_for_funds(spoken: Floats, causes: Sequence[int] | int) -> Floats:
    """How other causes speak, with words for lack of money kept for it.

    Left to themselves, the others' counts would take who has none for somebody with money whose bank refuses for
    reasons of its own.
    """
    said = np.minimum(spoken[:, 0], Habits.flat().spoken[causes, 0])
    rest = spoken[:, 1:] * ((1 - said) / (1 - spoken[:, 0]))[:, None]
    return np.concatenate([said[:, None], rest], axis=1)


def indexed(names: Sequence[str], known: Mapping[str, int]) -> dict[str, int]:
    """Numbers for names, from 1 on; those known keep theirs."""
    found = dict(known)
    for name in names:
        found.setdefault(name, len(found) + 1)
    return found
