"""Owns what is believed of many customers after their charges, worked out side by side.

Customer by customer, most of the time would go into starting numpy's sums instead of making them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from billing.retries.learned.belief import Belief, Step, begin, take_in
from billing.retries.learned.calendars import CALENDARS
from billing.retries.learned.habits import LASTING_HOURS, SHORT_CLASSES, Floats, Habits
from billing.retries.learned.hypotheses import Charges, Customer, Hypotheses, Ints, Person, coarse, fine
from billing.retries.learned.mixing import apart

#: How many customers stand side by side; with more their arrays no longer fit a core's own memory.
ABREAST = 32
#: And how many whose every step is kept, to learn from.
_LEARNED_ABREAST = 24
#: How many calendars are looked at hour by hour, and from what share of short-lived money on.
KEPT_CALENDARS = 16
_WORTH_HOURS = 0.05


def believed(people: Sequence[Person], charges: Sequence[Charges], habits: Habits) -> list[Belief]:
    """What is believed of each customer after their charges."""
    found: dict[int, Belief] = {}
    for rows in _batches([len(c) for c in charges]):
        who, theirs = [people[row] for row in rows], [charges[row] for row in rows]
        wide = take_in(begin(coarse(habits, who)), who, theirs, habits)
        found |= zip(rows, _refined(wide, habits, who, theirs), strict=True)
    for row, belief in found.items():
        # Those who came later have no share in what was learned.
        if len(charges[row]) and charges[row].utc[0] <= habits.until:
            _set_apart(belief, people[row], habits)
    return [found[row] for row in range(len(people))]


def in_batches(
    customers: Sequence[Customer], habits: Habits
) -> Iterator[tuple[Sequence[Customer], Belief, list[Step]]]:
    """What is believed of customers in the end, some at a time, and what led there.

    They must come in falling order of how many charges they have.
    """
    for begun in range(0, len(customers), _LEARNED_ABREAST):
        batch = customers[begun : begun + _LEARNED_ABREAST]
        people, steps = [c.person for c in batch], list[Step]()
        belief = begin(coarse(habits, people))
        yield batch, take_in(belief, people, [c.charges for c in batch], habits, steps=steps), steps


def _set_apart(belief: Belief, person: Person, habits: Habits) -> None:
    """Believe of a customer by what is common among the others."""
    hyps, weights, many = belief.hyps, belief.weights[0], len(belief.hyps.beat)
    calendar, classes = hyps.calendar[0, hyps.beat], len(LASTING_HOURS)
    calendars = np.bincount(calendar, weights[:many], len(CALENDARS))
    kinds = np.concatenate([np.bincount(hyps.lasting, weights[:many], classes), weights[many:]])
    by_calendar, by_kind = apart(habits, person, habits.counted * calendars, habits.counted * kinds)
    ratio = np.concatenate([by_calendar[calendar] * by_kind[hyps.lasting], by_kind[classes:]]).astype(np.float32)
    for table in (weights, hyps.prior[0]):
        table *= ratio
        table /= table.sum()


def further(
    beliefs: Sequence[Belief], people: Sequence[Person], charges: Sequence[Charges], habits: Habits
) -> list[Belief]:
    """The customers' beliefs after these more charges; those given stay as they are."""
    found: dict[int, Belief] = {}
    # Only those who have the same hypotheses can stand side by side.
    widths = [len(belief.hyps.beat) for belief in beliefs]
    for width in sorted(set(widths)):
        alike = [row for row in range(len(beliefs)) if widths[row] == width]
        for batch in _batches([len(charges[row]) for row in alike]):
            rows = [alike[place] for place in batch]
            together = _stacked([beliefs[row] for row in rows])
            take_in(together, [people[row] for row in rows], [charges[row] for row in rows], habits)
            found |= zip(rows, _split(together), strict=True)
    return [found[row] for row in range(len(beliefs))]


def _batches(counts: Sequence[int]) -> list[list[int]]:
    """Places in falling order of their counts, ABREAST at a time."""
    order = sorted(range(len(counts)), key=lambda place: -counts[place])
    return [order[begun : begun + ABREAST] for begun in range(0, len(order), ABREAST)]


def _refined(wide: Belief, habits: Habits, people: Sequence[Person], charges: Sequence[Charges]) -> list[Belief]:
    """Each customer's coarse belief, with the hours of arrival told apart where they decide.

    Those calendars that most likely bring short-lived money are looked at anew hour by hour, and take the place of
    their averages.
    """
    found = _split(wide)
    table = wide.weights[:, : len(wide.hyps.beat)].reshape(len(people), len(CALENDARS), len(LASTING_HOURS))
    short = table[:, :, :SHORT_CLASSES].sum(2)
    worth = np.flatnonzero(short.sum(1) >= _WORTH_HOURS).tolist()
    if not worth:
        return found
    likely = np.sort(np.argsort(-short[worth], axis=1, kind="stable")[:, :KEPT_CALENDARS], axis=1)
    who = [people[row] for row in worth]
    closer = fine(habits, who, likely)
    share = closer.prior.sum(1, keepdims=True)
    closer.prior[...] /= share
    near = take_in(begin(closer), who, [charges[row] for row in worth], habits)
    both = _joined(_rows(wide, np.array(worth)), near, likely, share)
    for row, belief in zip(worth, _split(both), strict=True):
        found[row] = belief
    return found


def _joined(wide: Belief, near: Belief, likely: Ints, share: Floats) -> Belief:
    """Both beliefs in one: the closer look has what weight the same calendars' short-lived money had."""
    classes, many, extra = len(LASTING_HOURS), len(wide.hyps.beat), len(near.hyps.beat)
    replaced = (likely[:, :, None] * classes + np.arange(SHORT_CLASSES)).reshape(len(likely), -1)
    mass = np.take_along_axis(wide.weights, replaced, axis=1).sum(1, keepdims=True)
    np.put_along_axis(wide.weights, replaced, 0, axis=1)
    prior = wide.hyps.prior.copy()
    np.put_along_axis(prior, replaced, 0, axis=1)
    old, new, people = wide.hyps, near.hyps, len(likely)

    def joined(first: Floats, second: Floats) -> Floats:
        return np.concatenate([first[:, :many], second[:, :extra], first[:, many:]], axis=1)

    hyps = Hypotheses(
        calendar=np.concatenate([np.tile(old.calendar, (people, 1)), new.calendar], axis=1),
        hour=np.concatenate([old.hour, new.hour]),
        averaged=old.averaged,
        beat=np.concatenate([old.beat, new.beat + len(old.hour)]),
        lasting=np.concatenate([old.lasting, new.lasting]),
        curve=old.curve,
        row=np.concatenate([old.row, np.tile(new.row, (people, 1))], axis=1),
        prior=joined(prior, new.prior * share),
    )
    return Belief(
        hyps,
        joined(wide.weights, near.weights * mass),
        np.concatenate([wide.kept, near.kept], axis=1),
        np.concatenate([wide.lasted, near.lasted], axis=1),
        np.concatenate([wide.payday, near.payday], axis=1),
        np.concatenate([wide.since, near.since], axis=1),
        np.concatenate([wide.pending, near.pending], axis=1),
        wide.there,
        wide.exposed,
        wide.dead,
        wide.blocks,
        wide.at,
    )


def _rows(belief: Belief, rows: Ints) -> Belief:
    """The belief of some of its customers, as a copy."""
    hyps = belief.hyps
    calendar = hyps.calendar[rows] if len(hyps.calendar) > 1 else hyps.calendar
    chosen = replace(hyps, calendar=calendar, row=hyps.row[rows], prior=hyps.prior[rows])
    return Belief(chosen, *(array[rows] for array in belief.arrays()))


def _split(belief: Belief) -> list[Belief]:
    """Each customer's own."""
    return [_rows(belief, np.array([row])) for row in range(len(belief.weights))]


def _stacked(beliefs: Sequence[Belief]) -> Belief:
    """Customers with the same hypotheses side by side, as a copy."""
    hyps = replace(
        beliefs[0].hyps,
        calendar=np.concatenate([b.hyps.calendar for b in beliefs]),
        row=np.concatenate([b.hyps.row for b in beliefs]),
        prior=np.concatenate([b.hyps.prior for b in beliefs]),
    )
    return Belief(hyps, *(np.concatenate(side) for side in zip(*(b.arrays() for b in beliefs), strict=True)))
