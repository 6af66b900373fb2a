"""Owns what a country tells about the time its people live by."""

import zoneinfo
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.core import get_global

#: Where a country has several zones: the one most of its people, or its business, live in. All other countries have
#: one zone in the CLDR data Babel carries.
_MAIN_ZONE = {
    "AR": "America/Argentina/Buenos_Aires",
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "CD": "Africa/Kinshasa",
    "CL": "America/Santiago",
    "CN": "Asia/Shanghai",
    "CY": "Asia/Nicosia",
    "DE": "Europe/Berlin",
    "EC": "America/Guayaquil",
    "ES": "Europe/Madrid",
    "FM": "Pacific/Pohnpei",
    "GL": "America/Nuuk",
    "ID": "Asia/Jakarta",
    "KI": "Pacific/Tarawa",
    "KZ": "Asia/Almaty",
    "MH": "Pacific/Majuro",
    "MN": "Asia/Ulaanbaatar",
    "MX": "America/Mexico_City",
    "MY": "Asia/Kuala_Lumpur",
    "NZ": "Pacific/Auckland",
    "PF": "Pacific/Tahiti",
    "PG": "Pacific/Port_Moresby",
    "PS": "Asia/Hebron",
    "PT": "Europe/Lisbon",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "UM": "Pacific/Wake",
    "US": "America/New_York",
    "UZ": "Asia/Tashkent",
}


@lru_cache(maxsize=1)
def _by_country() -> dict[str, str]:
    zones: dict[str, str] = {}
    for zone, country in sorted(get_global("zone_territories").items()):
        zones.setdefault(country, zone)
    return zones | _MAIN_ZONE


@lru_cache(maxsize=512)
def timezone_of(country: str) -> str:
    """IANA zone of an ISO 3166 two-letter country, its main one where it has several; "" if unknown."""
    zone = _by_country().get(country.upper(), "")
    return zone if is_timezone(zone) else ""


@lru_cache(maxsize=512)
def is_timezone(name: str) -> bool:
    """Whether `name` is in the IANA database."""
    return bool(name) and name in zoneinfo.available_timezones()


@lru_cache(maxsize=512)
def language_of(locale: str) -> str:
    """Two-letter language of a locale as browsers and processors write it ("pt-BR" → "pt"); "" if unknown."""
    try:
        return str(Locale.parse(locale.replace("-", "_").split(".")[0]).language)
    except (UnknownLocaleError, ValueError, TypeError):
        return ""
