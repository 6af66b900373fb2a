"""A promise from the page: noted once, taken back with a reason, and not offered where a form could not ask for it."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Promise
from campaigns.models import Case, Task
from customers.models import Interaction
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def case() -> Case:
    customer = make.customer(phone="+39021234567")
    return make.case(customer, invoices=[make.invoice(customer, amount_due=48_000)])


def promise(client: Client, case: Case, **fields: str) -> None:
    asked = {
        "promise_amount": "480",
        "promise_currency": "eur",
        "promised_on": (timezone.now() + timedelta(days=5)).date().isoformat(),
        "grace_days": "2",
    }
    client.post(reverse("admin:campaigns_case_do", args=[case.pk, "promise"]), asked | fields)


@pytest.mark.parametrize("page", ["case", "customer", "promise"])
def test_a_promise_noted_by_mistake_is_taken_back_with_a_reason(admin_client: Client, case: Case, page: str) -> None:
    promise(admin_client, case)
    made = Promise.objects.get()
    assert (made.amount, made.currency, made.status) == (48_000, "EUR", "open")
    route, pk = {
        "case": ("campaigns_case", case.pk),
        "customer": ("customers_customer", case.customer_id),
        "promise": ("billing_promise", made.pk),
    }[page]
    url = reverse(f"admin:{route}_do", args=[pk, "promise-back"])
    shown = admin_client.get(reverse(f"admin:{route}_change", args=[pk])).content.decode()
    assert url in shown
    assert "/do/promise/" not in shown  # one stands already
    admin_client.post(url, {"reason": ""})
    made.refresh_from_db()
    assert made.status == "open"
    admin_client.post(url, {"reason": "It was another customer."})
    made.refresh_from_db()
    assert made.status == "cancelled"
    line = Interaction.objects.get(kind="promise.cancelled")
    assert (line.body, line.actor.username) == ("It was another customer.", "admin")
    assert url not in admin_client.get(reverse(f"admin:{route}_change", args=[pk])).content.decode()


def test_a_promise_without_its_amount_is_asked_for_again(admin_client: Client, case: Case) -> None:
    promise(admin_client, case, promise_amount="")
    assert not Promise.objects.exists()


def test_a_task_is_not_closed_with_a_promise_nobody_noted(admin_client: Client, case: Case) -> None:
    task = Task.objects.create(
        customer=case.customer, case=case, kind=Task.Kind.CALL, title="Call", due_at=timezone.now(),
        created_at=timezone.now(),
    )  # fmt: skip
    url = reverse("admin:campaigns_task_do", args=[task.pk, "done"])
    page = admin_client.get(url).content.decode()
    assert 'value="left_message"' in page
    assert 'value="promised"' not in page
    admin_client.post(url, {"call": "promised"})
    task.refresh_from_db()
    assert task.status == "open"


def test_the_log_of_all_customers_is_narrowed_to_a_kind(admin_client: Client, case: Case) -> None:
    promise(admin_client, case)
    url = reverse("admin:customers_interaction_changelist")
    assert "Promise to pay €480.00" in admin_client.get(url, {"what": "promise.made"}).content.decode()
    assert "Promise to pay €480.00" in admin_client.get(url, {"what": "arrangements"}).content.decode()
    assert "Promise to pay €480.00" not in admin_client.get(url, {"what": "calls"}).content.decode()
