"""What cannot be compared is not started; who started and stopped it, and why, stands in the history."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from campaigns.experiments.services import experiment_start, experiment_stop
from campaigns.models import Experiment, ExperimentStatus, LadderVersion, Segment, VersionStatus
from customers.errors import SollecitoError
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def start(experiment: Experiment) -> Experiment:
    return experiment_start(experiment_id=experiment.pk, actor_id=None, now=NOW)


def test_started_and_stopped_once_with_who_and_why() -> None:
    boss = User.objects.create_user("boss")
    experiment = f.experiment()
    experiment_start(experiment_id=experiment.pk, actor_id=boss.pk, now=NOW)
    later = NOW + timedelta(days=30)
    experiment_stop(experiment_id=experiment.pk, actor_id=boss.pk, reason="The month is over.", now=later)
    experiment.refresh_from_db()
    assert (experiment.status, experiment.started_at, experiment.stopped_at) == (ExperimentStatus.STOPPED, NOW, later)
    newest = experiment.history.first()
    assert (newest.history_user, newest.history_change_reason) == (boss, "The month is over.")
    for again in (start, lambda row: experiment_stop(experiment_id=row.pk, actor_id=None, reason="", now=later)):
        with pytest.raises(SollecitoError, match="cannot go from 'stopped'"):
            again(experiment)


def broken(name: str) -> dict[str, Any]:
    draft = LadderVersion.objects.create(ladder=f.ladder().ladder, number=2, status=VersionStatus.DRAFT)
    other = f.ladder(trigger="invoice_overdue")
    text = f.template("long", language="en")
    return {
        "one_arm": {"arms": [{"share": 100}]},
        "shares": {"arms": [{"share": 50}, {"share": 49}]},
        "draft": {"arms": [{}, {"ladder_version": draft}]},
        "trigger": {"arms": [{}, {"ladder_version": other}]},
        "holdout_version": {"arms": [{}, {"ladder_version": f.ladder(), "holdout": True}]},
        "template_here": {"arms": [{}, {"template": text}]},
        "hours_here": {"arms": [{}, {"send_from": time(9), "send_to": time(10)}]},
        "holdout_there": {"kind": "send_time", "arms": [{}, {"holdout": True}]},
        "half_hours": {"kind": "send_time", "arms": [{}, {"send_from": time(9)}]},
        "backwards": {"kind": "send_time", "arms": [{}, {"send_from": time(9), "send_to": time(8)}]},
        "languages": {
            "kind": "template",
            "template": f.template("base", language="it"),
            "arms": [{}, {"template": text}],
        },
        "segment": {"segment": Segment.objects.create(code="x", name="Broken", query="gone = 1")},
    }[name]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("one_arm", "at least two arms"),
        ("shares", "add up to 99"),
        ("draft", "is a draft"),
        ("trigger", "another trigger"),
        ("holdout_version", "no version to follow"),
        ("template_here", "experiments on texts"),
        ("hours_here", "hours of sending"),
        ("holdout_there", "experiments on ladders"),
        ("half_hours", "a later end"),
        ("backwards", "a later end"),
        ("languages", "no published text for email/it"),
        ("segment", "no field gone"),
    ],
)
def test_what_cannot_be_compared_is_refused(name: str, words: str) -> None:
    experiment = f.experiment(**broken(name))
    with pytest.raises(SollecitoError, match=words):
        start(experiment)
    experiment.refresh_from_db()
    assert experiment.status == ExperimentStatus.DRAFT


def test_two_at_once_on_one_ladder_are_refused() -> None:
    first = f.experiment()
    start(first)
    second = f.experiment(ladder=first.ladder)
    with pytest.raises(SollecitoError, match="Another experiment"):
        start(second)
    experiment_stop(experiment_id=first.pk, actor_id=None, reason="", now=NOW)
    assert start(second).status == ExperimentStatus.RUNNING
    start(f.experiment(ladder=first.ladder, kind="send_time", arms=[{}, {"send_from": time(9), "send_to": time(10)}]))
