"""Lists narrowed to a span of days or moments, as people write them."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from billing.models import Promise
from customers.admin.filters import narrowed_words
from customers.models import Customer
from tests import factories as f

pytestmark = pytest.mark.django_db

#: Midnights of the site's own zone.
DAY = datetime(2026, 3, 7, tzinfo=ZoneInfo(settings.TIME_ZONE))
LAST = timedelta(microseconds=1)


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def created(*moments: datetime) -> None:
    """A customer who came at each of the moments."""
    for at in moments:
        Customer.objects.filter(pk=f.customer().pk).update(created_at=at)


def listed(desk: Client, **query: str) -> list[datetime]:
    """When the customers were created that the list shows."""
    response = desk.get(reverse("admin:customers_customer_changelist"), query)
    assert response.status_code == 200
    return sorted(row.created_at for row in response.context_data["cl"].result_list)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"created_at_from_0": "2026-03-07"}, [DAY, DAY + timedelta(days=1) - LAST, DAY + timedelta(days=1)]),
        ({"created_at_to_0": "2026-03-07"}, [DAY - LAST, DAY, DAY + timedelta(days=1) - LAST]),
        ({"created_at_from_0": "2026-03-07", "created_at_to_0": "2026-03-07"}, [DAY, DAY + timedelta(days=1) - LAST]),
        (
            {"created_at_from_0": "2026-03-07", "created_at_from_1": "00:01:00", "created_at_to_0": "2026-03-07"},
            [DAY + timedelta(days=1) - LAST],
        ),
        ({"created_at_to_0": "2026-03-07", "created_at_to_1": "00:00"}, [DAY - LAST, DAY]),
    ],
)
def test_a_day_without_an_hour_is_the_whole_day_and_both_ends_count(
    desk: Client, query: dict[str, str], expected: list[datetime]
) -> None:
    created(DAY - LAST, DAY, DAY + timedelta(days=1) - LAST, DAY + timedelta(days=1))
    assert listed(desk, **query) == expected


def test_days_are_read_as_the_language_writes_them(desk: Client, settings: Any) -> None:
    created(DAY)
    settings.LANGUAGE_CODE = "it"
    assert listed(desk, created_at_from_0="07/03/2026", created_at_to_0="07/03/2026") == [DAY]
    assert listed(desk, created_at_from_0="08/03/2026") == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"created_at_from_0": "someday"}, "Enter a valid date."),
        ({"created_at_from_0": "2026-03-07", "created_at_from_1": "noon"}, "Enter a valid time."),
        ({"created_at_to_1": "12:00"}, "Give a day with the time."),
    ],
)
def test_what_cannot_be_read_narrows_to_nothing_and_says_so(desk: Client, query: dict[str, str], words: str) -> None:
    created(DAY)
    response = desk.get(reverse("admin:customers_customer_changelist"), query)
    assert list(response.context_data["cl"].result_list) == []
    assert words in response.content.decode()


#: A day that no order of day and month makes another one of, and its neighbours.
PROMISED = (date(2026, 3, 29), date(2026, 3, 30), date(2026, 3, 31))


def promised(desk: Client, **query: str) -> Any:
    """The list of promises, one for each of the days."""
    for day in PROMISED:
        customer = f.customer()
        Promise.objects.create(
            customer=customer, brand=customer.brand, amount=100, currency="EUR", promised_on=day,
            expires_at=f.NOW + timedelta(days=30), created_at=f.NOW,
        )  # fmt: skip
    return desk.get(reverse("admin:billing_promise_changelist"), query)


def days(response: Any) -> list[date]:
    return sorted(row.promised_on for row in response.context_data["cl"].result_list)


@pytest.mark.parametrize(
    ("language", "written"),
    [("en", "2026-03-30"), ("it", "30/03/2026"), ("it", "30/3/26"), ("de", "30.03.2026"), ("it", "2026-03-30")],
)
def test_plain_days_are_read_as_the_language_writes_them_and_both_ends_count(
    desk: Client, settings: Any, language: str, written: str
) -> None:
    settings.LANGUAGE_CODE = language
    response = promised(desk, promised_on_from=written, promised_on_to=written)
    assert days(response) == [PROMISED[1]]
    assert written in response.content.decode()


def test_one_end_alone_leaves_the_other_open(desk: Client) -> None:
    response = promised(desk, promised_on_from="2026-03-30")
    assert days(response) == list(PROMISED[1:])
    assert narrowed_words(response.context_data["cl"]) == "By: from 2026-03-30"
    Promise.objects.all().delete()
    assert days(promised(desk, promised_on_to="2026-03-30")) == list(PROMISED[:2])


@pytest.mark.parametrize(
    ("language", "written", "words"),
    [
        ("en", "someday", "Enter a valid date."),
        ("it", "30/30/2026", "Inserisci una data valida."),
        ("it", "domani", "Inserisci una data valida."),
    ],
)
def test_a_day_that_cannot_be_read_narrows_to_nothing_and_says_so(
    desk: Client, settings: Any, language: str, written: str, words: str
) -> None:
    settings.LANGUAGE_CODE = language
    response = promised(desk, promised_on_to=written)
    assert days(response) == []
    assert words in response.content.decode()
