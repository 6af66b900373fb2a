"""The band of risk against histories counted by hand, and the same answer by the segment and by the customer page."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from billing.models import Promise
from campaigns.segments.evaluate import query_contains
from campaigns.segments.risk import risk_of
from customers.models import Customer
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def history(
    *, on_time: int = 0, late: int = 0, declined: int = 0, succeeded: int = 0, broken: int = 0, ago: int = 100
) -> Customer:
    """A customer with so many invoices paid after 7 days or 8, charges and promises, `ago` days before NOW."""
    customer = f.customer()
    at = NOW - ago * DAY
    paid: dict[str, Any] = {"collection_method": "manual", "first_failed_at": None, "due_at": at, "status": "paid"}
    paid |= {"amount_paid": 3000, "amount_due": 3000}
    rows = [f.invoice(customer, paid_at=at + 7 * DAY, **paid) for _ in range(on_time)]
    rows += [f.invoice(customer, paid_at=at + 7 * DAY + timedelta(seconds=1), **paid) for _ in range(late)]
    for n in range(declined + succeeded):
        f.attempt(rows[0], status="declined" if n < declined else "succeeded", at=at + n * timedelta(minutes=1))
    for _ in range(broken):
        Promise.objects.create(
            customer=customer, brand=customer.brand, amount=5, currency="EUR", promised_on=at.date(), expires_at=at,
            closed_at=at, status="broken", created_at=at,
        )  # fmt: skip
    return customer


@pytest.mark.parametrize(
    ("past", "band"),
    [
        ({"on_time": 2}, ""),
        ({"on_time": 3}, "low"),
        ({"on_time": 3, "ago": 366}, ""),
        ({"on_time": 9, "late": 2}, "low"),
        ({"on_time": 8, "late": 2}, "medium"),
        ({"on_time": 2, "late": 2}, "medium"),
        ({"on_time": 3, "declined": 1, "succeeded": 5}, "low"),
        ({"on_time": 3, "declined": 1, "succeeded": 4}, "medium"),
        ({"on_time": 3, "broken": 1}, "medium"),
        ({"on_time": 3, "broken": 5}, "medium"),
        ({"on_time": 8, "late": 2, "broken": 2}, "high"),
        ({"on_time": 2, "late": 2, "declined": 1, "succeeded": 4}, "high"),
        ({"on_time": 8, "late": 2, "declined": 1, "succeeded": 4, "broken": 1}, "high"),
    ],
)
def test_the_band_follows_from_what_happened(past: dict[str, int], band: str) -> None:
    customer = history(**past)
    assert risk_of([customer.pk], NOW)[customer.pk].band == band
    for asked in ("low", "medium", "high"):
        found = query_contains(f'risk = "{asked}"', [customer.pk], NOW)
        assert found == ({customer.pk} if asked == band else set())
    assert query_contains("risk = None", [customer.pk], NOW) == (set() if band else {customer.pk})


def test_what_is_unpaid_is_late_after_the_grace_and_what_was_void_counts_nowhere() -> None:
    customer = history(on_time=2)
    f.invoice(customer, first_failed_at=NOW - 8 * DAY)
    f.invoice(customer, first_failed_at=NOW - 6 * DAY)
    f.invoice(customer, first_failed_at=NOW - 8 * DAY, status="void")
    risk = risk_of([customer.pk], NOW)[customer.pk]
    assert (risk.invoices, risk.late, risk.band) == (4, 1, "medium")


def test_who_has_no_history_has_no_band_and_the_page_says_what_was_counted() -> None:
    customer = history(on_time=2, late=2, broken=1)
    stranger = f.customer()
    assert risk_of([stranger.pk], NOW) == {}
    assert query_contains("risk = None", [stranger.pk], NOW) == {stranger.pk}
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    page = client.get(reverse("admin:customers_customer_change", args=[customer.pk])).content.decode()
    assert "High<span" in page
    assert "2 of 4 invoices late, 0 of 0 charges declined, 1 promises broken" in page
