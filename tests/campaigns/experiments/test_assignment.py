"""The lot is fair, keeps its word, and one draw tells nothing about another."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.experiments.assignment import TICKETS, assign, ticket
from customers.statistics import chi_square_p


@st.composite
def shares(draw: st.DrawFn) -> list[int]:
    """Two to six shares that add up to 100."""
    cuts = sorted(draw(st.sets(st.integers(1, 99), min_size=1, max_size=5)))
    return [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]


def arms(sizes: list[int]) -> list[SimpleNamespace]:
    return [SimpleNamespace(name=f"arm{n}", share=share) for n, share in enumerate(sizes)]


@given(st.text(min_size=1, max_size=60), shares(), st.integers(1, 2**63 - 1))
def test_everybody_gets_one_arm_and_keeps_it(code: str, sizes: list[int], customer_id: int) -> None:
    drawn = assign(code, arms(sizes), customer_id)
    assert assign(code, arms(sizes), customer_id).name == drawn.name
    assert 0 <= ticket(code, customer_id) < TICKETS


@given(st.text(min_size=1, max_size=20), shares(), st.integers(1, 10**12))
def test_arms_are_as_large_as_their_shares(code: str, sizes: list[int], first: int) -> None:
    # Customers of one shop have ids in a row: the hash must not care.
    seen = [0] * len(sizes)
    for customer_id in range(first, first + 4000):
        seen[int(assign(code, arms(sizes), customer_id).name[3:])] += 1
    # Not once in a million draws by chance.
    assert chi_square_p(seen, sizes) > 1e-6


@given(st.integers(1, 10**9))
def test_one_experiment_tells_nothing_about_the_next(first: int) -> None:
    both = [[0, 0], [0, 0]]
    for customer_id in range(first, first + 4000):
        both[ticket("one", customer_id) < TICKETS // 2][ticket("two", customer_id) < TICKETS // 2] += 1
    assert chi_square_p([cell for row in both for cell in row], [1, 1, 1, 1]) > 1e-6


def test_a_larger_share_takes_nobody_out_of_an_arm_before_it() -> None:
    # A holdout listed first may grow while everybody in it stays.
    small = {pk for pk in range(5000) if assign("x", arms([10, 90]), pk).name == "arm0"}
    large = {pk for pk in range(5000) if assign("x", arms([30, 70]), pk).name == "arm0"}
    assert small < large


@pytest.mark.parametrize("sizes", [[], [50], [50, 49], [60, 60]])
def test_shares_that_are_no_whole_are_refused(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="do not add up to 100"):
        assign("x", arms(sizes), 1)


def test_the_lot_never_changes() -> None:
    # Whoever is in a running experiment must stay in their arm over every release.
    assert [ticket("first-mail", pk) for pk in (1, 2, 3, 10**12)] == [4066, 8446, 9951, 869]
