"""Contact rules in the admin: read, written, compared, taken back."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from campaigns.guard.overrides import current_book
from campaigns.guard.policy import shipped
from campaigns.models import PolicyOverride
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
LIST = "admin:campaigns_policyoverride_changelist"
ADD = "admin:campaigns_policyoverride_add"


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("customers.clock._source", lambda: NOW)


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "x"))
    return client


def filled(client: Client, url: str, **changes: Any) -> dict[str, Any]:
    """What the browser would send back: the form as it was shown, with some fields typed over."""
    form = client.get(url).context["adminform"].form
    data: dict[str, Any] = {}
    for name, field in form.fields.items():
        value = form.get_initial_for_field(field, name)
        if value is True:
            data[name] = "on"
        elif value is not None and value is not False:
            data[name] = value
    return {**data, "note": "Board", **changes}


def errors(response: Any) -> str:
    form = response.context["adminform"].form
    return " ".join(str(message) for messages in form.errors.values() for message in messages)


@pytest.mark.parametrize("code", sorted(shipped()))
def test_the_rules_of_every_policy_are_shown_with_what_they_rest_on(boss: Client, code: str) -> None:
    text = boss.get(reverse(LIST), {"policy": code}).content.decode()
    assert shipped()[code].title in text
    assert "house rule" in text or code == "us-collector"
    assert f"?code={code}" in text


def test_a_manager_narrows_the_hours_sees_what_differs_and_takes_it_back(boss: Client) -> None:
    url = f"{reverse(ADD)}?code=it"
    typed = {"call_weekdays": "09:00-12:00, 14:00-18:00", "call_source": "Board, 3 March", "call_basis": "house"}
    response = boss.post(url, filled(boss, url, **typed))
    assert response.status_code == 302, errors(response)
    row = PolicyOverride.objects.get()
    assert list(row.rules["channels"]) == ["call"]
    assert row.history.get().history_user.username == "boss"
    rules = current_book().on("IT", NOW.date()).rules("call")
    assert [str(span) for span in rules.hours.weekdays] == ["09:00–12:00", "14:00–18:00"]
    assert rules.own

    page = reverse("admin:campaigns_policyoverride_change", args=[row.pk])
    text = boss.get(page).content.decode()
    assert "08:30–21:00" in text
    assert "09:00–12:00, 14:00–18:00" in text
    assert "Board, 3 March" in text

    url = f"{page}?section=details"
    response = boss.post(url, filled(boss, url, call_per_week="2"))
    assert response.status_code == 302, errors(response)
    assert current_book().on("IT", NOW.date()).rules("call").per_week == 2
    assert row.history.count() == 2

    # The first version is there to go back to.
    first = row.history.order_by("history_id").first()
    history = reverse("admin:campaigns_policyoverride_simple_history", args=[row.pk, first.history_id])
    assert boss.get(history).status_code == 200
    response = boss.post(history, filled(boss, history))
    assert response.status_code == 302, errors(response)
    assert current_book().on("IT", NOW.date()).rules("call").per_week == 3

    assert boss.post(reverse("admin:campaigns_policyoverride_do", args=[row.pk, "withdraw"])).status_code == 302
    assert current_book().on("IT", NOW.date()).rules("call").own is False
    assert boss.get(page).status_code == 200


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({}, "Nothing differs"),
        ({"code": "atlantis"}, "no such policy"),
        ({"call_weekdays": "9 to 5", "call_source": "x"}, "Hours are written like"),
        ({"call_weekdays": "25:00-26:00", "call_source": "x"}, "Hours are written like"),
        ({"call_weekdays": "closed", "call_source": "x"}, "weekdays"),
        ({"call_per_week": "-1"}, "greater than or equal to 0"),
        ({"call_per_week": "9", "call_source": ""}, "needs its source"),
        ({"call_per_week": "9"}, "say what your own rule rests on"),
        ({"valid_from": "soon"}, "valid date"),
        ({"note": ""}, "required"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(boss: Client, typed: dict[str, str], says: str) -> None:
    url = f"{reverse(ADD)}?code=au"
    response = boss.post(url, filled(boss, url, **typed))
    assert response.status_code == 200
    assert says in errors(response)
    assert not PolicyOverride.objects.exists()


def test_rules_for_businesses_of_another_policy_change_what_was_typed_and_nothing_else(boss: Client) -> None:
    url = f"{reverse(ADD)}?code=it"
    typed = {"code": "jp", "audience": "business", "sms_per_week": "1", "sms_source": "Board"}
    response = boss.post(url, filled(boss, url, **typed))
    assert response.status_code == 302, errors(response)
    row = PolicyOverride.objects.get()
    assert row.code == "jp"
    assert list(row.rules["business"]["channels"]) == ["sms"]
    assert current_book().on("JP", NOW.date(), kind="business").rules("sms").per_week == 1
    assert current_book().on("JP", NOW.date()).rules("sms").per_week == 3
    hours = current_book().on("JP", NOW.date(), kind="business").rules("call").hours
    assert [str(span) for span in hours.weekdays] == ["09:00–18:00"]


def test_one_set_of_rules_a_day_and_brand(boss: Client) -> None:
    url = f"{reverse(ADD)}?code=it"
    data = filled(boss, url, call_per_week="2", call_source="Board", call_basis="house")
    assert boss.post(url, data).status_code == 302
    response = boss.post(url, data | {"call_per_week": "1"})
    assert "change those" in errors(response)


def test_who_may_only_look_cannot_write(boss: Client) -> None:
    from django.contrib.auth.models import Permission

    user = User.objects.create_user("looker", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_policyoverride"))
    client = factories.desk(user)
    text = client.get(reverse(LIST), {"policy": "it"}).content.decode()
    assert "UNIREC" in text
    assert "Write own rules" not in text
    assert client.get(reverse(ADD)).status_code == 403
