"""Ratings against histories counted by hand, and the band that follows where no model foretells anything."""

from datetime import timedelta
from typing import Any

import pytest

from billing.behaviour import Behaviour, band_of, behaviour_of, lifetime_of
from billing.models import Payment, Promise, Rating
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
    ("past", "rating"),
    [
        ({"on_time": 2}, None),
        ({"on_time": 3}, "A"),
        ({"on_time": 3, "ago": 366}, None),
        ({"on_time": 9, "late": 2}, "A"),
        ({"on_time": 8, "late": 2}, "B"),
        ({"on_time": 2, "late": 2}, "C"),
        ({"on_time": 3, "declined": 1, "succeeded": 5}, "A"),
        ({"on_time": 3, "declined": 1, "succeeded": 4}, "B"),
        ({"on_time": 3, "broken": 1}, "B"),
        ({"on_time": 3, "broken": 5}, "C"),
        ({"on_time": 8, "late": 2, "broken": 2}, "D"),
        ({"on_time": 2, "late": 2, "declined": 1, "succeeded": 4}, "D"),
        ({"on_time": 2, "late": 2, "declined": 1, "succeeded": 4, "broken": 1}, "E"),
    ],
)
def test_the_rating_follows_from_what_happened(past: dict[str, int], rating: str | None) -> None:
    customer = history(**past)
    assert behaviour_of([customer.pk], NOW).get(customer.pk, Behaviour()).rating == rating


def test_what_is_unpaid_is_late_after_the_grace_and_what_was_void_counts_nowhere() -> None:
    customer = history(on_time=2)
    f.invoice(customer, first_failed_at=NOW - 8 * DAY)
    f.invoice(customer, first_failed_at=NOW - 6 * DAY)
    f.invoice(customer, first_failed_at=NOW - 8 * DAY, status="void")
    found = behaviour_of([customer.pk], NOW)[customer.pk]
    assert (found.invoices, found.late, found.rating) == (4, 1, "B")
    assert behaviour_of([f.customer().pk], NOW) == {}


@pytest.mark.parametrize(
    ("chance", "rating", "band"),
    [
        (None, None, None),
        (None, Rating.A, "low"),
        (None, Rating.C, "medium"),
        (None, Rating.D, "high"),
        (0.5, Rating.A, "high"),
        (0.499, None, "medium"),
        (0.2, None, "medium"),
        (0.199, Rating.E, "low"),
    ],
)
def test_a_chance_goes_before_a_rating(chance: float | None, rating: Rating | None, band: str | None) -> None:
    assert band_of(chance, rating) == band


def test_worth_is_what_was_paid_less_refunds_by_currency() -> None:
    customer, other = f.customer(), f.customer()
    for amount, refunded, currency in ((5000, 1000, "EUR"), (200, 0, "EUR"), (300, 300, "USD")):
        Payment.objects.create(customer=customer, amount=amount, refunded=refunded, currency=currency, received_at=NOW)
    assert lifetime_of([customer.pk, other.pk]) == {customer.pk: {"EUR": 4200, "USD": 0}}
