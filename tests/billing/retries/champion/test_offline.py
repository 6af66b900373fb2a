"""Off-policy estimates against worlds whose truth is known."""

import random

import pytest

from billing.retries.champion.offline import ENOUGH, TIGHTEST, Decision, compare
from customers.statistics import Z, always_valid_z


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


def test_a_candidate_no_better_is_not_made_champion_by_looking_often():
    """Looked at thirty times, as in seven months: once in forty it may seem better, at any look. By intervals for one
    look it would seem so several times as often, so that this world can tell the two apart."""
    wins = by_one_look = 0
    for seed in range(60):
        world = decisions(1500, model=0.5, rules=0.5, seed=seed)
        looks = [compare(world[:seen], "model:1", "rules") for seen in range(50, 1501, 50)]
        wins += any(look.difference.low > 0 for look in looks)
        by_one_look += any(_at_one_look(look, seen) > 0 for look, seen in zip(looks, range(50, 1501, 50), strict=True))
    assert wins <= 6  # 1.5 expected; more than 6 happen once in a thousand
    assert by_one_look > 6


def _at_one_look(look, customers):
    """Where the same difference's interval for one look begins."""
    half = look.difference.value - look.difference.low
    return look.difference.value - half * Z / always_valid_z(customers, tightest=TIGHTEST)


def test_few_matches_decide_nothing():
    few = compare(decisions(400, model=1.0, rules=0.0, overlap=0), "model:1", "rules")
    assert few.other.matches < ENOUGH
    assert not few.wins


def test_strategies_that_never_met_are_not_compared():
    assert compare(decisions(10, model=0.5, rules=0.5), "model:2", "rules") is None
