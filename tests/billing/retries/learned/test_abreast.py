"""Beliefs of customers side by side: to the last bit what each would be alone."""

from dataclasses import fields

import numpy as np
import pytest

from billing.retries.learned import abreast
from billing.retries.learned.belief import Belief
from billing.retries.learned.habits import Habits
from billing.retries.learned.hypotheses import Charges, Person

HABITS = Habits.flat()
NOBODY = Person(0, 0, 0)


def charges(rng: np.random.Generator, many: int, hours: int) -> Charges:
    """So many charges at random, `hours` apart at most, one in four approved."""
    utc = 490_000 + np.cumsum(rng.integers(1, hours, many))
    said = rng.choice([-1, 0, 1, 3], many).tolist()
    advised = rng.integers(0, 8, many).tolist()
    # Waits are advised where money lacks.
    rows = zip(utc.tolist(), said, advised, strict=True)
    return Charges.of([(at, at + 2, answer, wait if answer == 0 else 0) for at, answer, wait in rows])


@pytest.fixture
def customers() -> list[Charges]:
    """More than stand side by side: some never charged, some alike, some with long histories."""
    rng = np.random.default_rng(7)
    return [charges(rng, many, 24 * 9) for many in (0, 3, 40, 3, 1, 17, 0, *rng.integers(0, 12, abreast.ABREAST))]


def assert_same(one: Belief, other: Belief) -> None:
    for field in fields(Belief):
        if field.name != "hyps":
            assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name
    for field in fields(one.hyps):
        assert np.array_equal(getattr(one.hyps, field.name), getattr(other.hyps, field.name)), field.name


def test_side_by_side_each_customer_is_believed_what_they_are_alone(customers):
    assert len(customers) > abreast.ABREAST
    together = abreast.believed([NOBODY] * len(customers), customers, HABITS)
    for belief, theirs in zip(together, customers, strict=True):
        assert_same(belief, abreast.believed([NOBODY], [theirs], HABITS)[0])


def test_what_comes_later_can_be_taken_in_later(customers):
    """Also where it is taken in beside others, and by more than half of whose beliefs have other hypotheses."""
    half = [Charges.of(list(zip(c.utc, c.local, c.said, c.advice, strict=True))[: len(c) // 2]) for c in customers]
    people = [NOBODY] * len(customers)
    first = abreast.believed(people, half, HABITS)
    rest = [c.after(len(c) // 2) for c in customers]
    together = abreast.further(first, people, rest, HABITS)
    for belief, began, theirs in zip(together, first, rest, strict=True):
        assert_same(belief, abreast.further([began], [NOBODY], [theirs], HABITS)[0])
    again = abreast.believed(people, half, HABITS)
    for before, now in zip(first, again, strict=True):
        assert_same(before, now)


def test_what_each_of_them_is_believed_is_a_distribution(customers):
    for belief in abreast.believed([NOBODY] * len(customers), customers, HABITS):
        assert belief.weights.sum() == pytest.approx(1, abs=1e-4)
        assert (belief.weights >= 0).all()
