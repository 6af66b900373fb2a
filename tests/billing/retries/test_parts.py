"""A retry asks for a part where funds lack again and again and the account allows it; sums are conserved."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.charging import charge_due
from billing.models import AttemptStatus, Invoice, PaymentAttempt, ProcessorAccount, RetryState
from billing.money import step
from billing.retries.loop import plan_retries
from billing.retries.parts import part_of
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def declined(times: int, **fields: Any) -> list[PaymentAttempt]:
    values = {"status": AttemptStatus.DECLINED, "decline_category": "insufficient_funds"} | fields
    return [PaymentAttempt(**values) for _n in range(times)]


@given(
    due=st.integers(1, 10**9),
    paid=st.integers(0, 10**9),
    share=st.integers(1, 100),
    floor=st.integers(0, 10**9),
    times=st.integers(0, 4),
    currency=st.sampled_from(["EUR", "JPY", "KWD", "BHD", "ISK"]),
)
def test_a_part_is_positive_less_than_the_whole_and_not_below_the_floor(
    due: int, paid: int, share: int, floor: int, times: int, currency: str
) -> None:
    invoice = Invoice(amount_due=due, amount_paid=min(paid, due), amount_credited=0, currency=currency)
    account = ProcessorAccount(part_after=2, part_share=share, part_floor=floor, part_currency=currency)
    part = part_of(invoice, account, declined(times))
    left = due - min(paid, due)
    if times < 2:
        assert part == 0
    if part:
        assert floor <= part < left
        assert part % step(currency) == 0


@pytest.mark.parametrize(
    ("account", "attempts", "part"),
    [
        ({}, declined(5), 0),
        ({"part_after": 3}, declined(2), 0),
        ({"part_after": 3}, declined(3), 2450),
        ({"part_after": 3, "part_share": 10, "part_floor": 2000}, declined(3), 2000),
        ({"part_after": 3, "part_floor": 4900}, declined(3), 0),
        ({"part_after": 3, "part_currency": "USD"}, declined(3), 0),
        ({"part_after": 3}, declined(3, decline_category="do_not_honor"), 0),
        # Money came in between: the rest is asked for as a whole first.
        ({"part_after": 3}, [*declined(3), PaymentAttempt(status=AttemptStatus.SUCCEEDED), *declined(2)], 0),
    ],
)
def test_when_a_part_is_asked_for(account: dict[str, Any], attempts: list[PaymentAttempt], part: int) -> None:
    invoice = Invoice(amount_due=4900, amount_paid=0, amount_credited=0, currency="EUR")
    assert part_of(invoice, ProcessorAccount(**account), attempts) == part


@pytest.mark.parametrize(("currency", "whole", "part"), [("eur", 10000, 4000), ("kwd", 12340, 4940)])
def test_the_part_is_charged_and_the_rest_is_retried(stripe_world: Any, currency: str, whole: int, part: int) -> None:
    """Of dinars 40 % would be 4936: the networks take tens."""
    invoice = stripe_world.owing(amount=whole, currency=currency)
    ProcessorAccount.objects.update(part_after=2, part_share=40, part_floor=1000, part_currency=invoice.currency)
    for days in (3, 2):
        factories.attempt(invoice, at=NOW - days * DAY, amount=whole)
    Invoice.objects.filter(pk=invoice.pk).update(retry_state=RetryState.NEEDS_PLAN, first_failed_at=NOW - 3 * DAY)
    assert plan_retries(now=NOW, limit=10).planned == 1
    planned = PaymentAttempt.objects.get(status="planned")
    assert (planned.amount, planned.part) == (part, True)
    assert "2 declines for lack of funds" in planned.explanation
    at = planned.scheduled_for
    assert at is not None
    charge_due(now=at, limit=10)
    charge_due(now=at, limit=10)
    assert stripe_world.charged(invoice) == [part]
    invoice.refresh_from_db()
    assert (invoice.status, invoice.balance, invoice.retry_state) == ("open", whole - part, RetryState.NEEDS_PLAN)
    # What is left is asked for as a whole: the card has money now.
    assert plan_retries(now=at, limit=10).planned == 1
    rest = PaymentAttempt.objects.get(status="planned")
    assert (rest.amount, rest.part) == (whole - part, False)
    assert rest.scheduled_for is not None
    charge_due(now=rest.scheduled_for, limit=10)
    invoice.refresh_from_db()
    assert (invoice.status, invoice.amount_paid) == ("paid", whole)
    assert stripe_world.charged(invoice) == [part, whole - part]
