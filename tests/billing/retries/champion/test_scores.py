"""Log loss, calibration and intervals against numbers worked out by hand, and against what they promise."""

import math
import random

import pytest

from billing.retries.champion.scores import (
    Judged,
    brier,
    calibration,
    clustered_mean,
    clustered_sequence,
    log_loss,
    loss_difference,
    loss_differences,
)


def judged(*pairs):
    return [Judged(chance, approved, str(n)) for n, (chance, approved) in enumerate(pairs)]


def test_losses_of_two_charges():
    two = judged((0.5, True), (0.25, False))
    assert log_loss(two) == pytest.approx((math.log(2) - math.log(0.75)) / 2)
    assert brier(two) == pytest.approx((0.25 + 0.0625) / 2)


def test_a_certain_chance_that_fails_costs_much_but_not_everything():
    assert 5 < log_loss(judged((1.0, False))) < 20


def test_bins_hold_all_charges_and_keep_equal_chances_together():
    bins = calibration(judged(*[(0.2, n % 5 == 0) for n in range(50)], *[(0.8, n % 5 > 0) for n in range(50)]))
    assert [(b.count, b.predicted, b.approved) for b in bins] == [
        (50, pytest.approx(0.2), 0.2),
        (50, pytest.approx(0.8), 0.8),
    ]
    assert all(b.low < b.approved < b.high for b in bins)
    assert calibration([]) == []


def test_the_better_of_two_is_told_with_an_interval():
    lot = random.Random(1)
    truth = [lot.random() for _ in range(2000)]
    seen = [lot.random() < p for p in truth]
    good = [Judged(p, s, str(n)) for n, (p, s) in enumerate(zip(truth, seen, strict=True))]
    vague = [Judged(0.5, s, str(n)) for n, s in enumerate(seen)]
    difference = loss_difference(good, vague)
    assert difference.low < difference.value < difference.high < 0
    looked_at_often = clustered_sequence(loss_differences(good, vague), tightest=2000, alpha=0.0125)
    assert looked_at_often.low < difference.low
    assert looked_at_often.value == difference.value


def test_charges_of_one_customer_count_as_one_observation():
    apart = clustered_mean([(str(n), n % 2) for n in range(100)])
    together = clustered_mean([(str(n % 2), n % 2) for n in range(100)])
    assert together.value == apart.value == 0.5
    assert together.high - together.low > 5 * (apart.high - apart.low)
    assert clustered_mean([("one", 1.0)]).high == math.inf


def test_nothing_has_no_mean():
    with pytest.raises(ValueError, match="nothing"):
        log_loss([])
