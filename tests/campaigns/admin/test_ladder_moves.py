"""Cases in flight are moved as the manager chooses: all, a segment's, or those ticked in the list."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Case, LadderVersion, Segment
from campaigns.services.versions import ladder_draft, ladder_publish
from customers.bulk.run import jobs_run
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> Client:
    return factories.desk(factories.staff("manager", "mara"))


@pytest.fixture
def newest() -> LadderVersion:
    """The published version of a ladder with four cases on the one before."""
    old = factories.ladder()
    for number in range(4):
        customer = factories.customer(name=f"C{number}", country="DE" if number < 2 else "FR")
        factories.case(customer, ladder_version=old)
    draft = ladder_draft(ladder_id=old.ladder_id)
    ladder_publish(version_id=draft.pk, now=NOW, actor_id=None)
    return LadderVersion.objects.get(pk=draft.pk)


def page(version: LadderVersion) -> str:
    return reverse("admin:campaigns_ladderversion_do", args=[version.pk, "move"])


def moved(version: LadderVersion) -> list[str]:
    """Who follows the version once the worker has carried out whatever was confirmed."""
    while jobs_run(now=NOW).job_id is not None:
        pass
    return list(Case.objects.filter(ladder_version=version).order_by("pk").values_list("customer__name", flat=True))


def test_all_cases_are_shown_and_moved_when_nothing_is_chosen(manager: Client, newest: LadderVersion) -> None:
    shown = manager.get(page(newest)).content.decode()
    assert "4 live cases" in shown
    manager.post(page(newest), {"reason": "Softer"})
    assert moved(newest) == ["C0", "C1", "C2", "C3"]


def test_a_segment_s_cases_only(manager: Client, newest: LadderVersion) -> None:
    segment = Segment.objects.create(name="Germans", code="germans", query='country = "DE"')
    shown = manager.get(page(newest), {"segment": segment.pk})
    assert "2 live cases" in shown.content.decode()
    assert [str(customer) for _move, customer, _number in shown.context["moves"]] == ["C0", "C1"]
    manager.post(page(newest), {"segment": segment.pk, "cases": "", "reason": "Softer"})
    assert moved(newest) == ["C0", "C1"]


def test_those_ticked_in_the_list_travel_to_the_question_and_only_they_are_moved(
    manager: Client, newest: LadderVersion
) -> None:
    first, _second, third, _fourth = Case.objects.order_by("pk")
    ticked: Any = {"action": "move_to_published", "_selected_action": [first.pk, third.pk]}
    answer = manager.post(reverse("admin:campaigns_case_changelist"), ticked)
    assert answer.status_code == 302
    shown = manager.get(answer["Location"])
    assert "2 live cases" in shown.content.decode()
    form = {name: shown.context["form"].initial[name] for name in ("segment", "cases")}
    refused = manager.post(page(newest), form | {"reason": ""})
    assert (refused.status_code, "2 live cases" in refused.content.decode()) == (200, True)
    manager.post(page(newest), form | {"reason": "They asked"})
    assert moved(newest) == ["C0", "C2"]


@pytest.mark.parametrize("cases", ["one", "1; DROP", "9" * 30])
def test_what_is_no_list_of_cases_moves_nothing(manager: Client, newest: LadderVersion, cases: str) -> None:
    assert manager.get(page(newest), {"cases": cases}).context["refused"]
    assert manager.post(page(newest), {"cases": cases, "reason": "x"}).status_code == 200
    assert moved(newest) == []


def test_cases_of_two_ladders_are_refused_together(manager: Client, newest: LadderVersion) -> None:
    factories.case(factories.customer(name="Other"), ladder_version=factories.ladder())
    ticked: Any = {"action": "move_to_published", "_selected_action": list(Case.objects.values_list("pk", flat=True))}
    answer = manager.post(reverse("admin:campaigns_case_changelist"), ticked, follow=True)
    assert "Choose cases of one ladder." in answer.content.decode()
