"""Wakes a loop when work has arrived, so that nobody waits for the next tick."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from celery import current_app
from django.db import transaction
from kombu import pools

logger = logging.getLogger(__name__)

#: Seconds one wake-up may take at each turn of its call: whoever wakes may be a web request.
PATIENCE = 0.4
#: After a failure nobody is woken for so many seconds: a dead broker costs one request a moment, not all of them.
PAUSE = 10.0

_paused_until = 0.0
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
    out of reach, or takes connections and is silent, is a warning: never an error or a wait of whoever wrote the work.
    """
    if not _asleep:
        transaction.on_commit(lambda: _send(task), robust=True)


def _send(task: str) -> None:
    global _paused_until
    if time.monotonic() < _paused_until:
        return
    try:
        with pools.producers[_broker(current_app.conf.broker_url)].acquire(block=True, timeout=PATIENCE) as producer:
            current_app.send_task(task, producer=producer, retry=False, ignore_result=True)
    except Exception as error:  # each transport has classes of its own; none may reach the caller
        _paused_until = time.monotonic() + PAUSE
        logger.warning("Could not wake %s, its next tick will do: %s", task, error)


@lru_cache(maxsize=4)
def _broker(url: str) -> Any:
    # A connection of its own: a worker waits for tasks without a limit, a wake-up must not. The names are those of
    # Redis and AMQP; transports pass over what they do not know.
    limits = dict.fromkeys(("socket_timeout", "socket_connect_timeout", "read_timeout", "write_timeout"), PATIENCE)
    return current_app.connection_for_write(
        url,
        connect_timeout=PATIENCE,
        transport_options={**current_app.conf.broker_transport_options, **limits},
    )
