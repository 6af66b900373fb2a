"""Owns contact hours: which local times a policy opens, and the next moment that is open. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from campaigns.guard.holidays import is_holiday

DAY = 24 * 60
#: A policy opens some hours of every ordinary week (checked when it is read), so this is never reached.
_HORIZON_DAYS = 60


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of local day in [start, end); an end past 24:00 reaches into the next day."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> "Span":
        """Reads `08:30-21:00`; `20:00-02:00` ends on the next day. Raises ValueError for anything else."""
        start, end = (_minutes(part) for part in text.split("-"))
        if start >= DAY or start == end:
            raise ValueError(f"{text!r} is no span of hours.")
        return cls(start, end if end > start else end + DAY)

    def __str__(self) -> str:
        return f"{_clock(self.start)}–{_clock(self.end)}"


def _minutes(text: str) -> int:
    hours, minutes = text.strip().split(":")
    value = int(hours) * 60 + int(minutes)
    if not (0 <= value <= DAY and 0 <= int(minutes) < 60):
        raise ValueError(f"{text!r} is no time of day.")
    return value


def _clock(minutes: int) -> str:
    return "24:00" if minutes == DAY else f"{minutes % DAY // 60:02d}:{minutes % 60:02d}"


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: answers are remembered by it
class Hours:
    """Open hours by kind of day; a kind without spans is closed. Public holidays go by the country's calendar."""

    weekdays: tuple[Span, ...]
    saturday: tuple[Span, ...]
    sunday: tuple[Span, ...]
    #: None: a public holiday is like any day of the week it falls on.
    holiday: tuple[Span, ...] | None

    def spans(self, day: date, country: str) -> tuple[Span, ...]:
        """The open hours of one local day."""
        if self.holiday is not None and is_holiday(day, country):
            return self.holiday
        return (self.weekdays, self.saturday, self.sunday)[max(day.isoweekday() - 5, 0)]

    def is_open(self, local: datetime, country: str) -> bool:
        """True if that wall-clock time is within open hours."""
        minute = local.hour * 60 + local.minute
        day = local.date()
        return any(span.start <= minute < span.end for span in self.spans(day, country)) or any(
            span.end > DAY and minute < span.end - DAY for span in self.spans(day - timedelta(days=1), country)
        )


def is_open(moment: datetime, hours: Hours, country: str, zones: Sequence[ZoneInfo]) -> bool:
    """True if `moment` (aware) is within open hours in every zone given."""
    return all(hours.is_open(moment.astimezone(zone), country) for zone in zones)


def next_open(moment: datetime, hours: Hours, country: str, zones: Sequence[ZoneInfo]) -> datetime:
    """`moment` itself if open in every zone, else the next moment that is, aware UTC.

    Hours are wall-clock hours: where a change of clocks skips the opening, it opens with the first time that
    exists after it; where one repeats an hour, both are judged alike.
    """
    moment = moment.astimezone(UTC)
    for _round in range(_HORIZON_DAYS):
        later = moment
        for zone in zones:
            later = _next_open_in(later, hours, country, zone)
        if later == moment:
            return moment
        moment = later
    raise ValueError("The policy opens no hour that all zones share.")


def _next_open_in(moment: datetime, hours: Hours, country: str, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    if hours.is_open(local, country):
        return moment

    # From the eve on: at 00:30 of a closed day the opening may be one of yesterday's, told twice by the clock.
    for candidate in _openings(local.date() - timedelta(days=1), hours, country, zone):
        if candidate > moment and hours.is_open(candidate.astimezone(zone), country):
            return candidate
    raise ValueError("The policy opens no hour within two months.")


def _openings(day: date, hours: Hours, country: str, zone: ZoneInfo) -> Iterator[datetime]:
    """Moments (UTC) at which hours may open, in order, day by day."""
    for number in range(_HORIZON_DAYS + 2):
        on = day + timedelta(days=number)
        yield from sorted(
            {
                moment
                for span in hours.spans(on, country)
                for moment in _moments(datetime.combine(on, time(span.start // 60, span.start % 60)), zone)
            }
        )


def _moments(wall: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Every moment (UTC) at which the clock shows `wall` (naive), or the one at which it skips it."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return (first, second)
    # Skipped: with the offset before the change it lies after it, with the one after it before.
    lower, upper = second, first
    while upper - lower > timedelta(seconds=1):
        middle = lower + (upper - lower) / 2
        if middle.astimezone(zone).utcoffset() == upper.astimezone(zone).utcoffset():
            upper = middle
        else:
            lower = middle
    return (upper.replace(microsecond=0),)
