"""Owns the dated table of statutory rates (rates.yaml, and an operator's own rows) as checked, plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.utils.translation import gettext as _

from billing.money import to_minor
from customers.errors import SollecitoError

FILE = Path(__file__).with_name("rates.yaml")
_FIELDS = {
    "name", "law", "national", "applies_from", "good_until", "frozen", "points", "currency", "fixed", "countries",
    "reference",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Regime:
    """One law. Rates are hundredths of a percent a year (basis points), amounts minor units of `currency`."""

    code: str
    name: str
    applies_from: date
    #: The last day the reference rates hold for.
    good_until: date
    #: The rate of the day interest starts stays for the whole debt; else each half-year counts at its own.
    frozen: bool
    points: int
    currency: str
    #: (size of the debt from, fixed sum), ascending.
    fixed: tuple[tuple[int, int], ...]
    countries: frozenset[str]
    #: (first day, reference rate), ascending.
    reference: tuple[tuple[date, int], ...]
    #: How a customer is told of it, and how in a country that has an act of its own (country → act).
    law: str
    national: Mapping[str, str]

    def law_in(self, country: str) -> str:
        """The law as a customer of `country` (ISO 3166, two letters) is told of it."""
        return self.national.get(country.upper(), self.law)

    def rate_on(self, day: date) -> int:
        """Interest a year in basis points on `day`. Raises SollecitoError (`rate_unknown`) outside the table."""
        if not self.reference[0][0] <= day <= self.good_until:
            raise SollecitoError(
                f"The table of statutory rates ({self.code}) holds for {self.reference[0][0]} to {self.good_until}, "
                f"not for {day}: add the newer reference rates (setting FEE_RATES) or upgrade.",
                code="rate_unknown",
            )
        return self.points + next(rate for first, rate in reversed(self.reference) if first <= day)

    def next_change(self, day: date) -> date:
        """The first day after `day` on which another rate may hold."""
        return next((first for first, _rate in self.reference if first > day), self.good_until + timedelta(days=1))


def regimes() -> Mapping[str, Regime]:
    """Every regime by code: the shipped table, with the rows of settings.FEE_RATES on top."""
    return _load(str(settings.FEE_RATES or ""))


def regime_for(country: str) -> Regime | None:
    """The regime of a debtor's country (ISO 3166, two letters), or None where the table has no law."""
    return next((regime for regime in regimes().values() if country.upper() in regime.countries), None)


def rates_ended(today: date) -> list[str]:
    """A sentence for each regime whose reference rates have run out on `today`. Raises SollecitoError for a file
    named in FEE_RATES that cannot be read."""
    return [
        _(
            "The reference rates of %(law)s are known until %(day)s only; interest that needs a later one is refused, "
            "never guessed. Name a file with the newer rates in FEE_RATES, or upgrade."
        )
        % {"law": regime.name, "day": regime.good_until}
        for regime in regimes().values()
        if regime.good_until < today
    ]


@lru_cache(maxsize=4)
def _load(own: str) -> Mapping[str, Regime]:
    found = read(FILE.read_text("utf-8"), FILE.name)
    if own:
        try:
            text = Path(own).read_text("utf-8")
        except OSError as error:
            raise SollecitoError(f"FEE_RATES: {error}", code="fee_rates") from error
        found |= read(text, own)
    return found


def read(source: str, place: str) -> dict[str, Regime]:
    """Regimes of one file. Raises SollecitoError naming `place`, the regime and what is wrong."""
    try:
        data = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise SollecitoError(f"{place}: {error}", code="fee_rates") from error
    if not isinstance(data, dict) or data.get("schema") != 1 or not isinstance(data.get("regimes"), dict):
        raise SollecitoError(f"{place}: schema: 1 with regimes is expected.", code="fee_rates")
    found = {}
    for code, raw in data["regimes"].items():
        try:
            found[str(code)] = _regime(str(code), raw)
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise SollecitoError(f"{place}: {code}: {error!r}", code="fee_rates") from error
    return found


def _regime(code: str, raw: dict[str, Any]) -> Regime:
    if unknown := set(raw) - _FIELDS:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    currency = str(raw["currency"])
    reference = tuple((_day(row["from"]), _points(row["rate"])) for row in raw["reference"])
    fixed = tuple(
        (to_minor(str(row["from"]), currency), to_minor(str(row["amount"]), currency)) for row in raw["fixed"]
    )
    if not reference or list(reference) != sorted(reference) or not fixed or list(fixed) != sorted(fixed):
        raise ValueError("rates and fixed sums are given in ascending order")
    return Regime(
        code=code,
        name=str(raw["name"]),
        applies_from=_day(raw["applies_from"]),
        good_until=_day(raw["good_until"]),
        frozen=raw["frozen"] is True,
        points=_points(raw["points"]),
        currency=currency,
        fixed=fixed,
        countries=frozenset(str(country) for country in raw["countries"]),
        reference=reference,
        law=str(raw.get("law", raw["name"])),
        national={str(country): str(act) for country, act in raw.get("national", {}).items()},
    )


def _day(value: Any) -> date:
    if not isinstance(value, date):
        raise TypeError(f"{value!r} is no date")
    return value


def _points(value: Any) -> int:
    """Percent as text in basis points, exactly."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r}: write rates as text")
    points = Decimal(value) * 100
    if points != points.to_integral_value() or points < 0:
        raise ValueError(f"{value} has more than two decimals or is negative")
    return int(points)
