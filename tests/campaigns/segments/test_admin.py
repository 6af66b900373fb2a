"""The segment's form refuses what cannot be read, its doors are closed to strangers, its filter filters."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.models import Segment
from tests import factories as f

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> Client:
    return f.desk(f.staff("manager", "maria"))


def test_a_mistake_is_refused_with_its_place_and_nothing_is_saved(manager: Client) -> None:
    answer = manager.post(
        reverse("admin:campaigns_segment_add"),
        {"name": "X", "code": "x", "description": "", "query": 'country = "IT" and\n  countri = "FR"'},
    )
    assert answer.status_code == 200
    assert "Line 2, column 3: There is no field countri. Did you mean country?" in answer.content.decode()
    assert not Segment.objects.exists()


def test_saving_keeps_history_with_its_author(manager: Client) -> None:
    data = {"name": "X", "code": "x", "description": "", "query": 'country = "IT"'}
    assert manager.post(reverse("admin:campaigns_segment_add"), data).status_code == 302
    segment = Segment.objects.get()
    manager.post(reverse("admin:campaigns_segment_change", args=[segment.pk]), data | {"query": 'country = "FR"'})
    assert [(row.query, row.history_user.username) for row in segment.history.all()] == [
        ('country = "FR"', "maria"),
        ('country = "IT"', "maria"),
    ]


def test_the_count_answers_with_people_or_with_the_mistake(manager: Client) -> None:
    customer = f.customer(name="<b>Anna</b>", country="IT")
    f.invoice(customer, amount_due=123456)
    url = reverse("admin:campaigns_segment_count")
    shown = manager.post(url, {"query": 'country = "IT"'}).content.decode()
    assert "<strong>1</strong> customer answers" in shown
    assert "&lt;b&gt;Anna" in shown
    assert "€1,234.56" in shown
    assert "Syntax error" in manager.post(url, {"query": "country = ="}).content.decode()
    assert manager.post(url, {"query": " "}).content.decode().strip() == ""


@pytest.mark.parametrize("name", ["introspect", "count"])
def test_who_may_see_no_customers_is_told_of_none(name: str) -> None:
    client = Client()
    client.force_login(User.objects.create_user("guest", is_staff=True))
    assert client.post(reverse(f"admin:campaigns_segment_{name}"), {"query": "x"}).status_code == 403


def test_completion_knows_the_values_in_use(manager: Client) -> None:
    f.invoice(f.customer(country="PT", tags=["vip"], metadata={"seats": 3, "two words": 1}), currency="CHF")
    models = manager.get(reverse("admin:campaigns_segment_introspect")).json()["models"]
    assert models["customer"]["country"]["options"] == ["PT"]
    assert models["customer"]["tags"]["options"] == ["vip"]
    assert models["customer"]["kind"]["options"] == ["consumer", "business"]
    assert list(models["balance"]) == ["CHF"]
    assert list(models["metadata"]) == ["seats"]
    assert models["customer"]["case"] == {"type": "relation", "relation": "case", "nullable": False, "options": None}
    assert "days" in models["case"]


@pytest.mark.parametrize("query", ['country = "PT"', "gone.field = 1"])
def test_lists_are_narrowed_to_a_segment(manager: Client, query: str) -> None:
    Segment.objects.create(code="pt", name="Portugal", query=query)
    found, other = f.customer(name="Found", country="PT"), f.customer(name="Other", country="ES")
    f.case(found, invoices=[])
    f.case(other, invoices=[])
    for url in ("admin:customers_customer_changelist", "admin:campaigns_case_changelist"):
        page: Any = manager.get(reverse(url), {"segment": "pt"})
        rows = page.context["cl"].result_list
        names = {getattr(row, "customer", row).name for row in rows}
        assert names == ({"Found"} if query.startswith("country") else set())


def test_a_list_asks_who_is_in_a_segment_once_for_count_page_and_action(manager: Client) -> None:
    Segment.objects.create(code="owing", name="Owing", query="balance.EUR > 0")
    for _ in range(60):
        customer = f.customer()
        f.case(customer, invoices=[f.invoice(customer)])
    for model in (
        "customers_customer", "campaigns_case", "billing_invoice", "campaigns_message", "campaigns_task",
        "billing_paymentattempt",
    ):  # fmt: skip
        with CaptureQueriesContext(connection) as found:
            page: Any = manager.get(reverse(f"admin:{model}_changelist"), {"segment": "owing"})
        asked = [row["sql"] for row in found if "FROM customers_customer c JOIN customers_brand" in row["sql"]]
        assert len(asked) == 1, model
        assert page.context["cl"].result_count == (0 if model.endswith(("message", "task", "attempt")) else 60)
