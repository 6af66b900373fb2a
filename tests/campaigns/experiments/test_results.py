"""Results count each customer once, leave open cases out, and say when the arms are not what was drawn."""

from datetime import timedelta
from typing import Any

import pytest

from campaigns.experiments.results import experiment_results
from campaigns.models import Experiment, ExperimentArm, ExperimentExposure
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
VERSION = "ladder_version"


def met(arm: ExperimentArm, count: int, ladder: Any, *, sent: int = 0, **case: Any) -> None:
    for _ in range(count):
        customer = f.customer()
        row = f.case(customer, invoices=[], ladder_version=ladder, **case)
        ExperimentExposure.objects.create(experiment=arm.experiment, arm=arm, customer=customer, case=row, at=NOW)
        for _ in range(sent):
            f.message(row, sent_at=NOW + DAY)
        f.message(row)
        f.message(row, sent_at=NOW - DAY)
        f.message(row, sent_at=NOW + DAY, purpose="receipt")


def closed(state: str, days: int = 5) -> dict[str, Any]:
    reason = {"recovered": "paid", "lost": "exhausted", "cancelled": "voided"}[state]
    return {"state": state, "closed_at": NOW + days * DAY, "close_reason": reason, "next_action_at": None}


@pytest.fixture
def experiment() -> Experiment:
    return f.experiment()


def test_counts_rates_and_differences(experiment: Experiment, django_assert_num_queries: Any) -> None:
    base, held = experiment.arms.order_by("position")
    version = experiment.ladder.versions.get()  # type: ignore[union-attr]
    met(base, 6, version, sent=2, **closed("recovered"))
    met(base, 1, version, **closed("lost"))
    met(base, 1, version, **closed("cancelled"))
    met(base, 2, version)
    met(held, 2, version, **closed("recovered"))
    met(held, 6, version, **closed("lost"))
    with django_assert_num_queries(3):
        results = experiment_results(experiment)
    first, second = results.arms
    assert (first.exposed, first.closed, first.recovered, first.cancelled, first.open) == (10, 8, 6, 1, 2)
    assert first.messages == 12
    assert first.messages_each == pytest.approx(1.2)
    assert first.rate is not None
    assert (first.rate.value, first.rate.low, first.rate.high) == pytest.approx((0.75, 0.4093, 0.9285), abs=5e-5)
    assert first.difference is None
    assert (second.exposed, second.closed, second.recovered, second.messages) == (8, 8, 2, 0)
    assert second.difference is not None
    assert second.difference.value == pytest.approx(-0.5)
    assert second.difference.low < -0.5 < second.difference.high
    assert second.difference.excludes_zero
    assert (results.exposed, results.open, results.ratio_mismatch) == (18, 2, False)


def test_what_closed_after_the_stop_is_open_here(experiment: Experiment) -> None:
    base = experiment.arms.order_by("position")[0]
    version = experiment.ladder.versions.get()  # type: ignore[union-attr]
    met(base, 2, version, **closed("recovered", days=5))
    met(base, 3, version, **closed("recovered", days=20))
    experiment.stopped_at = NOW + 10 * DAY
    first = experiment_results(experiment).arms[0]
    assert (first.closed, first.open) == (2, 3)


def test_an_empty_experiment_says_nothing(experiment: Experiment) -> None:
    results = experiment_results(experiment)
    assert [(arm.exposed, arm.rate, arm.difference) for arm in results.arms] == [(0, None, None)] * 2
    assert not results.ratio_mismatch


def test_arms_that_are_not_what_was_drawn_are_told(experiment: Experiment) -> None:
    base = experiment.arms.order_by("position")[0]
    met(base, 12, experiment.ladder.versions.get())  # type: ignore[union-attr]
    assert experiment_results(experiment).ratio_mismatch
