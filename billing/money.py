"""Money as integer minor units with an ISO 4217 code: conversion and display. No floats, no mixed sums."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from babel import Locale
from babel.numbers import format_currency, get_currency_precision
from django.utils.translation import get_language
from moneyed import get_currency
from moneyed.classes import CurrencyDoesNotExist

from customers.errors import SollecitoError

_CODE_BEFORE_DIGIT = re.compile(r"(?<=[A-Za-z])(?=\d)")


#: Currencies that processors count otherwise than ISO 4217 does. Stripe goes on counting the króna and the Ugandan
#: shilling in hundredths, which must be 00, and never counted those of the ariary (docs.stripe.com/currencies, special
#: cases; support.stripe.com: deprecation of fractional ISK charges).
_COUNTED_WITH = {"ISK": 2, "UGX": 2, "MGA": 0}
_WHOLE_ONLY = frozenset({"ISK", "UGX"})


def exponent(currency: str) -> int:
    """Digits after the decimal point in `currency` (JPY 0, EUR 2, KWD 3), as minor units are counted everywhere here.

    Raises SollecitoError if unknown.
    """
    if currency.upper() in _COUNTED_WITH:
        return _COUNTED_WITH[currency.upper()]
    try:
        return len(str(get_currency(currency.upper()).sub_unit)) - 1
    except CurrencyDoesNotExist as error:
        raise SollecitoError(f"Unknown currency {currency!r}.", code="unknown_currency") from error


def step(currency: str) -> int:
    """Minor units that a charge must be a multiple of: 10 where there are three decimals (the card networks take two),
    100 where the decimals must be 00, else 1. Raises SollecitoError if unknown."""
    if currency.upper() in _WHOLE_ONLY:
        return 100
    return 10 if exponent(currency) == 3 else 1


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


def display(amount: int, currency: str, language: str | Locale = "en") -> str:
    """Minor units as people of `language` read them, exactly: (123456, "EUR", "it") → "1.234,56 €"."""
    locale = language.replace("-", "_") if isinstance(language, str) else language
    return _display(amount, currency.upper(), locale)


def shown(amount: int | None, currency: str) -> str:
    """Minor units as the reader's language writes them; a dash for none."""
    return "–" if amount is None else display(amount, currency, get_language() or "en")


def sums_shown(amounts: Mapping[str, int]) -> str:
    """Sums by currency (minor units) as the reader's language writes them, in order of currency code."""
    return ", ".join(shown(amount, currency) for currency, amount in sorted(amounts.items()))


@lru_cache(maxsize=8192)
def _display(amount: int, currency: str, locale: str | Locale) -> str:
    value, digits = to_major(amount, currency), exponent(currency)
    if get_currency_precision(currency) == digits or value == value.to_integral_value():
        text = format_currency(value, currency, locale=locale)
    else:
        # The locale data rounds some currencies to whole units (RSD, COP): a debt is stated exactly.
        value = value.quantize(Decimal(1).scaleb(-digits))
        text = format_currency(value, currency, locale=locale, currency_digits=False, decimal_quantization=False)
    # Babel leaves out the blank that the locale data asks for between a code and a number (KWD 12.500).
    return _CODE_BEFORE_DIGIT.sub("\xa0", text)


def totals(amounts: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Sums (minor units, currency) pairs per currency, in order of currency code."""
    result: dict[str, int] = {}
    for amount, currency in amounts:
        result[currency] = result.get(currency, 0) + amount
    return dict(sorted(result.items()))
