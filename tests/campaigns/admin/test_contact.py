"""“May I contact them now?” on pages and lists."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from campaigns.models import Task
from customers.consent import Evidence, Source, opt_out_record
from customers.notes import call_log
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "x"))
    return client


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_to(moment: Any) -> None:
        monkeypatch.setattr("customers.clock._source", lambda: moment)

    set_to(NOW)
    return set_to


def page(client: Client, row: Any) -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return client.get(reverse(name, args=[row.pk])).content.decode()


def test_the_page_says_per_channel_what_holds_why_and_until_when(boss: Client, at: Any) -> None:
    case = factories.case(factories.customer(phone="+393331234567"))
    text = page(boss, case)
    assert "Contact now?" in text
    assert "has not allowed this channel" in text  # WhatsApp
    user = User.objects.get()
    call_log(customer_id=case.customer_id, outcome="spoke", actor_id=user.pk, now=NOW - timedelta(hours=1))
    for row in (case, case.customer):
        text = page(boss, row)
        assert "There was a conversation with the customer less than 2 days ago." in text
        assert "2026-03-12 12:00" in text
        assert "after_talk.default" in text
        assert "two days of peace" in text
    case.customer.bankrupt = True
    case.customer.save()
    assert "claims go to the administrator" in page(boss, case)


def test_lists_say_it_too_at_a_constant_cost(boss: Client, at: Any, django_assert_max_num_queries: Any) -> None:
    url = reverse("admin:campaigns_case_changelist")

    def cost() -> int:
        with django_assert_max_num_queries(60) as found:
            assert boss.get(url).status_code == 200
        return len(found)

    first = factories.case(factories.customer(name="First"))
    ladder = first.ladder_version
    boss.get(url)
    one = cost()
    for number in range(12):
        factories.case(factories.customer(email=f"c{number}@example.com"), ladder_version=ladder)
    refused = factories.case(factories.customer(email="no@example.com"), ladder_version=ladder)
    opt_out_record(channel="email", address="no@example.com", evidence=Evidence(Source.STAFF), now=NOW)
    factories.case(factories.customer(), ladder_version=ladder, state="recovered", closed_at=NOW, next_action_at=None)
    assert cost() == one
    text = boss.get(url).content.decode()
    assert text.count("Allowed</span>") == 13
    assert "no@example.com may not be used" in text
    at(NOW + timedelta(hours=14))  # three at night in Rome
    text = boss.get(url).content.decode()
    assert "Quiet hours" in text
    assert refused.pk


def test_open_calls_say_whether_one_may_ring(boss: Client, at: Any) -> None:
    case = factories.case(factories.customer(phone="+39021234567", country="FR", timezone="Europe/Paris"))
    task = Task.objects.create(
        customer=case.customer, case=case, kind="call", title="Ring", due_at=NOW, created_at=NOW
    )
    url = reverse("admin:campaigns_task_changelist")
    assert "contact only 10:00–13:00, 14:00–20:00" in boss.get(url).content.decode()  # 13:00 in Paris
    assert "quiet_hours.fr" in page(boss, task)
    at(NOW + timedelta(hours=2))
    assert "Allowed</span>" in boss.get(url).content.decode()
