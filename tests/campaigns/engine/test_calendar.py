"""Local time: days keep their hour across clock changes, windows open where the customer lives."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.engine.calendar import add_days, is_business_day, next_open

ROME = ZoneInfo("Europe/Rome")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "days", "zone", "expected"),
    [
        (utc(2026, 3, 10, 12), 3, "Europe/Rome", utc(2026, 3, 13, 12)),
        # The clocks go forward on 29 March: noon stays noon, so the UTC hour is one less.
        (utc(2026, 3, 27, 11), 3, "Europe/Rome", utc(2026, 3, 30, 10)),
        # 02:30 does not exist that day: an hour later.
        (utc(2026, 3, 28, 1, 30), 1, "Europe/Rome", utc(2026, 3, 29, 1, 30)),
        # 02:30 comes twice on 25 October: the first.
        (utc(2026, 10, 24, 0, 30), 1, "Europe/Rome", utc(2026, 10, 25, 0, 30)),
        (utc(2026, 10, 24, 10), 3, "Europe/Rome", utc(2026, 10, 27, 11)),
        (utc(2026, 3, 7, 17), 1, "America/New_York", utc(2026, 3, 8, 16)),
        # Leap day, month end, year end.
        (utc(2028, 2, 28, 12), 1, "Europe/Rome", utc(2028, 2, 29, 12)),
        (utc(2027, 2, 28, 12), 1, "Europe/Rome", utc(2027, 3, 1, 12)),
        (utc(2026, 1, 31, 12), 1, "Europe/Rome", utc(2026, 2, 1, 12)),
        (utc(2026, 12, 31, 23, 30), 1, "Europe/Rome", utc(2027, 1, 1, 23, 30)),
    ],
)
def test_days_keep_the_local_hour(start, days, zone, expected):
    assert add_days(start, days, ZoneInfo(zone)) == expected


OFFICE = {"weekdays": (1, 2, 3, 4, 5), "opens": time(9), "closes": time(17), "business_days": False}


@pytest.mark.parametrize(
    ("moment", "fields", "zone", "country", "expected"),
    [
        (utc(2026, 3, 10, 12), OFFICE, "Europe/Rome", "IT", utc(2026, 3, 10, 12)),
        (utc(2026, 3, 10, 8), OFFICE, "Europe/Rome", "IT", utc(2026, 3, 10, 8)),  # 09:00 sharp
        (utc(2026, 3, 10, 16), OFFICE, "Europe/Rome", "IT", utc(2026, 3, 10, 16)),  # 17:00 sharp
        (utc(2026, 3, 10, 16, 1), OFFICE, "Europe/Rome", "IT", utc(2026, 3, 11, 8)),
        (utc(2026, 3, 10, 5), OFFICE, "Europe/Rome", "IT", utc(2026, 3, 10, 8)),
        (utc(2026, 3, 13, 18), OFFICE, "Europe/Rome", "IT", utc(2026, 3, 16, 8)),
        # Over the weekend the clocks change: Monday 09:00 is an hour earlier in UTC.
        (utc(2026, 3, 27, 18), OFFICE, "Europe/Rome", "IT", utc(2026, 3, 30, 7)),
        (utc(2026, 3, 10, 3), OFFICE, "America/Los_Angeles", "US", utc(2026, 3, 10, 16)),
        # Business days: Easter Monday in Italy, Thanksgiving in the United States, none known for an unknown land.
        (utc(2026, 4, 4, 12), OFFICE | {"business_days": True}, "Europe/Rome", "IT", utc(2026, 4, 7, 7)),
        (utc(2026, 11, 26, 15), OFFICE | {"business_days": True}, "America/New_York", "US", utc(2026, 11, 27, 14)),
        (utc(2026, 4, 6, 12), OFFICE | {"business_days": True}, "Europe/Rome", "XX", utc(2026, 4, 6, 12)),
        # A window that opens in the hour the spring change skips.
        (
            utc(2026, 3, 28, 23, 30),
            OFFICE | {"weekdays": (), "opens": time(2, 30), "closes": time(4)},
            "Europe/Rome",
            "IT",
            utc(2026, 3, 29, 1, 30),
        ),
    ],
)
def test_when_a_window_opens(moment, fields, zone, country, expected):
    assert next_open(moment, tz=ZoneInfo(zone), country=country, **fields) == expected


def test_no_window_is_always_open():
    moment = utc(2026, 3, 14, 3)
    fields = {"weekdays": (), "opens": None, "closes": None, "business_days": False}
    assert next_open(moment, tz=ROME, country="IT", **fields) is moment


@given(
    moment=st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: utc(2026, 1, 1) + timedelta(minutes=minutes)),
    zone=st.sampled_from(["Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
    weekdays=st.sets(st.integers(1, 7), min_size=1),
    opens=st.integers(0, 22),
    length=st.integers(1, 10),
    business_days=st.booleans(),
)
def test_a_window_is_never_early_and_never_outside(moment, zone, weekdays, opens, length, business_days):
    closes = time(min(opens + length, 23))
    if business_days and not weekdays & {1, 2, 3, 4, 5}:
        weekdays = weekdays | {1}
    found = next_open(
        moment, weekdays=tuple(sorted(weekdays)), opens=time(opens), closes=closes, business_days=business_days,
        tz=ZoneInfo(zone), country="IT",
    )  # fmt: skip
    local = found.astimezone(ZoneInfo(zone))
    assert found >= moment
    assert local.isoweekday() in weekdays
    assert local.time() >= time(opens)
    assert not business_days or is_business_day(local.date(), "IT")


@pytest.mark.parametrize(
    ("day", "country", "expected"),
    [
        (date(2026, 3, 10), "IT", True),
        (date(2026, 3, 14), "IT", False),
        (date(2026, 6, 2), "IT", False),
        (date(2026, 6, 2), "DE", True),
        (date(2026, 3, 13), "SA", False),  # Friday, weekend there
        (date(2026, 3, 15), "SA", True),  # Sunday, a working day there
        (date(2026, 3, 14), "", False),
    ],
)
def test_business_days_are_the_country_s(day, country, expected):
    assert is_business_day(day, country) is expected
