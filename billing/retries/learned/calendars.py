"""Owns the pay calendars a customer may live by, and the local clock in whole hours; numpy, no Django.

A calendar is a rule that names paydays: every so many days, a day of the month, two days of the month. No day is
special beforehand: which calendars are common, and where, is learned.
"""

from __future__ import annotations

import calendar as months
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from billing.retries.localtime import zone

Ints = NDArray[np.int64]

#: 1 January 1970 was one; Monday is 0.
_THURSDAY = 3

HOUR = 3600
_EPOCH = date(1970, 1, 1)
#: Paydays looked up before the first day asked for and after the last; longer than the longest cycle.
_LEAD_DAYS = 66


@dataclass(frozen=True, slots=True)
class Calendar:
    """One rule for paydays.

    `kind` is "cycle" (every `days`, on days whose number since 1970-01-01 leaves `phase`), "month" (on the days
    of the month in `doms`, 31 being the last), "weekday" (the `nth` of weekday `phase` in a month, 0 Monday; -1 the
    last) or "business" (the `nth` day from Monday to Friday of a month). `shift` moves a payday on a weekend: "none",
    "before", "after". Of its paydays one in `every` brings something, nobody knows which: who tops up now and then
    does so at usual hours all the same.
    """

    kind: str
    days: int = 0
    phase: int = 0
    doms: tuple[int, ...] = ()
    shift: str = "none"
    nth: int = 0
    every: int = 1

    @property
    def family(self) -> str:
        """What it has in common with those that differ in the day only."""
        if self.every > 1:
            return "now and then"
        if self.kind == "cycle":
            return f"cycle-{self.days}"
        return f"month-{len(self.doms)}" if self.kind == "month" else self.kind

    @property
    def code(self) -> str:
        """A stable name, as model files hold it."""
        if self.every > 1:
            return f"every-{self.every}"
        if self.kind == "cycle":
            return f"cycle-{self.days}-{self.phase}"
        if self.kind == "weekday":
            return f"weekday-{self.nth}-{self.phase}"
        if self.kind == "business":
            return f"business-{self.nth}"
        return f"month-{'+'.join(map(str, self.doms))}-{self.shift}"


def _every(days: int) -> list[Calendar]:
    return [Calendar("cycle", days=days, phase=phase) for phase in range(days)]


def _monthly() -> list[Calendar]:
    single = [
        Calendar("month", doms=(dom,), shift=shift)
        for dom in range(1, 32)
        for shift in (("none", "before", "after") if dom != 31 else ("none", "before"))
    ]
    double = [
        Calendar("month", doms=(dom, 31 if dom == 15 else dom + 15), shift=shift)
        for dom in range(1, 16)
        for shift in ("none", "before")
    ]
    weekdays = [Calendar("weekday", nth=nth, phase=phase) for nth in (1, 2, 3, 4, -1) for phase in range(7)]
    return single + double + weekdays + [Calendar("business", nth=nth) for nth in range(1, 11)]


def _now_and_then() -> list[Calendar]:
    return [Calendar("cycle", days=1, every=every) for every in (2, 4, 8)]


CALENDARS: tuple[Calendar, ...] = (
    *_every(1), *_every(7), *_every(10), *_every(14), *_every(28), *_monthly(), *_now_and_then(),
)  # fmt: skip
#: How often a payday of each brings anything, but for those skipped by chance.
COMES = np.array([1 / c.every for c in CALENDARS], np.float32)


def _month_days(calendar: Calendar, year: int, month: int) -> list[int]:
    last = months.monthrange(year, month)[1]
    begin = (date(year, month, 1) - _EPOCH).days
    found = []
    if calendar.kind == "weekday":
        same = [begin + n for n in range(last) if (begin + n + _THURSDAY) % 7 == calendar.phase]
        return [same[calendar.nth - 1 if calendar.nth > 0 else calendar.nth]]
    if calendar.kind == "business":
        return [[begin + n for n in range(last) if (begin + n + _THURSDAY) % 7 < 5][calendar.nth - 1]]
    for dom in calendar.doms:
        day = date(year, month, min(dom, last))
        if calendar.shift == "before" and day.weekday() > 4:
            day -= timedelta(days=day.weekday() - 4)
        elif calendar.shift == "after" and day.weekday() > 4:
            day += timedelta(days=7 - day.weekday())
        found.append((day - _EPOCH).days)
    return found


def paydays(calendar: Calendar, first: int, last: int) -> list[int]:
    """The paydays between two days (numbers since 1970-01-01), both included, rising."""
    if calendar.kind == "cycle":
        begin = first + (calendar.phase - first) % calendar.days
        return list(range(begin, last + 1, calendar.days))
    start, end = _EPOCH + timedelta(days=first - 3), _EPOCH + timedelta(days=last + 3)
    found = set()
    for number in range(start.year * 12 + start.month - 1, end.year * 12 + end.month):
        found.update(_month_days(calendar, number // 12, number % 12 + 1))
    return sorted(day for day in found if first <= day <= last)


@dataclass(frozen=True, slots=True)
class PaydayTable:
    """For every calendar and day from `first`: the last payday not after it, and the first one after it."""

    first: int
    latest: NDArray[np.int32]
    following: NDArray[np.int32]


@lru_cache(maxsize=8)
def payday_table(first_block: int, blocks: int) -> PaydayTable:
    """The table for `blocks` blocks of 512 days from block `first_block`; see table_for()."""
    first, days = first_block * 512, blocks * 512
    latest = np.empty((len(CALENDARS), days), np.int32)
    following = np.empty((len(CALENDARS), days), np.int32)
    every = np.arange(first, first + days)
    for row, calendar in enumerate(CALENDARS):
        known = np.array(paydays(calendar, first - _LEAD_DAYS, first + days - 1 + _LEAD_DAYS))
        at = np.searchsorted(known, every, side="right") - 1
        latest[row] = known[at]
        following[row] = known[at + 1]
    return PaydayTable(first, latest, following)


def table_for(first_day: int, last_day: int) -> PaydayTable:
    """A payday table that holds all of these days."""
    begin = first_day // 512
    return payday_table(begin, last_day // 512 - begin + 1)


@lru_cache(maxsize=1024)
def _changes(name: str, year: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Hours since 1970 at which the zone's offset changes in a year, and the offsets in seconds, first to last."""
    tz = zone(name)
    begin = int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) // HOUR
    end = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp()) // HOUR

    def offset(hour: int) -> int:
        told = datetime.fromtimestamp(hour * HOUR, UTC).astimezone(tz).utcoffset()
        return int(told.total_seconds()) if told is not None else 0

    starts, offsets = [begin], [offset(begin)]
    for low in range(begin, end, 24 * 7):
        high = min(low + 24 * 7, end)
        if offset(high) != offset(low):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
            starts.append(high)
            offsets.append(offset(high))
    return tuple(starts), tuple(offsets)


def local_hour(at: datetime, name: str) -> int:
    """A moment as whole local hours since 1970-01-01 00:00 by the zone's wall clock."""
    seconds = int(at.timestamp())
    starts, offsets = _changes(name, at.astimezone(UTC).year)
    return (seconds + offsets[bisect_right(starts, seconds // HOUR) - 1]) // HOUR


def local_hours(utc_hours: Ints, name: str) -> Ints:
    """As local_hour(), for rising UTC hours since 1970 that lie within two calendar years."""
    first = datetime.fromtimestamp(int(utc_hours[0]) * HOUR, UTC).year
    last = datetime.fromtimestamp(int(utc_hours[-1]) * HOUR, UTC).year
    starts: list[int] = []
    offsets: list[int] = []
    for year in range(first, last + 1):
        more = _changes(name, year)
        starts += more[0]
        offsets += more[1]
    known = np.array(offsets)[np.searchsorted(np.array(starts), utc_hours, side="right") - 1]
    return np.asarray((utc_hours * HOUR + known) // HOUR, np.int64)


def weekday_of(local: Any) -> Any:
    """The weekday of local hours since 1970, 0 Monday; of one as of many."""
    return (local // 24 + _THURSDAY) % 7


def week_hour_of(local: Any) -> Any:
    """The hour of the week of local hours since 1970, 0 Monday's first; of one as of many."""
    return weekday_of(local) * 24 + local % 24
