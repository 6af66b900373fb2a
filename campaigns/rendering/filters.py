"""Owns the filters a template may use: bounded in what they take and give, amounts and dates localised."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Any
from urllib.parse import quote

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.lists import format_list
from liquid import RenderContext, Undefined
from liquid.exceptions import FilterArgumentError
from liquid.filter import with_context

from billing.money import display
from customers.errors import SollecitoError

MAX_TEXT = 20_000  # characters a filter takes or gives
MAX_ARGUMENT = 1_000  # characters of one filter argument
MAX_ITEMS = 1_000
MAX_NUMBER = 10**15  # keeps repeated sums from growing integers without end

Filter = Callable[..., Any]
_FIRST = re.compile(r"\b1 ")


def _refuse(message: str) -> FilterArgumentError:
    return FilterArgumentError(message, token=None)


def _check(value: object, longest: int) -> None:
    if isinstance(value, str) and len(value) > longest:
        raise _refuse(f"a text of more than {longest:,} characters")
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > MAX_ITEMS:
        raise _refuse(f"a list of more than {MAX_ITEMS:,} items")
    if isinstance(value, (int, float)) and abs(value) > MAX_NUMBER:
        raise _refuse("a number that is too large")


def bounded(function: Filter) -> Filter:
    """Caps what a filter takes and gives: the engine's own limits do not see inside filters."""

    @wraps(function)
    def inner(value: object, *args: object, **kwargs: Any) -> Any:
        _check(value, MAX_TEXT)
        for argument in args:
            _check(argument, MAX_ARGUMENT)
        result = function(value, *args, **kwargs)
        _check(result, MAX_TEXT)
        return result

    return inner


def _text(value: object) -> str:
    """A value as text; complains about what is missing instead of printing nothing."""
    if isinstance(value, Undefined) or value is None:
        raise _refuse("the value is missing; guard it with {% if %} or | default")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise _refuse(f"needs a text, not {type(value).__name__}")
    return value if isinstance(value, str) else str(value)


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refuse("needs a whole number")
    return value


@lru_cache(maxsize=512)
def _locale(language: str, country: str) -> Locale:
    """Babel's locale for a mail's language and the reader's country.

    English outside the English-speaking countries follows the international form (22 November 2026), since
    month-first dates are misread there.
    """
    language = language.replace("_", "-").split("-")[0].lower() or "en"
    for tag in (
        f"{language}_{country.upper()}" if country else "",
        f"{language}_001" if country else "",
        language,
    ):
        try:
            if tag:
                return Locale.parse(tag)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse("en")


def locale_of(context: RenderContext) -> Locale:
    """The locale of amounts and dates: `language` of the text, and where its reader is: `reader_country` if set (staff
    read what is about a customer elsewhere), else `customer.country`."""
    language = context.resolve("language", default="en")
    country = context.resolve("reader_country", default=None)
    if country is None:
        customer = context.resolve("customer", default=None)
        country = customer.get("country") if isinstance(customer, dict) else ""
    return _locale(language if isinstance(language, str) else "en", country if isinstance(country, str) else "")


def amount_text(minor: int, currency: str, locale: Locale) -> str:
    """`minor` units of `currency` as the locale writes them."""
    try:
        return display(minor, currency, locale)
    except SollecitoError as error:
        raise _refuse(error.message) from error


def money(minor: object, currency: object = None, *, context: RenderContext) -> str:
    """`{{ invoice.balance | money: invoice.currency }}`: minor units as the reader writes them."""
    return amount_text(_integer(minor), _text(currency), locale_of(context))


def money_list(balances: object, *, context: RenderContext) -> str:
    """`{{ balances | money_list }}`: one sum per currency, joined as the language joins a list."""
    if not isinstance(balances, list) or not all(isinstance(b, dict) for b in balances):
        raise _refuse("needs `balances`")
    locale = locale_of(context)
    sums = [amount_text(_integer(b.get("amount")), _text(b.get("currency")), locale) for b in balances]
    return str(format_list(sums, locale=locale))


@lru_cache(maxsize=2048)
def _date_text(date: datetime.date, locale: Locale, form: str) -> str:
    text = str(format_date(date, form, locale=locale))
    if date.day == 1 and locale.language == "fr" and form != "short":
        text = _FIRST.sub("1er ", text, count=1)  # French says the first, and only the first, as an ordinal
    return text


def local_date(value: object, form: object = "long", *, context: RenderContext) -> str:
    """`{{ invoice.due_on | local_date }}`; also `: "short"`, `"medium"` (22 Nov 2026), `"full"`."""
    if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date):
        raise _refuse("needs a date; guard one that may be missing with {% if %}")
    if form not in ("short", "medium", "long", "full"):
        raise _refuse("the form of a date is short, medium, long or full")
    return _date_text(value, locale_of(context), str(form))


@lru_cache(maxsize=512)
def _plural_category(number: int, language: str) -> str:
    return str(_locale(language, "").plural_form(number))


def plural(number: object, *forms: object, context: RenderContext) -> str:
    """`{{ n }} {{ n | plural: "day", "days" }}`: the form that goes with the number in the mail's language.

    Two forms (one, more), or three where the language has them: Polish `"faktura", "faktury", "faktur"`.
    """
    count = _integer(number)
    if not 2 <= len(forms) <= 3:
        raise _refuse("plural takes two or three forms")
    language = context.resolve("language", default="en")
    category = _plural_category(count, language if isinstance(language, str) else "en")
    place = 0 if category == "one" else 1 if category == "few" else -1
    return _text(forms[place])


def upcase(value: object) -> str:
    """In capitals."""
    return str(_text(value)).upper()


def downcase(value: object) -> str:
    """In small letters."""
    return str(_text(value)).lower()


def capitalize(value: object) -> str:
    """With a capital first letter, the rest untouched."""
    text = str(_text(value))
    return text[:1].upper() + text[1:]


def strip(value: object) -> str:
    """Without white space around it."""
    return str(_text(value)).strip()


def truncate(value: object, length: object = 50, end: object = "…") -> str:
    """At most `length` characters, `end` included."""
    text, limit, tail = str(_text(value)), _integer(length), str(_text(end))
    return text if len(text) <= limit else text[: max(limit - len(tail), 0)].rstrip() + tail


def append(value: object, other: object) -> str:
    """With a text after it."""
    return str(_text(value)) + str(_text(other))


def prepend(value: object, other: object) -> str:
    """With a text before it."""
    return str(_text(other)) + str(_text(value))


def replace(value: object, old: object, new: object = "") -> str:
    """With every `old` turned into `new`; the growth is refused before it happens."""
    text, before, after = str(_text(value)), str(_text(old)), str(_text(new))
    if len(text) + text.count(before) * (len(after) - len(before)) > MAX_TEXT:
        raise _refuse(f"a text of more than {MAX_TEXT:,} characters")
    return text.replace(before, after)


def url_encode(value: object) -> str:
    """Safe inside a link's query."""
    return quote(str(_text(value)), safe="")


def size(value: object) -> int:
    """The length of a list or text."""
    return len(value) if isinstance(value, (list, str, dict)) else 0


def first(value: object) -> object:
    """The first item of a list."""
    return value[0] if isinstance(value, list) and value else None


def last(value: object) -> object:
    """The last item of a list."""
    return value[-1] if isinstance(value, list) and value else None


def plus(value: object, other: object) -> int:
    """The sum of two whole numbers."""
    return _integer(value) + _integer(other)


def minus(value: object, other: object) -> int:
    """The difference of two whole numbers."""
    return _integer(value) - _integer(other)


def default(value: object, fallback: object = "") -> object:
    """The value, or `fallback` where it is missing or empty."""
    if isinstance(value, Undefined) or value is None or value is False or value in ("", [], {}):
        return fallback
    return value


FILTERS: dict[str, Filter] = {
    "money": with_context(bounded(money)),
    "money_list": with_context(bounded(money_list)),
    "local_date": with_context(bounded(local_date)),
    "plural": with_context(bounded(plural)),
    **{
        f.__name__: bounded(f)
        for f in (
            *(upcase, downcase, capitalize, strip, truncate, append, prepend, replace, url_encode),
            *(size, first, last, plus, minus, default),
        )
    },
}
