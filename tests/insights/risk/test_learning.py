"""The learner: nothing later leaks into an invoice's features, and it foretells what it should and says so if not."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.risk import bills_of
from insights.risk.history import FEATURES, Bill, Incident, Payer, describe, tell
from insights.risk.learning import ENOUGH_INVOICES, Learned, Thin, auc, learn, load
from insights.risk.logistic import calibrate, fit
from insights.risk.reasons import reasons_of

IBM = Path(__file__).parents[2] / "data" / "ibm-accounts-receivable.csv"


def bill(key: int, *, payer: int = 1, issued: float = 0, paid: float | None = None, amount: float = 100) -> Bill:
    """Due thirty days after its issue, late a week after that."""
    return Bill(key, payer, issued, issued + 30, issued + 37, paid, amount, "EUR")


def features(bills: list[Bill], incidents: list[Incident] | None = None) -> dict[int, dict[str, float]]:
    described: dict[int, list[float]] = {}
    tell(bills, incidents or [], described=described)
    return {key: dict(zip(FEATURES, row, strict=True)) for key, row in described.items()}


def test_an_outcome_counts_from_the_day_after_it_was_known() -> None:
    late = bill(1, paid=50)
    for issued, known in ((37.0, 0), (37.5, 1)):
        row = features([late, bill(2, issued=issued)])[2]
        assert (math.expm1(row["invoices"]), row["late_last"]) == pytest.approx((known, known))
    # Paid on the very day another is issued: not known then.
    assert features([bill(1, paid=20), bill(2, issued=20)])[2]["days_late"] == 0
    assert features([bill(1, paid=20), bill(2, issued=21)])[2]["days_late"] < 0


_BILLS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 400), st.one_of(st.none(), st.integers(0, 120)), st.integers(1, 999)),
    min_size=1,
    max_size=25,
)


@given(rows=_BILLS, cut=st.integers(0, 450))
def test_what_happens_from_a_day_on_changes_no_features_of_invoices_issued_until_then(
    rows: list[tuple[int, int, int | None, int]], cut: int
) -> None:
    bills = [
        bill(n, payer=payer, issued=at, paid=None if took is None else at + took, amount=amount)
        for n, (payer, at, took, amount) in enumerate(rows)
    ]
    incidents = [Incident(payer, at + 5, "broken") for payer, at, _took, _amount in rows]
    # As it stood on the morning of `cut`: nothing paid or broken since, nothing issued later.
    then = [replace(b, paid=b.paid if b.paid is not None and b.paid < cut else None) for b in bills if b.issued <= cut]
    whole = features(bills, incidents)
    before = features(then, [i for i in incidents if i.at < cut])
    assert before == {b.key: whole[b.key] for b in then}


def test_the_ibm_receivables_are_foretold_far_better_than_by_the_base_rate_or_the_last_invoice() -> None:
    bills = bills_of(IBM, 0)
    learned = learn(bills, (), max(b.known_at for b in bills) + 1)
    assert isinstance(learned, Learned)
    figures = learned.figures
    assert figures["model"]["auc"] > figures["last"]["auc"] + 0.1 > figures["base"]["auc"] + 0.2
    assert figures["model"]["brier"] < figures["last"]["brier"] < figures["base"]["brier"]
    assert learned.better
    # Calibrated: every group's foretold share lies in its interval, or within five points of it.
    for group in figures["model"]["calibration"]:
        assert group["low"] - 0.05 <= group["predicted"] <= group["high"] + 0.05
    model, climate = load(json.loads(json.dumps(learned.save())))
    row = describe(Payer(), climate, 0, log_amount=4, currency="USD", terms=30)
    assert model.chances(np.array([row])) == pytest.approx(learned.model.chances(np.array([row])))


def test_shuffled_outcomes_are_not_foretold() -> None:
    bills, random = bills_of(IBM, 0), np.random.default_rng(7)
    paid = random.permutation([(b.paid or 0) - b.issued for b in bills])
    shuffled = [replace(b, paid=b.issued + took) for b, took in zip(bills, paid, strict=True)]
    learned = learn(shuffled, (), 1e9)
    assert isinstance(learned, Learned)
    assert abs(learned.figures["model"]["auc"] - 0.5) < 0.08
    assert not learned.better


def test_too_little_is_said_to_be_too_little() -> None:
    found = learn([bill(n, payer=n, issued=n, paid=n + 40) for n in range(20)], (), 1e6)
    assert isinstance(found, Thin)
    assert found.needed["invoices"] == (20, ENOUGH_INVOICES)
    assert (found.needed["late"][0], found.needed["on_time"][0], found.enough) == (20, 0, False)


@pytest.mark.parametrize(
    "spoilt",
    [{}, {"features": list(FEATURES)}, {"features": ["age"]}, {"features": list(FEATURES), "climate": {"x": 1}}],
)
def test_what_is_no_model_is_refused(spoilt: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="model"):
        load(spoilt)


def test_the_fit_finds_known_weights_and_the_calibration_a_known_distortion() -> None:
    random = np.random.default_rng(3)
    rows = random.normal(size=(20_000, 2))
    true = 1 / (1 + np.exp(-(0.5 + 1.5 * rows[:, 0])))
    late = (random.random(20_000) < true).astype(float)
    model = fit(rows, late)
    assert model.weights == pytest.approx([1.5, 0.0], abs=0.08)
    distorted = replace(model, weights=model.weights * 2, intercept=model.intercept * 2)
    mended = calibrate(distorted, rows, late)
    assert (mended.slope, mended.shift) == pytest.approx((0.5, 0.0), abs=0.05)
    assert sum(model.effects(rows[0])) == pytest.approx(float(model.scores(rows[:1])[0]) - model.intercept)
    with pytest.raises(ValueError, match="outcomes"):
        fit(rows, np.ones(20_000))


@pytest.mark.parametrize(
    ("chances", "late", "value"),
    [([0.1, 0.9], [False, True], 1.0), ([0.9, 0.1], [False, True], 0.0), ([0.5, 0.5, 0.5], [True, False, True], 0.5),
     ([0.2, 0.4, 0.4, 0.8], [False, True, False, True], 0.875), ([0.3], [True], 0.5)],
)  # fmt: skip
def test_auc_counts_pairs(chances: list[float], late: list[bool], value: float) -> None:
    assert auc(chances, late) == pytest.approx(value)


def test_reasons_put_together_what_a_person_names_and_leave_out_what_weighs_little() -> None:
    effects = dict.fromkeys(FEATURES, 0.0) | {"late_share": 0.5, "late_last": 0.4, "days_late": -0.3, "open_now": 0.09}
    payer = Payer(known=4, late=3, paid=2, days=-10.0)
    found = reasons_of(list(effects.values()), payer, terms=14)
    assert found == [["late", [3, 4], 0.9], ["days", [-5], -0.3]]
