"""Owns the customer's calendar: local hours across daylight saving, and the days money tends to arrive."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FRIDAY = 4


def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name; UTC for an empty or unknown one."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory's name, such as "Europe"
        return ZoneInfo("UTC")


def at_local(day: date, hour: int, tz: ZoneInfo, minute: int = 0) -> datetime:
    """The UTC moment of a local wall-clock time.

    A time that the spring change skips is read an hour later; one that the autumn change repeats is its
    first.
    """
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=tz).astimezone(UTC)


def first_at_hour(earliest: datetime, hour: int, tz: ZoneInfo) -> datetime:
    """The first moment (UTC) not before `earliest` at which local clocks show `hour`:00."""
    day = earliest.astimezone(tz).date()
    moment = at_local(day, hour, tz)
    # Twice at most: the autumn change can leave the first of a repeated hour behind us on its own day only.
    while moment < earliest:
        day += timedelta(days=1)
        moment = at_local(day, hour, tz)
    return moment


def last_business_day(year: int, month: int) -> date:
    """The last Monday-to-Friday day of a month."""
    day = date(year, month, calendar.monthrange(year, month)[1])
    return day - timedelta(days=max(0, day.weekday() - _FRIDAY))


def payday(day: date) -> tuple[int, str] | None:
    """How strongly a day is a payday, and which one; None if it is none.

    2 is a monthly or half-monthly payday, 1 a Friday. The 1st or 15th on a weekend pays on the Friday before.
    """
    if day.weekday() > _FRIDAY:
        return None
    if day == last_business_day(day.year, day.month):
        return 2, "the last business day of the month"
    for ahead in range(3 if day.weekday() == _FRIDAY else 1):
        nominal = day + timedelta(days=ahead)
        if nominal.day in (1, 15):
            name = "1st" if nominal.day == 1 else "15th"
            return 2, f"the {name}" if ahead == 0 else f"the Friday before the {name}"
    return (1, "Friday") if day.weekday() == _FRIDAY else None


def place(name: str) -> str:
    """A zone's name for a sentence: "Europe/Rome" is "Rome"."""
    return zone(name).key.rsplit("/", 1)[-1].replace("_", " ")


def in_words(moment: datetime, timezone: str, now: datetime) -> str:
    """A moment in the customer's own terms: "Friday 06:10 in Rome", with the date if a week or more away."""
    local = moment.astimezone(zone(timezone))
    days = (local.date() - now.astimezone(zone(timezone)).date()).days
    when = WEEKDAYS[local.weekday()]
    if days >= 7:
        when += f" {local.day} {calendar.month_name[local.month]}"
    return f"{when} {local:%H:%M} in {place(timezone)}"
