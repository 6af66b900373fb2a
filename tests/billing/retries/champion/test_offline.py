"""Off-policy estimates against worlds whose truth is known."""

import random

import pytest

from billing.retries.champion.offline import ENOUGH, Decision, compare


def decisions(n, *, model, rules, share=0.2, seed=1, overlap=0.3):
    """Invoices of which a moment by the model is paid with chance `model`, one by the rules with chance `rules`."""
    lot = random.Random(seed)
    made = []
    for customer in range(n):
        same = lot.random() < overlap
        drawn = "rules" if lot.random() < share else "model:1"
        names = {"rules", "model:1"} if same else {drawn}
        truth = (model + rules) / 2 if same else {"rules": rules, "model:1": model}[drawn]
        propensity = 1.0 if same else {"rules": share, "model:1": 1 - share}[drawn]
        made.append(
            Decision(str(customer), propensity, lot.random() < truth, frozenset(names), {"rules": 0.2, "model:1": 0.4})
        )
    return made


def test_a_better_model_wins_and_a_worse_one_loses():
    better = compare(decisions(6000, model=0.6, rules=0.4), "model:1", "rules")
    assert better.wins
    assert not better.loses
    assert better.difference.low < 0.7 * 0.2 < better.difference.high
    assert better.one.weighed == pytest.approx(better.one.value.value, abs=0.02)
    worse = compare(decisions(6000, model=0.4, rules=0.6), "model:1", "rules")
    assert worse.loses
    assert not worse.wins


def test_no_difference_is_no_win_nineteen_times_of_twenty():
    wins = sum(compare(decisions(1500, model=0.5, rules=0.5, seed=s), "model:1", "rules").wins for s in range(60))
    assert wins <= 6  # 1.5 expected; more than 6 happen once in a thousand


def test_few_matches_decide_nothing():
    few = compare(decisions(400, model=1.0, rules=0.0, overlap=0), "model:1", "rules")
    assert few.other.matches < ENOUGH
    assert not few.wins


def test_strategies_that_never_met_are_not_compared():
    assert compare(decisions(10, model=0.5, rules=0.5), "model:2", "rules") is None
