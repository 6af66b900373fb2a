"""Local time of the customer: offsets, send windows, weekdays and business days, right across clock changes."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from campaigns.guard.holidays import is_business_day

#: A window that does not open within this many days never does; publishing refuses such windows.
HORIZON_DAYS = 400
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def at_local(day: date, clock: time, tz: ZoneInfo) -> datetime:
    """The UTC moment of a local wall-clock time. A time the spring change skips is read an hour later; one the
    autumn change repeats is its first."""
    return datetime.combine(day, clock, tzinfo=tz).astimezone(UTC)


def add_days(moment: datetime, days: int, tz: ZoneInfo) -> datetime:
    """The same local wall-clock time `days` calendar days later (UTC in, UTC out): 3 days after Friday noon is
    Monday noon, whatever the clocks did on Sunday."""
    local = moment.astimezone(tz)
    return at_local(local.date() + timedelta(days=days), local.time(), tz)


def month_end(moment: datetime, tz: ZoneInfo) -> datetime:
    """The same local wall-clock time on the last day of the local month `moment` falls in (UTC in, UTC out)."""
    local = moment.astimezone(tz)
    first = local.date().replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return at_local(following - timedelta(days=1), local.time(), tz)


def next_open(
    moment: datetime,
    *,
    weekdays: tuple[int, ...],
    opens: time | None,
    closes: time | None,
    business_days: bool,
    tz: ZoneInfo,
    country: str,
) -> datetime:
    """The first moment (UTC) not before `moment` inside a step's window; both ends of the hours belong to it.

    `weekdays` are ISO numbers, empty for all. Returns `moment` itself where no window is set, and the end of
    the horizon where it never opens.
    """
    if not weekdays and opens is None and closes is None and not business_days:
        return moment
    local = moment.astimezone(tz)
    day, clock = local.date(), local.time()
    if (
        (not weekdays or day.isoweekday() in weekdays)
        and (opens is None or clock >= opens)
        and (closes is None or clock <= closes)
        and (not business_days or is_business_day(day, country))
    ):
        return moment
    for _ in range(HORIZON_DAYS):
        if (not weekdays or day.isoweekday() in weekdays) and (not business_days or is_business_day(day, country)):
            start = at_local(day, opens or time(0), tz)
            candidate = max(moment, start)
            if closes is not None:
                if candidate <= at_local(day, closes, tz):
                    return candidate
            elif candidate < at_local(day + timedelta(days=1), time(0), tz):
                return candidate
        day += timedelta(days=1)
    return moment + timedelta(days=HORIZON_DAYS)


def in_words(moment: datetime, tz: ZoneInfo) -> str:
    """A moment as the customer's clock shows it, for reasons staff read: "Tue 03 Mar 09:00 (Europe/Rome)"."""
    local = moment.astimezone(tz)
    # strftime takes three times as long, and this is said of every case.
    day, month = _DAYS[local.weekday()], _MONTHS[local.month - 1]
    return f"{day} {local.day:02d} {month} {local.hour:02d}:{local.minute:02d} ({tz.key})"
