"""Minor units in, people's money out."""

from decimal import Decimal

import pytest
from django.utils import translation

from billing import money
from customers.errors import SollecitoError


@pytest.mark.parametrize(
    ("amount", "currency", "major"),
    [
        (1999, "EUR", "19.99"),
        (500, "JPY", "500"),
        (12345, "KWD", "12.345"),
        (0, "usd", "0.00"),
        (490000, "ISK", "4900"),
        (490000, "ugx", "4900"),
        (4900, "MGA", "4900"),
    ],
)
def test_minor_and_major_units_are_the_same_money(amount: int, currency: str, major: str) -> None:
    assert money.to_major(amount, currency) == Decimal(major)
    assert money.to_minor(major, currency) == amount


@pytest.mark.parametrize(("text", "currency"), [("1.5", "JPY"), ("0.001", "EUR"), ("ten", "EUR"), ("NaN", "EUR")])
def test_amounts_that_are_none_are_refused(text: str, currency: str) -> None:
    with pytest.raises(SollecitoError):
        money.to_minor(text, currency)


@pytest.mark.parametrize(
    ("amount", "currency", "language", "shown"),
    [
        (123456, "EUR", "it", "1.234,56\xa0€"),
        (123456, "USD", "en", "$1,234.56"),
        (500, "JPY", "en", "¥500"),
        (123456, "PLN", "pl", "1\xa0234,56\xa0zł"),
    ],
)
def test_display_follows_the_readers_language(amount: int, currency: str, language: str, shown: str) -> None:
    assert money.display(amount, currency, language) == shown


def test_what_processors_count_otherwise_is_shown_as_what_it_is() -> None:
    """Stripe's 490000 of króna are 4,900; its 4900 of ariary are as many."""
    assert money.display(490_000, "ISK") == "ISK\xa04,900"
    assert money.display(4900, "MGA") == "MGA\xa04,900"


@pytest.mark.parametrize(
    ("currency", "step"), [("EUR", 1), ("jpy", 1), ("KWD", 10), ("bhd", 10), ("ISK", 100), ("ugx", 100), ("MGA", 1)]
)
def test_charges_are_multiples_of_what_networks_can_move(currency: str, step: int) -> None:
    assert money.step(currency) == step


def test_totals_never_mix_currencies() -> None:
    assert money.totals([(1, "USD"), (2, "EUR"), (3, "USD")]) == {"EUR": 2, "USD": 4}


def test_staff_read_amounts_as_their_language_writes_them() -> None:
    with translation.override("it"):
        assert money.shown(123456, "EUR") == "1.234,56\xa0€"
        assert money.sums_shown({"USD": 100, "EUR": 250}) == "2,50\xa0€, 1,00\xa0USD"
    with translation.override(None):
        assert money.shown(123456, "EUR") == "€1,234.56"
    assert (money.shown(None, "EUR"), money.sums_shown({})) == ("–", "")
