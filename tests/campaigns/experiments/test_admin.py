"""A manager sets an experiment up, starts and stops it; what was started is not edited."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Experiment, ExperimentExposure, ExperimentStatus
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> Client:
    return f.desk(f.staff("manager", "maria"))


def form(ladder_id: int, shares: tuple[int, int], **fields: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": "Silence", "code": "silence", "question": "What does writing add?", "kind": "ladder",
        "ladder": ladder_id, "template": "", "segment": "",
        "arms-TOTAL_FORMS": 2, "arms-INITIAL_FORMS": 0, "arms-MIN_NUM_FORMS": 0, "arms-MAX_NUM_FORMS": 1000,
    }  # fmt: skip
    for number, share in enumerate(shares):
        arm = {"position": number + 1, "name": f"Arm {number}", "share": share, "retries": "on"}
        data |= {f"arms-{number}-{key}": value for key, value in arm.items()}
    data["arms-1-holdout"] = "on"
    return data | fields


def page(row: Experiment, section: str = "results") -> str:
    return reverse("admin:campaigns_experiment_change", args=[row.pk]) + f"?section={section}"


def test_from_draft_to_stop(manager: Client) -> None:
    ladder = f.ladder().ladder
    assert manager.post(reverse("admin:campaigns_experiment_add"), form(ladder.pk, (90, 10))).status_code == 302
    row = Experiment.objects.get()
    assert [arm.holdout for arm in row.arms.all()] == [False, True]
    assert "Nobody has been drawn yet." in manager.get(page(row)).content.decode()
    manager.post(reverse("admin:campaigns_experiment_do", args=[row.pk, "start"]))
    row.refresh_from_db()
    assert row.status == ExperimentStatus.RUNNING
    # Neither the form nor its arms can be edited any more.
    changed = manager.post(page(row, "details"), form(ladder.pk, (50, 50), name="Other"))
    assert changed.status_code == 403
    manager.post(reverse("admin:campaigns_experiment_do", args=[row.pk, "stop"]), {"reason": "The month is over."})
    row.refresh_from_db()
    assert row.status == ExperimentStatus.STOPPED
    log = manager.get(page(row, "log")).content.decode()
    assert "The month is over." in log
    assert log.count("maria") >= 3


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"arms-0-share": 80}, "add up to 90, not to 100"),
        ({"ladder": ""}, "This comparison needs it."),
        ({"kind": "template"}, "This comparison needs it."),
    ],
)
def test_what_contradicts_is_said_at_the_desk(manager: Client, fields: dict[str, Any], words: str) -> None:
    answer = manager.post(reverse("admin:campaigns_experiment_add"), form(f.ladder().ladder.pk, (90, 10), **fields))
    assert words in answer.content.decode()
    assert not Experiment.objects.exists()


def test_results_show_a_mismatch_and_cost_the_same_with_many(
    manager: Client, django_assert_max_num_queries: Any
) -> None:
    row = f.experiment()
    base = row.arms.order_by("position")[0]
    with django_assert_max_num_queries(60) as one:
        manager.get(page(row))
    for _ in range(15):
        customer = f.customer()
        case = f.case(customer, invoices=[])
        ExperimentExposure.objects.create(experiment=row, arm=base, customer=customer, case=case, at=NOW)
    with django_assert_max_num_queries(len(one)):
        shown = manager.get(page(row)).content.decode()
    assert "do not believe these results" in shown
    assert "15 cases (100 %) are still open" in shown
