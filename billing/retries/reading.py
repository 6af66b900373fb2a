"""Owns the reading of what outsiders tell as mappings: each value as its field's own type, or as missing.

Histories come from files and tables of others: numbers of numpy, codes that lost their leading zero, moments as
text, NaN for what is not known. One value that cannot be read must not cost a whole history.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from numbers import Real
from typing import Any, get_args

from billing.retries.limits import Profile

#: Moments beyond are read as these: there the hours of a zone could no longer be reckoned.
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(2199, 12, 31, tzinfo=UTC)
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def moment(told: Any) -> datetime | None:
    """An aware moment from a datetime, a date or ISO 8601 text; one without a zone is UTC."""
    if told is None:
        return None
    if isinstance(told, datetime):
        if told != told:  # NaT, which calls itself a datetime
            return None
        at = told if type(told) is datetime else _plain(told)
    elif isinstance(told, date):
        at = datetime(told.year, told.month, told.day, tzinfo=UTC)
    elif isinstance(told, Real):
        return None  # seconds or milliseconds, since when?
    else:
        try:
            at = datetime.fromisoformat(str(told).strip())
        except ValueError:
            return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(at, EARLIEST), LATEST)


def text(told: Any) -> str | None:
    """What names something; a number is its digits."""
    if type(told) is str:
        return told
    number = real(told) if isinstance(told, Real) and not isinstance(told, bool) else None
    if number is not None:
        return str(int(number)) if number == int(number) else str(number)
    return None if told != told else str(told)


def code(told: Any) -> str | None:
    """A decline code; a number was written with two digits at least, so that 5 is "05"."""
    if type(told) is str:
        return told
    read = text(told)
    return read.zfill(2) if read is not None and isinstance(told, Real) else read


def real(told: Any) -> float | None:
    """A finite number."""
    try:
        read = float(told)
    except (TypeError, ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def whole(told: Any) -> int | None:
    """A whole number, what is behind the point left out."""
    if type(told) is int:
        return told
    read = real(told)
    return None if read is None else int(read)


def days(told: Any) -> float | None:
    """A length of time in days, of a century at most."""
    read = real(told)
    return None if read is None else min(max(read, -36_500.0), 36_500.0)


def flag(told: Any) -> bool | None:
    """Yes or no, also as a word or a digit."""
    if type(told) is bool:
        return told
    if isinstance(told, str):
        return _FLAGS.get(told.strip().lower())
    read = real(told)
    return None if read is None else read != 0


def span(told: Any) -> timedelta | None:
    """A length of time."""
    return told if isinstance(told, timedelta) else None


def profile(told: Any) -> str | None:
    """The name of a limit profile; of an unknown one nothing is known."""
    return told if told in get_args(Profile) else None


def _plain(told: datetime) -> datetime:
    """A plain datetime from a subclass, whose sums would be of that class, too."""
    return datetime(
        told.year, told.month, told.day, told.hour, told.minute, told.second, told.microsecond, told.tzinfo,
        fold=told.fold,
    )  # fmt: skip
