"""Intervals and p-values are those of the literature."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.statistics import Z, always_valid_z, chi_square_p, newcombe, wilson


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        # Newcombe 1998 (one proportion), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 0, 0.0, 1.0),
        (5, 5, 0.5655, 1.0),
    ],
)
def test_wilson(successes: int, total: int, low: float, high: float) -> None:
    assert wilson(successes, total) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe 1998 (difference), table II, method 10.
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((0, 10, 0, 20), -0.1611, 0.2775),
    ],
)
def test_newcombe(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    assert newcombe(*counts) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_intervals_hold_their_figure_and_are_fair_to_both_sides(a: int, more: int, b: int, rest: int) -> None:
    n, m = a + more, b + rest
    low, high = wilson(a, n)
    assert 0 <= low <= high <= 1
    if n and m:
        assert low <= a / n <= high
        down, up = newcombe(a, n, b, m)
        assert -1 - 1e-9 <= down <= a / n - b / m <= up <= 1 + 1e-9
        back_down, back_up = newcombe(b, m, a, n)
        assert (back_down, back_up) == pytest.approx((-up, -down))


@pytest.mark.parametrize(
    ("observed", "shares", "p"),
    [
        # Quantiles of the chi-square distribution: 3.841 (1 df), 5.991 (2), 7.815 (3), 9.488 (4) at 5%.
        ([50 + math.sqrt(3.841459 * 25), 50 - math.sqrt(3.841459 * 25)], [1, 1], 0.05),
        ([821, 779], [50, 50], 0.2937),
        ([1500, 1400, 1600], [1, 1, 1], 0.001273),
        ([10, 20, 30, 40], [1, 1, 1, 1], 0.000170),
        ([20, 20, 20, 20, 20], [20, 20, 20, 20, 20], 1.0),
        ([0, 0], [50, 50], 1.0),
        ([1000, 0], [50, 50], 0.0),
    ],
)
def test_chi_square(observed: list[int], shares: list[int], p: float) -> None:
    assert chi_square_p(observed, shares) == pytest.approx(p, rel=2e-3, abs=1e-12)


@pytest.mark.parametrize(
    ("count", "tightest", "times"),
    [
        # sqrt(2 (x + 1) / x · ln(sqrt(x + 1) / 0.05)) with x = count · 7.9366 / tightest.
        (2_000, 2_000, 3.0351),
        (200, 2_000, 3.8551),
        (50_000, 2_000, 3.3680),
    ],
)
def test_always_valid(count: int, tightest: int, times: float) -> None:
    assert always_valid_z(count, tightest=tightest) == pytest.approx(times, abs=5e-4)


@given(count=st.integers(1, 10**7), tightest=st.integers(1, 10**6))
def test_looking_often_costs_width_least_about_where_it_was_to_be_tightest(count: int, tightest: int) -> None:
    assert always_valid_z(count, tightest=tightest) >= always_valid_z(tightest, tightest=tightest) * 0.99 > Z
    assert always_valid_z(0, tightest=tightest) == math.inf


def test_a_fair_coin_looked_at_after_every_throw_is_rarely_found_unfair() -> None:
    found = found_by_one_look = 0
    for seed in range(200):
        lot, total = random.Random(seed), 0
        ever = ever_by_one_look = False
        for n in range(1, 2_001):
            total += lot.choice((-1, 1))
            distance = abs(total) / math.sqrt(n)
            ever |= n >= 20 and distance > always_valid_z(n, tightest=500)
            ever_by_one_look |= n >= 20 and distance > Z
        found += ever
        found_by_one_look += ever_by_one_look
    assert found <= 20  # 10 at most are expected
    assert found_by_one_look > 60
