"""How staff read moments and states: times in words and in a zone, spans, coloured labels."""

import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from django.db import models
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from customers.geography import timezone_of
from customers.models import Customer

_BADGE = "sol-badge"


def badge(text: object, variant: str = "") -> SafeString:
    """A small coloured label; variants: success, danger, warning, info, primary or none."""
    return format_html('<span class="{} {}">{}</span>', _BADGE, variant and f"{_BADGE}-{variant}", text)


def choice_badge(row: models.Model, field: str, variants: Mapping[str, str]) -> SafeString:
    """The badge of a field with choices: its label in words, its colour by value; empty for no value."""
    value = getattr(row, field)
    if not value:
        return mark_safe('<span class="sol-muted">–</span>')
    return badge(getattr(row, f"get_{field}_display")(), variants.get(value, ""))


def zone(name: str) -> tzinfo:
    """The zone of an IANA name, UTC for none or an unknown one."""
    try:
        return zoneinfo.ZoneInfo(name) if name else UTC
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return UTC


def customer_zone(customer: Customer) -> str:
    """IANA name of the zone a customer's times are shown in: their own, else the country's, else the brand's."""
    return customer.timezone or timezone_of(customer.country) or customer.brand.timezone


def words(local: datetime) -> str:
    """A local moment in the active language, to the minute."""
    return f"{date_format(local, 'D j M Y')}, {local:%H:%M}"


def plain(value: datetime) -> str:
    """A moment in the reader's zone, as bare text."""
    return words(timezone.localtime(value))


def day(value: datetime) -> str:
    """The day of a moment in the reader's zone, without the time."""
    return date_format(timezone.localtime(value), "j M Y")


def when(value: datetime | None, in_zone: str = "") -> SafeString | str:
    """A moment as `<time>`: "Tue 10 Mar 2026, 13:00", in the zone named, else in the reader's."""
    if value is None:
        return "–"
    local = timezone.localtime(value, zone(in_zone)) if in_zone else timezone.localtime(value)
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), local.tzname(), words(local))


def on_day(value: datetime | None, in_zone: str = "") -> SafeString | str:
    """A moment as `<time>` of which the day matters: "10 Mar 2026", the rest in its title; as `when` otherwise."""
    if value is None:
        return "–"
    local = timezone.localtime(value, zone(in_zone)) if in_zone else timezone.localtime(value)
    full = f"{words(local)} {local.tzname()}"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', value.isoformat(), full, date_format(local, "j M Y")
    )


def percent(share: float | None) -> str:
    """A share of 1 as "12.3 %"; a dash for none."""
    return "–" if share is None else f"{number_format(round(100 * share, 1), 1)}\u00a0%"


def points(difference: float | None) -> str:
    """A difference of two shares of 1 in points, with its sign: "+1.2"; a dash for none."""
    if difference is None:
        return "–"
    sign = "+" if difference > 0 else "−" if difference < 0 else ""
    return sign + number_format(round(100 * abs(difference), 1), 1)


def ago(seconds: float | None) -> str:
    """A number of seconds as people say it: "12 s", "5 min", "3 h", "2 d"; a dash for none."""
    if seconds is None:
        return "–"
    for unit, size in ((_("d"), 86_400), (_("h"), 3_600), (_("min"), 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} {_('s')}"
