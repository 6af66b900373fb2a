"""A ladder for a segment takes only customers of it; priority decides among those that fit."""

from typing import Any

import pytest

from campaigns.engine.assess import assess_customers
from campaigns.models import Case, LadderVersion, Segment
from customers.models import Customer
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def ladder_for(query: str, code: str, priority: int) -> LadderVersion:
    segment = Segment.objects.create(code=code, name=code, query=query)
    return factories.ladder(code=code, priority=priority, segment=segment)


def debtor(**fields: Any) -> Customer:
    customer = factories.customer(reassess_at=NOW, **fields)
    factories.invoice(customer)
    return customer


def test_the_first_ladder_whose_segment_holds_the_customer_is_taken() -> None:
    vip = ladder_for('tags = "vip"', "vip", 1)
    large = ladder_for("balance.EUR >= 1000", "large", 2)
    rest = factories.ladder(priority=9)
    people = {
        "vip": debtor(tags=["vip"]),
        "large": debtor(),
        "both": debtor(tags=["vip"]),
        "neither": debtor(),
    }
    for name in ("large", "both"):
        factories.invoice(people[name], amount_due=200_000)
    assess_customers(now=NOW)
    chosen = {name: Case.objects.get(customer=row).ladder_version for name, row in people.items()}
    assert chosen == {"vip": vip, "large": large, "both": vip, "neither": rest}


def test_whom_no_segment_holds_gets_no_case() -> None:
    ladder_for('tags = "vip"', "vip", 1)
    debtor()
    assert assess_customers(now=NOW).opened == 0


def test_a_segment_that_cannot_be_read_any_more_holds_nobody() -> None:
    ladder_for("gone.field = 1", "broken", 1)
    rest = factories.ladder(priority=9)
    debtor()
    assess_customers(now=NOW)
    assert Case.objects.get().ladder_version == rest


def test_queries_grow_neither_with_customers_nor_with_segments(django_assert_max_num_queries: Any) -> None:
    ladder_for('tags = "vip"', "vip", 1)
    debtor(tags=["vip"])
    with django_assert_max_num_queries(60) as one:
        assess_customers(now=NOW)
    for number in range(4):
        ladder_for(f"balance.EUR >= {number}", f"large{number}", 5)
    for _ in range(20):
        debtor()
    with django_assert_max_num_queries(len(one)):
        assert assess_customers(now=NOW).opened == 20
