"""Two collectors at one case: the second is told what the first did; nothing is lost, nothing is done twice."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from campaigns.models import Case
from customers import meanwhile
from customers.admin import acting
from customers.models import Interaction
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def case() -> Case:
    return factories.case(factories.customer(name="Żółć i Synowie"))


def collector(name: str) -> Client:
    return factories.desk(factories.staff("collector", name))


def url(case: Case, slug: str) -> str:
    return reverse("admin:campaigns_case_do", args=[case.pk, slug])


def opened(client: Client, case: Case, slug: str) -> dict[str, str]:
    """What the form carries when it is opened."""
    html = client.get(url(case, slug)).content.decode()
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))


CALL = {"outcome": "spoke", "direction": "out", "number": "", "text": "They will look into it."}


def test_who_saves_second_reads_what_happened_and_may_go_on(case: Case) -> None:
    anna, ben = collector("anna"), collector("ben")
    form = opened(ben, case, "pause")
    anna.post(url(case, "call"), {**opened(anna, case, "call"), **CALL, "key": "a"})
    answer = ben.post(url(case, "pause"), {**form, "reason": "Asked for time"})
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "Since you opened this form" in text
    assert "Call: Spoke with them" in text
    assert "anna" in text
    assert "Asked for time" in text
    case.refresh_from_db()
    assert case.state == "open"
    # Having read it, he presses again.
    again = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text))
    assert ben.post(url(case, "pause"), {**again, "reason": "Asked for time"}).status_code == 302
    case.refresh_from_db()
    assert case.state == "paused"
    assert Interaction.objects.filter(kind="call.logged").count() == 1


def at_once(first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    """What both answer when they press in the same moment."""
    answers: list[Any] = []
    ready = threading.Barrier(2)

    def press(act: Callable[[], Any]) -> None:
        try:
            ready.wait(10)
            answers.append(act())
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=(act,)) for act in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def two_calls(case: Case) -> list[int]:
    anna, ben = collector("anna"), collector("ben")
    forms = [(client, opened(client, case, "call")) for client in (anna, ben)]
    presses = [
        lambda client=client, form=form: client.post(url(case, "call"), {**form, **CALL}) for client, form in forms
    ]
    return sorted(answer.status_code for answer in at_once(*presses))


def test_of_two_at_the_same_moment_one_is_told(case: Case) -> None:
    assert two_calls(case) == [200, 302]
    assert Interaction.objects.filter(kind="call.logged").count() == 1


def test_control_without_the_lock_both_go_through(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same two presses where the question is asked but nobody waits for the other: what the lock is for."""
    both_asked = threading.Barrier(2)

    def careless(customer_id: int, seen: str) -> None:
        news = Interaction.objects.filter(customer_id=customer_id, id__gt=int(seen)).exists()
        both_asked.wait(10)
        if news:
            raise meanwhile.Changed("", seen)

    monkeypatch.setattr(acting, "refuse_news", careless)
    assert two_calls(case) == [302, 302]
    assert Interaction.objects.filter(kind="call.logged").count() == 2
