"""The worklist's pages: what they cost, where their buttons lead, and who may press them."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.models import Case, Task, WorkFilter, WorkItem
from campaigns.worklist.marks import work_mark
from campaigns.worklist.refresh import work_refresh, work_refresh_all
from customers import clock
from tests import factories as make
from tests.factories import NOW

LIST = "/admin/campaigns/workitem/"


@pytest.fixture(autouse=True)
def _noon() -> Any:
    with clock.running_on(lambda: NOW):
        yield


def staff(role: str, name: str = "") -> tuple[User, Client]:
    user = make.staff(role, name)
    client = make.desk(user)
    return user, client


def owing(**fields: Any) -> Case:
    customer = make.customer(**({"phone": "+393331234567"} | fields))
    return make.case(customer, invoices=[make.invoice(customer)])


def refresh() -> None:
    work_mark(Case.objects.values_list("customer_id", flat=True), NOW)
    for _result in work_refresh_all(now=NOW):
        pass


@pytest.mark.django_db
def test_a_page_of_fifty_costs_what_a_page_of_one_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.worklist.lists.PAGE", 50)
    _anna, client = staff("manager")

    def queries() -> int:
        refresh()
        client.get(f"{LIST}?tab=team")
        with CaptureQueriesContext(connection) as taken:
            response = client.get(f"{LIST}?tab=team")
        assert response.status_code == 200
        assert response.content.decode().count("data-row") == WorkItem.objects.count()
        return len(taken)

    owing()
    alone = queries()
    for _i in range(49):
        owing()
    assert queries() == alone <= 20


@pytest.mark.django_db
def test_a_row_says_what_to_do_and_the_button_leads_back_with_the_row_ranked_anew() -> None:
    _anna, client = staff("collector")
    case = owing(name="Łukasz <b>Żak</b>")
    refresh()
    text = client.get(f"{LIST}?tab=free").content.decode()
    assert "Łukasz &lt;b&gt;Żak&lt;/b&gt;" in text
    assert "Call now" in text
    call = reverse("admin:customers_customer_do", args=[case.customer_id, "call"])
    assert f"{call}?next=" in text

    back = f"{LIST}?tab=free&touched={case.customer_id}"
    done = client.post(
        f"{call}?next={back.replace('?', '%3F').replace('&', '%26')}",
        {"outcome": "no_answer", "direction": "out", "text": "", "key": "once"},
    )
    assert done.status_code == 302, done.context["form"].errors
    assert done.url == back
    assert f"row-{case.customer_id}" not in client.get(done.url).content.decode()
    assert f"row-{case.customer_id}" in client.get(f"{LIST}?tab=free&show=later").content.decode()


@pytest.mark.django_db
def test_an_empty_list_offers_what_there_is() -> None:
    anna, client = staff("collector")
    assert "Cases appear here when payments fail" in client.get(f"{LIST}?tab=mine").content.decode()
    owing()
    refresh()
    text = client.get(f"{LIST}?tab=mine").content.decode()
    assert "Nothing of yours is due now." in text
    assert "Take something nobody has" in text
    Case.objects.update(owner=anna, state="paused", next_action_at=None)
    refresh()
    text = client.get(f"{LIST}?tab=mine").content.decode()
    assert "Take something nobody has" not in text
    assert "See what of yours rests" in text


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_an_act_leads_nowhere_else(path: str) -> None:
    _anna, client = staff("collector")
    case = owing()
    refresh()
    done = client.post(reverse("admin:campaigns_workitem_do", args=[case.customer_id, "claim"]) + f"?next={path}")
    assert done.url == reverse("admin:campaigns_workitem_change", args=[case.customer_id])


@pytest.mark.django_db
def test_one_by_one_leads_from_the_first_to_the_last() -> None:
    anna, client = staff("collector")
    cases = [owing(), owing()]
    Case.objects.update(owner=anna)
    refresh()
    first = client.get(f"{LIST}next/?tab=mine", follow=True)
    shown = first.redirect_chain[-1][0]
    text = first.content.decode()
    assert f"/workitem/{cases[0].customer_id}/change/" in shown
    assert "Open invoices" in text
    assert "/do/snooze/" in text
    assert f"/customer/{cases[0].customer_id}/do/call/" in text
    assert "/do/pause/" in text

    act = reverse("admin:campaigns_workitem_do", args=[cases[0].customer_id, "snooze"])
    onward = client.post(f"{act}?next={LIST}next/%3Ftab%3Dmine", {"until": "1d", "reason": "Lunch"}, follow=True)
    assert f"/workitem/{cases[1].customer_id}/change/" in onward.redirect_chain[-1][0]
    WorkItem.objects.filter(pk=cases[1].customer_id).update(due_at=NOW + timedelta(days=1))
    end = client.get(f"{LIST}next/?tab=mine", follow=True)
    assert "That was the last one" in end.content.decode()


@pytest.mark.django_db
def test_a_customer_with_nothing_left_to_do_leads_back_to_the_list() -> None:
    _anna, client = staff("collector")
    case = owing()
    gone = client.get(f"{LIST}{case.customer_id}/change/?next={LIST}", follow=True)
    assert "Nothing is left to do" in gone.content.decode()


@pytest.mark.django_db
def test_a_task_is_finished_from_the_list() -> None:
    anna, client = staff("collector")
    case = owing()
    task = Task.objects.create(
        customer=case.customer, case=case, kind="review", title="Look", due_at=NOW, created_at=NOW
    )
    refresh()
    assert "Task: Look" in client.get(f"{LIST}?tab=team").content.decode()
    act = reverse("admin:campaigns_workitem_do", args=[case.customer_id, "done"])
    client.post(act, {"outcome": "Seen to", "call": ""})
    task.refresh_from_db()
    assert task.status == "done"


@pytest.mark.django_db
def test_filters_are_kept_for_their_owner_alone() -> None:
    anna, client = staff("collector")
    _bob, other = staff("collector", "bob")
    client.post(f"{LIST}filters/", {"tab": "team", "country": "PL", "name": "Poland"})
    kept = WorkFilter.objects.get()
    assert (kept.user, kept.name, kept.query) == (anna, "Poland", "tab=team&country=PL")
    assert "Poland" in client.get(LIST).content.decode()
    assert "Poland" not in other.get(LIST).content.decode()
    other.post(f"{LIST}filters/", {"drop": "Poland"})
    assert WorkFilter.objects.exists()
    client.post(f"{LIST}filters/", {"drop": "Poland"})
    assert not WorkFilter.objects.exists()
    assert client.get(f"{LIST}filters/").status_code == 403


@pytest.mark.django_db
def test_work_is_given_out_by_managers() -> None:
    anna, _client = staff("collector", "anna")
    bob, _client = staff("collector", "bob")
    _manager, manager = staff("manager")
    cases = [owing(language="it") for _i in range(4)] + [owing(language="en")]
    refresh()
    url = f"{LIST}give/?tab=free&language=it"
    assert "4 rows" in manager.get(url).content.decode()
    manager.post(url, {"people": [anna.pk, bob.pk], "most": ""})
    owners = list(Case.objects.order_by("pk").values_list("owner__username", flat=True))
    assert sorted(owners[:4]) == ["anna", "anna", "bob", "bob"]
    assert owners[4] is None
    assert cases[4].owner is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        ("auditor", "", 200),
        ("auditor", "next/", 302),
        ("auditor", "give/", 403),
        ("collector", "give/", 403),
        ("manager", "give/", 200),
        ("auditor", "{pk}/change/", 200),
        ("auditor", "{pk}/do/claim/", 403),
        ("auditor", "{pk}/do/snooze/", 403),
        ("auditor", "{pk}/do/done/", 403),
        ("collector", "{pk}/do/owner/", 403),
        ("collector", "{pk}/do/done/", 200),
        ("manager", "{pk}/do/owner/", 200),
    ],
)
def test_who_may_what(role: str, path: str, status: int) -> None:
    _user, client = staff(role)
    case = owing()
    work_mark([case.customer_id], NOW)
    work_refresh(now=NOW)
    response = client.get(LIST + path.format(pk=case.customer_id))
    assert response.status_code == status
    if role == "auditor" and status == 200:
        assert "/do/snooze/" not in response.content.decode()
