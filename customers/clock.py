"""The one place that reads the time: entry points call `now()` once and pass it down."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def wall_clock() -> datetime:
    """The machine's time, aware UTC."""
    return datetime.now(UTC)


_source: Callable[[], datetime] = wall_clock


def now() -> datetime:
    """Current time, aware UTC. A demo or simulation may have put a virtual clock in its place."""
    return _source()


@contextmanager
def running_on(source: Callable[[], datetime]) -> Iterator[None]:
    """Reads time from `source` in this process for as long as the block lasts.

    The demo plays sixty days in minutes this way: the loops are the real ones, only the clock differs.
    """
    global _source
    previous, _source = _source, source
    try:
        yield
    finally:
        _source = previous
