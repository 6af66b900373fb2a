"""Owns the public holidays and working days of countries (ISO 3166, two letters), as far as they are known. Pure."""

from datetime import date
from functools import lru_cache

import holidays


@lru_cache(maxsize=256)
def _calendar(country: str) -> holidays.HolidayBase | None:
    try:
        return holidays.country_holidays(country.upper())
    except NotImplementedError:
        return None


def is_holiday(day: date, country: str) -> bool:
    """True on a nation-wide public holiday; False for countries whose calendar is unknown."""
    calendar = _calendar(country) if country else None
    return calendar is not None and day in calendar


@lru_cache(maxsize=65536)
def is_business_day(day: date, country: str) -> bool:
    """True on days offices are open in `country`; for one that is unknown, Monday to Friday."""
    known = _calendar(country) if country else None
    return bool(known.is_working_day(day)) if known is not None else day.isoweekday() < 6
