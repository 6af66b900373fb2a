"""Owns which time zone a customer is reckoned to live in: their own, else their country's, else the brand's."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.core import get_global

from customers.geography import timezone_of


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name; UTC for one this machine's database does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def zone_name(*, timezone: str, country: str, brand_timezone: str) -> str:
    """IANA name of the zone to reckon with: the customer's own, else the country's main one, else the brand's."""
    return timezone or timezone_of(country) or brand_timezone or "UTC"


def is_guess(*, timezone: str, country: str) -> bool:
    """True if the zone is only the main one of several the customer may live in."""
    return not timezone and len(zones_of(country.upper())) > 1


@lru_cache(maxsize=512)
def zones_of(country: str) -> tuple[str, ...]:
    """One zone of each kind of clock a country keeps today: Indiana/Marengo tells the same time as New York."""
    clocks: dict[tuple[object, ...], str] = {}
    names: list[str] = get_global("territory_zones").get(country, [])
    main = timezone_of(country)
    for name in sorted(names, key=lambda name: name != main):
        # Winter, summer and the weeks in which the Americas and Europe disagree tell present clocks apart.
        moments = [datetime(2026, month, 20, tzinfo=UTC) for month in (1, 3, 7, 10)]
        clocks.setdefault(tuple(moment.astimezone(zone(name)).utcoffset() for moment in moments), name)
    return tuple(clocks.values())
