"""Whose an incoming message is, by the address it came from."""

from typing import Any

import pytest
from django.db import connection

from campaigns.inbound.match import find
from tests import factories

pytestmark = pytest.mark.django_db

NUMBER = "+393331234567"


@pytest.mark.parametrize(
    ("phone", "country"),
    [
        ("+393331234567", ""),
        ("+39 333 123 4567", ""),
        ("0039 333-1234567", "IT"),
        ("333 1234567", "IT"),
        ("(333) 12.34.567", "it"),
    ],
)
def test_a_number_is_found_however_it_is_written(phone: str, country: str) -> None:
    owner = factories.customer(phone=phone, country=country)
    factories.customer(phone="+44 7333 123456", country="GB")
    found = find(channel="sms", sender=NUMBER, country="IT")
    assert found is not None
    assert found.customer == owner


def test_the_same_last_digits_are_not_the_same_number() -> None:
    factories.customer(phone="+443331234567")
    factories.customer(phone="333 1234567", country="US")
    assert find(channel="sms", sender=NUMBER) is None


def test_a_contacts_number_is_read_by_the_country_of_its_customer() -> None:
    person = factories.contact(factories.customer(country="IT"), phone="333 123 4567")
    found = find(channel="whatsapp", sender=NUMBER)
    assert found is not None
    assert found.customer == person.customer


@pytest.mark.parametrize(
    ("channel", "sender", "indexes"),
    [
        ("sms", NUMBER, {"customer_by_phone", "contact_by_phone"}),
        ("email", "anna@example.com", {"customer_search_trgm", "contact_by_email"}),
    ],
)
def test_whose_it_is_takes_one_indexed_query(
    channel: str, sender: str, indexes: set[str], django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1) as asked:
        assert find(channel=channel, sender=sender) is None
    statement = asked.captured_queries[0]["sql"]
    with connection.cursor() as cursor:
        # On an empty table all plans cost the same: only those that look the condition up are left.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
        cursor.execute(f"EXPLAIN {statement}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan
    assert {name for name in indexes if name in plan} == indexes
