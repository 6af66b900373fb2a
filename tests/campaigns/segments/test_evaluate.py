"""Each field answers from the rows it says it does; who is in a segment is the same by each of its doors."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from billing.models import Promise, SubscriptionStatus
from campaigns.models import Case, MessageStatus
from campaigns.segments import evaluate
from campaigns.segments.evaluate import in_segment, query_contains, query_count, segments_of
from campaigns.segments.fields import FIELDS
from campaigns.segments.language import SegmentError
from customers.log import Entry, record
from customers.models import Customer
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def people() -> dict[str, Customer]:
    """A consumer who owes twice in two currencies, a business that owes for long, somebody who owes nothing."""
    anna = f.customer(name="Anna 100%", country="IT", language="it", tags=["vip", "beta"], metadata={"seats": 12})
    f.invoice(anna, amount_due=10_000, currency="EUR", first_failed_at=NOW - 5 * DAY,
              last_decline_category="insufficient_funds")  # fmt: skip
    f.invoice(anna, amount_due=5_000, currency="USD", first_failed_at=NOW - DAY, last_decline_category="expired")
    f.subscription(anna, plan_name="Team", amount=12_000, interval="year", started_at=NOW - 100 * DAY)
    bolt = f.customer(name="Bolt GmbH", country="DE", language="de", kind="business", metadata={"seats": "many"})
    f.invoice(bolt, amount_due=300_000, collection_method="manual", first_failed_at=None, due_at=NOW - 45 * DAY)
    f.invoice(bolt, amount_due=80_000, collection_method="manual", first_failed_at=None, due_at=NOW + 3 * DAY)
    f.invoice(bolt, amount_due=1, status="paid", amount_paid=1, first_failed_at=NOW - 400 * DAY)
    f.subscription(bolt, plan_name="Business", amount=90_000, status=SubscriptionStatus.PAST_DUE)
    carl = f.customer(name="carl", country="FR", vulnerable=True)
    f.subscription(carl, plan_name="Team", ended_at=NOW - DAY, status=SubscriptionStatus.CANCELED)
    return {"anna": anna, "bolt": bolt, "carl": carl}


def who(people: dict[str, Customer], query: str) -> set[str]:
    found = query_contains(query, [row.pk for row in people.values()], NOW)
    return {name for name, row in people.items() if row.pk in found}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('country = "IT"', "anna"),
        ('country != "IT"', "bolt carl"),
        ('country in ("IT", "FR")', "anna carl"),
        ('country not in ("IT", "FR")', "bolt"),
        ('name ~ "gmbh"', "bolt"),
        ('name ~ "0%"', "anna"),
        ('name ~ "_nna"', ""),
        ('name not startswith "a"', "bolt carl"),
        ('kind = "business" and country = "DE"', "bolt"),
        ("vulnerable = True", "carl"),
        ("vulnerable != True", "anna bolt"),
        ('brand = "acme"', "anna bolt carl"),
        ('tags = "vip"', "anna"),
        ('tags != "vip"', "bolt carl"),
        ('tags in ("beta", "x")', "anna"),
        ('tags ~ "BET"', "anna"),
        ("tags = None", "bolt carl"),
        ("tags != None", "anna"),
        ("metadata.seats >= 10", "anna"),
        ("metadata.seats < 10", ""),
        ('metadata.seats = "many"', "bolt"),
        ('metadata.seats in (12, "many")', "anna bolt"),
        ('metadata.seats not in (12, "many")', "carl"),
        ("metadata.seats = None", "carl"),
        ("balance.EUR > 99.99", "anna bolt"),
        ("balance.EUR > 100", "bolt"),
        ("balance.EUR = 3800", "bolt"),
        ("balance.USD = 50", "anna"),
        ("balance.USD = 0", "bolt carl"),
        ("balance.EUR + 0 > 1", None),
        ("overdue.EUR = 3000", "bolt"),
        ("overdue_30.EUR > 0", "bolt"),
        ("overdue_60.EUR > 0", ""),
        ("overdue_days = 45", "bolt"),
        ("overdue_days = 5", "anna"),
        ("overdue_days = 0", "carl"),
        ("overdue_days > 4.5", "anna bolt"),
        ("overdue_days in (5, 45)", "anna bolt"),
        ("open_invoices = 2", "anna bolt"),
        ("overdue_invoices = 1", "bolt"),
        ('collection = "manual"', "bolt"),
        ("collection = None", "carl"),
        ('decline_category = "expired"', "anna"),
        ('decline_category != "expired"', "bolt carl"),
        ('decline_category in ("fraud", "expired")', "anna"),
        ('decline_category not in ("fraud", "expired")', "bolt carl"),
        ("disputed = False", "anna bolt carl"),
        ("failures = 2", "anna"),
        ("failures = 1 and failures_year = 0", "bolt"),
        ('plan = "Team"', "anna"),
        ('plan startswith "bus"', "bolt"),
        ("plan = None", "carl"),
        ('subscription_status = "past_due"', "bolt"),
        ("monthly.EUR = 10", "anna"),
        ("monthly.EUR >= 900", "bolt"),
        ("subscribed_days >= 100", "anna"),
        ("subscribed_days = None", "carl"),
        ("subscribed_days != 90", "anna carl"),
        ("subscribed_days < 100", "bolt"),
        ('country = "FR" or balance.EUR > 100 and kind = "business"', "bolt carl"),
        ('(country = "FR" or balance.EUR > 100) and kind = "business"', "bolt"),
    ],
)
def test_a_query_finds_whom_it_says(people: dict[str, Customer], query: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(SegmentError):
            who(people, query)
    else:
        assert who(people, query) == set(expected.split())


def test_what_happened_to_cases_messages_and_promises(people: dict[str, Customer]) -> None:
    anna, bolt = people["anna"], people["bolt"]
    case = f.case(anna, invoices=list(anna.invoices.all()), position=2, opened_at=NOW - 5 * DAY)
    f.message(case, status=MessageStatus.CLICKED, sent_at=NOW - 4 * DAY, first_opened_at=NOW - 3 * DAY,
              first_clicked_at=NOW - 2 * DAY)  # fmt: skip
    f.message(case)
    old = f.case(
        bolt, invoices=[], state="lost", closed_at=NOW - 50 * DAY, next_action_at=None, close_reason="exhausted"
    )
    f.message(old, purpose="receipt", sent_at=NOW)
    record(Entry(customer_id=anna.pk, at=NOW - DAY, kind="portal.visited", summary="visited"))
    record(Entry(customer_id=bolt.pk, at=NOW - DAY, kind="portal.paid", summary="paid"))
    Promise.objects.create(
        customer=bolt, brand=bolt.brand, amount=5, currency="EUR", promised_on=NOW.date(), expires_at=NOW,
        status="broken", created_at=NOW - 60 * DAY,
    )  # fmt: skip
    bolt.payments.create(amount=700_00, refunded=200_00, currency="EUR", received_at=NOW)
    f.attempt(anna.invoices.earliest("id"), status="planned", probability=0.4, at=None, scheduled_for=NOW)
    answers = {
        'case.state = "open"': "anna",
        "case.state = None": "bolt carl",
        'case.state != "open"': "bolt carl",
        f'case.ladder = "{case.ladder_version.ladder.code}"': "anna",
        "case.days >= 5": "anna",
        "case.steps = 2": "anna",
        "cases_lost = 1": "bolt",
        "cases_recovered > 0": "",
        "sent_days = 4": "anna",
        "opened_days <= 3": "anna",
        "opened_days = None": "bolt carl",
        "clicked_days = 2": "anna",
        "visited_days = 1": "anna",
        "messages_sent = 1": "anna",
        "promises_broken = 1": "bolt",
        "paid.EUR = 500": "bolt",
        "retry_chance >= 40": "anna",
        "retry_chance in (40)": "anna",
        "retry_chance = None": "bolt carl",
    }
    assert {query: " ".join(sorted(who(people, query))) for query in answers} == answers


def _simplest(name: str) -> str:
    field = FIELDS[name]
    full = name + {"currency": ".EUR", "key": ".x", "": ""}[field.takes]
    value = {"text": "'a'", "texts": "'a'", "number": "1", "money": "1", "flag": "True", "free": "1"}[field.kind.value]
    return f"{full} = " + (f'"{field.choices[0]}"' if field.choices else value)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_every_field_runs_and_its_example_too(name: str, people: dict[str, Customer]) -> None:
    everybody = {row.pk for row in people.values()}
    for query in filter(None, (_simplest(name), FIELDS[name].example)):
        found = query_contains(query, everybody, NOW)
        assert found == set(Customer.objects.filter(in_segment(query, NOW)).values_list("pk", flat=True))
        assert query_count(query, NOW).count == len(found)


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.suggest])
def test_every_list_of_suggestions_runs(name: str, people: dict[str, Customer]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FIELDS[name].suggest)
        assert all(len(row) == 1 for row in cursor.fetchall())


def test_who_was_deleted_at_the_source_is_in_no_segment(people: dict[str, Customer]) -> None:
    Customer.objects.filter(pk=people["anna"].pk).update(deleted_at=NOW)
    assert who(people, 'country != "XX"') == {"bolt", "carl"}


def test_one_query_for_any_number_of_customers(people: dict[str, Customer], django_assert_num_queries: Any) -> None:
    query = "overdue_days > 3 and balance.EUR > 0"
    ids = [row.pk for row in people.values()] + [f.customer().pk for _ in range(20)]
    with django_assert_num_queries(1):
        assert query_contains(query, ids, NOW) == {people["anna"].pk, people["bolt"].pk}
    with django_assert_num_queries(0):
        assert query_contains(query, [], NOW) == set()


def test_many_segments_at_once_in_one_query(people: dict[str, Customer], django_assert_num_queries: Any) -> None:
    queries = {7: 'country = "IT"', 9: "balance.EUR > 0", 11: "a field that went away = 1"}
    with django_assert_num_queries(1):
        found = segments_of(queries, [row.pk for row in people.values()], NOW)
    assert found == {people["anna"].pk: frozenset({7, 9}), people["bolt"].pk: frozenset({9})}


def test_a_segment_filters_cases_by_their_customer(people: dict[str, Customer]) -> None:
    case = f.case(people["anna"], invoices=[])
    f.case(people["bolt"], invoices=[])
    assert list(Case.objects.filter(in_segment('tags = "vip"', NOW, path="customer"))) == [case]


def test_the_count_says_who(people: dict[str, Customer]) -> None:
    counted = query_count("balance.EUR > 0", NOW)
    assert counted.exact
    assert counted.count == counted.low == counted.high == 2
    assert counted.sample == (people["bolt"].pk, people["anna"].pk)


def test_a_slow_count_is_estimated_and_says_so(people: dict[str, Customer], monkeypatch: Any) -> None:
    for _ in range(60):
        f.customer(country="PT")
    slow = evaluate.customer_ids_sql

    def with_sleep(condition: Any, now: Any, customer_ids: Any = None) -> Any:
        sql = slow(condition, now, customer_ids)
        return sql if customer_ids is not None else type(sql)(sql.text + " AND pg_sleep(5) IS NOT NULL", sql.params)

    monkeypatch.setattr(evaluate, "customer_ids_sql", with_sleep)
    counted = query_count('country = "PT"', NOW, patience_ms=50)
    assert not counted.exact
    assert counted.low <= 60 <= counted.high
    assert len(counted.sample) == evaluate.SHOWN
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_amounts_of_two_currencies_are_never_one_sum(people: dict[str, Customer]) -> None:
    # 100 EUR and 50 USD: neither is 150 of anything.
    assert who(people, "balance.EUR = 150 or balance.USD = 150") == set()
