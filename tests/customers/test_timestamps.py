"""Moments are read as they were written, whatever the parser makes of their spelling."""

from datetime import UTC, datetime

import pytest
from django.db import DataError, connection

from customers.timestamps import MomentLoader

pytestmark = pytest.mark.django_db


def _read(literal: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [literal])
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-29 02:30:00+02", datetime(2026, 3, 29, 0, 30, tzinfo=UTC)),
        ("2024-02-29 23:59:59.5+00", datetime(2024, 2, 29, 23, 59, 59, 500_000, tzinfo=UTC)),
        ("2026-01-01 00:00:00.000001Z", datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)),
        ("0001-01-01 00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31 23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_a_moment_comes_back_in_utc(written: str, moment: datetime) -> None:
    read = _read(written)
    assert read == moment
    assert isinstance(read, datetime)
    assert read.tzinfo is UTC


def test_our_loader_is_the_one_that_reads() -> None:
    with connection.cursor() as cursor:
        assert issubclass(cursor.connection.adapters.get_loader(1184, 0), MomentLoader)


@pytest.mark.parametrize("never", ["infinity", "0044-03-15 12:00:00 BC"])
def test_what_python_cannot_hold_is_refused(never: str) -> None:
    with pytest.raises(DataError):
        _read(never)


def test_a_session_in_another_zone_is_still_read_right() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Asia/Kathmandu'")
        cursor.execute("SELECT '2026-11-22 12:00:00Z'::timestamptz")
        assert cursor.fetchone()[0] == datetime(2026, 11, 22, 12, tzinfo=UTC)
