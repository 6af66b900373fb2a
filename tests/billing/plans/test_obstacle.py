"""When the amount counts as the obstacle, what is then offered to whom, and what it costs to find out."""

from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Invoice, PaymentAttempt
from billing.money import step
from billing.plans.obstacle import obstacle_of
from billing.plans.offering import obstacles, parts_named, plans_online
from billing.plans.terms import Payer, Rules, fitting, offers
from customers.display import zone
from tests import factories as f
from tests.factories import NOW
from tests.hindered import AGAINST, DAY, FUNDS, VAGUE, hindered, promise

pytestmark = pytest.mark.django_db
LIMIT = "limit_velocity"


def tried(category: str, days_ago: float = 1, **fields: Any) -> PaymentAttempt:
    """A charge of all ninety euros, declined; approved for an empty category."""
    values = {"amount": 9000, "currency": "EUR", "payment_method_id": 1, "at": NOW - days_ago * DAY}
    status = "declined" if category else "succeeded"
    return PaymentAttempt(**(values | {"status": status, "decline_category": category} | fields))


def passed(amount: int, days_ago: float, **fields: Any) -> PaymentAttempt:
    return tried("", days_ago, amount=amount, **fields)


@pytest.mark.parametrize(
    ("attempts", "approved", "told"),
    [
        pytest.param([], [], None, id="nothing-tried"),
        pytest.param([tried(FUNDS)], [], None, id="once-is-chance"),
        pytest.param([tried(FUNDS), tried(FUNDS)], [], (2, 0, 0), id="twice"),
        pytest.param([tried(LIMIT), tried(FUNDS)], [], (1, 1, 0), id="limit-and-funds"),
        pytest.param([tried(VAGUE)] * 5, [passed(1200, 1)], None, id="masked-is-no-evidence"),
        pytest.param([tried(FUNDS), tried(VAGUE)], [], None, id="masked-does-not-count"),
        pytest.param([tried(FUNDS), tried(FUNDS), tried(VAGUE)], [], (2, 0, 0), id="masked-takes-nothing-back"),
        pytest.param([tried(FUNDS), tried(FUNDS), tried("expired")], [], None, id="the-card-is-the-obstacle"),
        pytest.param([tried(FUNDS), tried("expired"), tried(FUNDS)], [], (2, 0, 0), id="another-card-lacks-too"),
        pytest.param([tried(FUNDS), tried(FUNDS), passed(4500, 1), tried(FUNDS)], [], None, id="money-came-in"),
        pytest.param([tried(FUNDS, amount=9001), tried(FUNDS)], [], None, id="more-than-is-left-was-refused"),
        pytest.param([tried(FUNDS, amount=4500)] * 2, [], (2, 0, 0), id="not-even-a-part"),
        pytest.param([tried(FUNDS)], [passed(1200, 3)], (1, 0, 1200), id="a-smaller-one-passed"),
        pytest.param([tried(FUNDS)], [passed(4500, 3), passed(1200, 2)], (1, 0, 4500), id="the-largest-is-named"),
        pytest.param([tried(FUNDS)], [passed(4501, 3)], None, id="not-much-smaller"),
        pytest.param([tried(FUNDS)], [passed(1200, 16)], None, id="too-long-ago"),
        pytest.param([tried(FUNDS)], [passed(1200, 3, payment_method_id=2)], None, id="another-card"),
        pytest.param([tried(FUNDS)], [passed(1200, 3, currency="USD")], None, id="another-currency"),
        pytest.param([tried(FUNDS, 3), tried(FUNDS, 2)], [passed(9000, 1)], None, id="as-much-passed-since"),
        pytest.param([tried(FUNDS, 3), tried(FUNDS, 2)], [passed(9000, 5)], (2, 0, 0), id="as-much-passed-before"),
        pytest.param(
            [tried(LIMIT, decline_code="card_decline_rate_limit_exceeded")] * 3, [], None, id="tried-too-often"
        ),
        pytest.param([tried(LIMIT, network_decline_code="65")] * 3, [], None, id="a-limit-on-the-count"),
        pytest.param([tried(FUNDS, at=None)] * 3, [], None, id="nobody-knows-when"),
    ],
)
def test_when_the_amount_counts_as_the_obstacle(attempts: Any, approved: Any, told: Any) -> None:
    invoice = Invoice(amount_due=10_000, amount_paid=700, amount_credited=300, currency="EUR")
    found = obstacle_of(invoice, attempts, approved)
    assert (found and (found.funds, found.limits, found.approved)) == told


def test_the_reason_in_words() -> None:
    invoice = Invoice(amount_due=9000, currency="EUR")
    found = obstacle_of(invoice, [tried(FUNDS)] * 3, [passed(1200, 3)])
    assert found is not None
    rome = zone("Europe/Rome")
    assert found.words(rome) == (
        "The amount seems to be the obstacle: refused for lack of funds 3 times, €12.00 approved on 7 Mar 2026."
    )
    with translation.override("it"):
        assert "fondi insufficienti 3 volte" in found.words(rome)


@given(
    total=st.integers(2, 10**7),
    currency=st.sampled_from(["EUR", "JPY", "KWD", "ISK"]),
    passes=st.integers(0, 10**7),
    risky=st.booleans(),
)
def test_what_is_named_is_offered_and_within_what_passes_where_anything_is(
    total: int, currency: str, passes: int, risky: bool
) -> None:
    payer = Payer(band="high") if risky else Payer()
    found = offers(Rules(), total=total * step(currency), currency=currency, payer=payer, today=NOW.date())
    if not found:
        return
    named = fitting(found, passes)
    assert named in found
    if any(max(part.amount for part in offer.parts) <= passes for offer in found):
        assert max(part.amount for part in named.parts) <= passes


@pytest.fixture
def owed() -> Invoice:
    """Ninety euros, refused twice for lack of funds."""
    return hindered()


def named(invoice: Invoice) -> Any:
    row = Invoice.objects.get(pk=invoice.pk)
    return parts_named(invoices=[row], now=NOW).get((row.customer_id, row.brand_id))


def test_parts_are_named_where_the_amount_is_the_obstacle(owed: Invoice) -> None:
    found = named(owed)
    assert (found.suggested.count, found.suggested.parts[0].amount) == (3, 3000)
    other = f.invoice(owed.customer, amount_due=1200, status="paid", amount_paid=1200)
    f.attempt(other, status="succeeded", decline_category="", payment_method=owed.customer.payment_methods.get())
    assert named(owed).obstacle.approved == 1200
    # No part is as small as what passed: the smallest there are.
    assert named(owed).suggested.parts[0].amount == 2250
    PaymentAttempt.objects.filter(invoice=other).update(amount=4500)
    assert named(owed).suggested.parts[0].amount == 4500


@pytest.mark.parametrize("against", AGAINST)
def test_parts_are_not_named(owed: Invoice, against: Any) -> None:
    assert named(owed) is not None
    against(owed)
    assert named(owed) is None


def test_customers_and_brands_are_not_mixed_up(owed: Invoice) -> None:
    other = hindered(currency="JPY", amount_due=9000)
    other.attempts.update(currency="JPY")
    promise(owed)
    elsewhere = f.invoice(other.customer, brand=f.brand(code="two"), due_at=NOW - DAY)
    found = parts_named(invoices=[owed, other, elsewhere], now=NOW)
    assert [(pair, each.currency) for pair, each in found.items()] == [((other.customer_id, other.brand_id), "JPY")]
    online = plans_online(pairs=[(other.customer_id, elsewhere.brand_id), (owed.customer_id, 0)], now=NOW)
    assert [(pair[1], each.obstacle) for pair, [each] in online.items()] == [(elsewhere.brand_id, None)]


def test_it_costs_the_same_for_one_and_for_thirty(owed: Invoice, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(14) as one:
        assert len(parts_named(invoices=[owed], now=NOW)) == 1
    many = [owed, *(hindered() for _ in range(29))]
    with django_assert_num_queries(len(one)):
        assert len(parts_named(invoices=many, now=NOW)) == 30
    untroubled = [f.invoice(f.customer()) for _ in range(3)]
    with django_assert_num_queries(0):
        assert obstacles(untroubled) == {}
