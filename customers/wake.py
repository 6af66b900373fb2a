"""Wakes a loop when work has arrived, so that nobody waits for the next tick."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

_asleep = False


@contextmanager
def asleep() -> Iterator[None]:
    """Sends no wake-ups from this process: for one that runs the loops itself and has no workers (the demo)."""
    global _asleep
    _asleep = True
    try:
        yield
    finally:
        _asleep = False


def wake(task: str) -> None:
    """Sends the task of this name once the current transaction has committed.

    A wake-up is a convenience: the work is in the database and the loop's own tick finds it. So a broker that is
    out of reach is a warning, never an error of whoever wrote the work.
    """
    if not _asleep:
        transaction.on_commit(lambda: _send(task), robust=True)


def _send(task: str) -> None:
    try:
        # Without retries: the caller may be a web request, and the tick comes anyway.
        current_app.send_task(task, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        logger.warning("Could not wake %s, its next tick will do: %s", task, error)
