"""The page: what it says in each situation, and that its cost does not grow with what is owed."""

from datetime import timedelta
from typing import Any

import pytest

from portal.account import read_account
from portal.owed import Standing, Way
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer() -> Any:
    factories.account()
    return factories.customer(name="Giulia Ferrari")


def account_of(customer: Any, link_of: Any, **options: Any) -> Any:
    return read_account(link=link_of(customer).link, now=NOW, language="en", **options)


def test_the_page_costs_the_same_for_one_invoice_and_for_thirty(
    client: Any, customer: Any, link_of: Any, django_assert_num_queries: Any
) -> None:
    factories.payment_method(customer)
    link = link_of(customer)

    def owe() -> None:
        row = factories.invoice(customer, subscription=factories.subscription(customer), last_decline_category="fraud")
        factories.attempt(row, status="planned", scheduled_for=NOW + timedelta(days=2))

    owe()
    client.get(link.url)
    with django_assert_num_queries(30) as one:
        assert client.get(link.url).status_code == 200
    for _ in range(29):
        owe()
    with django_assert_num_queries(len(one)):
        body = client.get(link.url).content.decode()
    assert body.count('type="checkbox"') == 30
    assert "€1,470.00" in body


@pytest.mark.parametrize(
    ("invoice", "card", "way"),
    [
        ({"last_decline_category": "insufficient_funds"}, {}, Way.STORED),
        ({"last_decline_category": "expired"}, {}, Way.NEW_CARD),
        ({"last_decline_category": "lost_stolen"}, {}, Way.NEW_CARD),
        ({"last_decline_category": "insufficient_funds"}, None, Way.NEW_CARD),
        ({"last_decline_category": "insufficient_funds"}, {"exp_year": 2026, "exp_month": 2}, Way.NEW_CARD),
        ({"last_decline_category": "insufficient_funds"}, {"exp_year": 2026, "exp_month": 3}, Way.STORED),
        ({"last_decline_category": "insufficient_funds"}, {"never_again_at": NOW}, Way.NEW_CARD),
        ({"last_decline_category": "insufficient_funds"}, {"detached_at": NOW}, Way.NEW_CARD),
        ({"last_decline_category": "authentication", "hosted_url": "https://pay.example/1"}, {}, Way.CONFIRM),
        ({"last_decline_category": "authentication"}, {}, Way.STORED),
        ({"disputed_at": NOW}, {}, Way.NONE),
        ({"in_plan": True}, {}, Way.NONE),
        ({"source": "manual"}, {}, Way.NONE),
    ],
)
def test_the_first_button_is_the_one_that_helps(
    customer: Any, link_of: Any, invoice: dict[str, Any], card: dict[str, Any] | None, way: Way
) -> None:
    factories.invoice(customer, **invoice)
    if card is not None:
        factories.payment_method(customer, **card)
    assert account_of(customer, link_of).way is way


@pytest.mark.parametrize(
    ("fields", "attempt", "standing"),
    [
        ({}, None, Standing.PAYABLE),
        ({}, "planned", Standing.PAYABLE),
        ({}, "in_flight", Standing.BUSY),
        ({}, "unknown", Standing.BUSY),
        ({"disputed_at": NOW}, None, Standing.DISPUTED),
        ({"in_plan": True}, None, Standing.IN_PLAN),
        ({"external_id": None}, None, Standing.ELSEWHERE),
    ],
)
def test_what_can_be_done_about_an_invoice(
    customer: Any, link_of: Any, fields: dict[str, Any], attempt: str | None, standing: Standing
) -> None:
    row = factories.invoice(customer, **fields)
    if attempt:
        factories.attempt(row, status=attempt)
    (group,) = account_of(customer, link_of).groups
    assert [item.standing for item in group.items] == [standing]


def test_only_this_brands_open_invoices_are_shown_one_group_per_currency(customer: Any, link_of: Any) -> None:
    other_brand = factories.brand(code="other", name="Other")
    factories.invoice(customer, number="A", currency="EUR", amount_due=4900)
    factories.invoice(customer, number="B", currency="JPY", amount_due=12000)
    factories.invoice(customer, number="C", currency="EUR", amount_due=100, amount_paid=100)
    factories.invoice(customer, number="D", status="paid", amount_paid=4900)
    factories.invoice(customer, number="E", status="void")
    factories.invoice(customer, number="F", brand=other_brand)
    factories.invoice(factories.customer(), number="G")
    account = account_of(customer, link_of)
    assert [(g.currency, [i.number for i in g.items], g.total_text) for g in account.groups] == [
        ("EUR", ["A"], "€49.00"),
        ("JPY", ["B"], "¥12,000"),
    ]
    assert account.payable_text == "€49.00 + ¥12,000"


def test_a_link_may_name_one_invoice(customer: Any, link_of: Any) -> None:
    rows = [factories.invoice(customer) for _ in range(3)]
    foreign = factories.invoice(factories.customer())
    chosen = account_of(customer, link_of, chosen=rows[1].pk).groups[0].items
    assert [item.chosen for item in chosen] == [False, True, False]
    assert all(i.chosen for i in account_of(customer, link_of, chosen=foreign.pk).groups[0].items)


def test_the_next_try_is_told_in_the_customers_own_day(customer: Any, link_of: Any) -> None:
    customer.timezone = "Asia/Tokyo"
    customer.save()
    row = factories.invoice(customer)
    # 20:00 in London is the next morning in Tokyo.
    factories.attempt(row, status="planned", scheduled_for=NOW.replace(day=12, hour=20))
    assert account_of(customer, link_of).next_try_text == "March 13, 2026"


def test_a_promise_is_remembered_and_hides_the_next_try(client: Any, customer: Any, link_of: Any) -> None:
    from billing.models import Promise

    row = factories.invoice(customer)
    factories.attempt(row, status="planned", scheduled_for=NOW + timedelta(days=2))
    Promise.objects.create(
        customer=customer,
        brand=customer.brand,
        amount=4900,
        currency="EUR",
        promised_on=NOW.date() + timedelta(days=5),
        expires_at=NOW + timedelta(days=6),
        created_at=NOW,
    )
    body = client.get(link_of(customer).url).content.decode()
    assert "pay by March 15, 2026" in body
    assert "try your card again" not in body


@pytest.mark.parametrize(
    ("language", "query", "expected"),
    [
        (
            "it",
            "",
            ["Ciao Giulia Ferrari", "Il tuo pagamento non è andato", "49,00", "La carta che abbiamo", 'lang="it"'],
        ),
        ("it", "?lang=en", ["Hello Giulia Ferrari", "€49.00", 'lang="en"']),
        ("en", "?lang=it", ["Ciao Giulia Ferrari"]),
        ("pl", "", ["Dzień dobry, Giulia Ferrari", "Płatność nie doszła do skutku", "49,00", 'lang="pl"']),
        ("de", "", ["Guten Tag Giulia Ferrari", "Die bei uns hinterlegte Karte", 'lang="de"']),
        ("fr", "", ["Bonjour Giulia Ferrari", "a expiré", 'lang="fr"']),
        ("es", "", ["Hola, Giulia Ferrari:", "ha caducado", 'lang="es"']),
        ("sv", "", ["Hello Giulia Ferrari", "€49.00"]),
        ("it-CH", "", ["Ciao Giulia Ferrari"]),
        ("en", "?lang=xx", ["Hello Giulia Ferrari"]),
    ],
)
def test_the_page_speaks_the_customers_language(
    client: Any, customer: Any, link_of: Any, language: str, query: str, expected: list[str]
) -> None:
    customer.language = language
    customer.save()
    factories.invoice(customer, last_decline_category="expired")
    body = client.get(link_of(customer).url + query).content.decode()
    for text in expected:
        assert text in body


def test_the_chosen_language_is_kept_on_the_next_page(client: Any, customer: Any, link_of: Any) -> None:
    url = link_of(customer).url
    client.get(url + "?lang=it")
    assert "Ciao" in client.get(url).content.decode()


def test_nothing_owed_says_thank_you(client: Any, customer: Any, link_of: Any) -> None:
    link = link_of(customer)
    factories.invoice(customer, number="ACME-77", status="paid", amount_paid=4900, paid_at=NOW)
    factories.invoice(customer, number="ACME-12", status="paid", amount_paid=4900, paid_at=NOW - timedelta(days=90))
    body = client.get(link.url).content.decode()
    assert "Nothing to pay. Thank you!" in body
    assert "ACME-77" in body
    assert "ACME-12" not in body


def test_a_brands_colour_cannot_become_style_of_its_own(client: Any, customer: Any, link_of: Any) -> None:
    type(customer.brand).objects.update(color="red;}b{")
    assert "red;}" not in client.get(link_of(customer).url).content.decode()


def test_the_logos_host_is_the_only_one_the_policy_adds(client: Any, customer: Any, link_of: Any) -> None:
    type(customer.brand).objects.update(logo_url="https://cdn.acme.example/logo.svg")
    policy = client.get(link_of(customer).url)["Content-Security-Policy"]
    assert "img-src 'self' data: https://cdn.acme.example;" in policy
