"""Pay calendars and local hours, against the calendar and zoneinfo."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.retries.learned.calendars import (
    CALENDARS,
    Calendar,
    local_hour,
    local_hours,
    paydays,
    table_for,
)
from billing.retries.learned.habits import LONGEST_HOURS

EPOCH = date(1970, 1, 1)
ZONES = ("UTC", "Europe/Rome", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham")


def _dates(calendar: Calendar, first: date, last: date) -> list[date]:
    return [EPOCH + timedelta(days=d) for d in paydays(calendar, (first - EPOCH).days, (last - EPOCH).days)]


@pytest.mark.parametrize(
    ("calendar", "expected"),
    [
        (Calendar("cycle", days=7, phase=1), ["2026-02-06", "2026-02-13", "2026-02-20", "2026-02-27"]),  # Fridays
        (Calendar("month", doms=(31,)), ["2026-02-28"]),
        (Calendar("month", doms=(31,), shift="before"), ["2026-02-27"]),  # the 28th is a Saturday
        (Calendar("month", doms=(1,), shift="after"), ["2026-02-02"]),  # the 1st is a Sunday
        (Calendar("month", doms=(1,), shift="before"), ["2026-02-27"]),  # 1 March is a Sunday, too
        (Calendar("month", doms=(10, 25)), ["2026-02-10", "2026-02-25"]),
        (Calendar("weekday", nth=3, phase=2), ["2026-02-18"]),  # third Wednesday
        (Calendar("weekday", nth=-1, phase=4), ["2026-02-27"]),
        (Calendar("business", nth=5), ["2026-02-06"]),
    ],
    ids=lambda value: value.code if isinstance(value, Calendar) else "",
)
def test_paydays_in_february(calendar, expected):
    assert [d.isoformat() for d in _dates(calendar, date(2026, 2, 1), date(2026, 2, 28))] == expected


def test_a_leap_day_is_a_last_day():
    assert _dates(Calendar("month", doms=(31,)), date(2028, 2, 1), date(2028, 2, 29)) == [date(2028, 2, 29)]


def test_every_calendar_has_a_name_of_its_own():
    assert len({calendar.code for calendar in CALENDARS}) == len(CALENDARS)


def test_no_cycle_is_longer_than_the_curves_of_survival():
    """Hours since payday are looked up in them without a check."""
    for calendar in CALENDARS:
        days = _dates(calendar, date(2019, 1, 1), date(2036, 1, 1))
        assert max(b - a for a, b in zip(days, days[1:], strict=False)) < timedelta(hours=LONGEST_HOURS), calendar.code


@given(st.integers(0, len(CALENDARS) - 1), st.dates(date(2019, 1, 1), date(2035, 1, 1)))
def test_the_table_names_the_last_payday_and_the_next(index, day):
    number = (day - EPOCH).days
    table = table_for(number, number)
    assert table.latest[index, number - table.first] == paydays(CALENDARS[index], number - 66, number)[-1]
    assert table.following[index, number - table.first] == paydays(CALENDARS[index], number + 1, number + 67)[0]


@given(st.sampled_from(ZONES), st.integers(0, 11 * 365 * 24 * 60))
def test_local_hours_are_those_of_the_wall_clock(zone, minutes):
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
    expected = int(wall.timestamp() // 3600)
    assert local_hour(moment, zone) == expected
    whole = moment.replace(minute=0, second=0, microsecond=0)
    first = int(whole.timestamp()) // 3600
    found = local_hours(np.arange(first, first + 24 * 28), zone)
    assert [int(h) for h in found] == [local_hour(whole + timedelta(hours=n), zone) for n in range(24 * 28)]


def test_an_unknown_zone_is_read_as_utc():
    assert local_hour(datetime(2026, 5, 1, 12, tzinfo=UTC), "Nowhere/At_All") == local_hour(
        datetime(2026, 5, 1, 12, tzinfo=UTC), "UTC"
    )
