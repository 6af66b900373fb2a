"""Money as integer minor units with an ISO 4217 code: conversion and display. No floats, no mixed sums."""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from babel.numbers import format_currency
from moneyed import Money, get_currency
from moneyed.classes import CurrencyDoesNotExist

from customers.errors import SollecitoError


def exponent(currency: str) -> int:
    """Digits after the decimal point in `currency` (JPY 0, EUR 2, KWD 3). Raises SollecitoError if unknown."""
    try:
        return len(str(get_currency(currency.upper()).sub_unit)) - 1
    except CurrencyDoesNotExist as error:
        raise SollecitoError(f"Unknown currency {currency!r}.", code="unknown_currency") from error


def to_major(amount: int, currency: str) -> Decimal:
    """Minor units → major units, exact: (1999, "EUR") → Decimal("19.99"), (500, "JPY") → Decimal("500")."""
    return Decimal(amount).scaleb(-exponent(currency))


def to_minor(amount: Decimal | str, currency: str) -> int:
    """Major units → minor units, exact. Raises SollecitoError for text that is no number or too precise."""
    try:
        scaled = Decimal(amount).scaleb(exponent(currency))
    except InvalidOperation as error:
        raise SollecitoError(f"{amount!r} is not an amount.", code="bad_amount") from error
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise SollecitoError(f"{amount} has more decimals than {currency.upper()} has.", code="bad_amount_precision")
    return int(scaled)


def display(amount: int, currency: str, language: str = "en") -> str:
    """Minor units as people of `language` read them: (123456, "EUR", "it") → "1.234,56 €"."""
    currency = currency.upper()
    return format_currency(to_major(amount, currency), currency, locale=language.replace("-", "_"))


def as_money(amount: int, currency: str) -> Money:
    """Minor units as a py-moneyed Money, whose arithmetic refuses two currencies in one sum."""
    return Money(to_major(amount, currency), currency.upper())


def totals(amounts: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Sums (minor units, currency) pairs per currency, in order of currency code."""
    result: dict[str, int] = {}
    for amount, currency in amounts:
        result[currency] = result.get(currency, 0) + amount
    return dict(sorted(result.items()))
