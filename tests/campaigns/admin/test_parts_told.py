"""Staff read that the amount is the obstacle where they look at what is owed, and where they agree on a plan."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from campaigns.worklist.refresh import work_refresh
from tests import factories as f
from tests.factories import NOW
from tests.hindered import VAGUE, active_plan, hindered

pytestmark = pytest.mark.django_db
TOLD = "The amount seems to be the obstacle: refused for lack of funds 2 times."


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("customers.clock._source", lambda: NOW)


def pages(boss: Client, customer: Any) -> list[str]:
    page = reverse("admin:customers_customer_change", args=[customer.pk])
    addresses = [
        f"{page}?tab=invoices",
        f"{page}?tab=methods",
        f"/admin/customers/customer/{customer.pk}/do/plan/",
        f"/admin/customers/customer/{customer.pk}/do/call/",
        reverse("admin:campaigns_workitem_change", args=[customer.pk]),
    ]
    return [boss.get(address, follow=True).content.decode() for address in addresses]


def test_it_is_told_beside_the_invoices_and_the_plan_form(boss: Client) -> None:
    invoice = hindered()
    f.case(invoice.customer, invoices=[invoice])
    work_refresh(now=NOW, only=[invoice.customer_id])
    assert [TOLD in page for page in pages(boss, invoice.customer)] == [True, False, True, True, True]
    assert "3 × €30.00" in pages(boss, invoice.customer)[2].replace("\xa0", " ")
    invoice.attempts.update(decline_category=VAGUE)
    assert [TOLD in page for page in pages(boss, invoice.customer)] == [False] * 5


def test_it_is_not_told_of_what_rests(boss: Client) -> None:
    invoice = hindered()
    f.case(invoice.customer, invoices=[invoice])
    work_refresh(now=NOW, only=[invoice.customer_id])
    active_plan(invoice)
    type(invoice).objects.update(in_plan=True)
    assert [TOLD in page for page in pages(boss, invoice.customer)] == [False] * 5
