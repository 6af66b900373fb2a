"""News of this app for the apps above it; sent after commit, so receivers only write a row or enqueue.

The durable record of each is an Interaction written in the same transaction; a receiver that must not miss one
reads those.
"""

from collections.abc import Mapping

from django.db import transaction
from django.dispatch import Signal

#: kwargs: case_id (int), customer_id (int), balances (dict of minor units by currency). Once per case.
case_exhausted = Signal()
#: kwargs: case_id (int), customer_id (int), state (str: recovered, lost or cancelled), reason (str).
case_closed = Signal()
#: kwargs: case_id (int), customer_id (int), suspend (bool): the service is to be suspended, or given back.
service_changed = Signal()


def announce_service(*, case_id: int, customer_id: int, suspend: bool) -> None:
    """Sends `service_changed` when the current transaction commits."""
    kwargs = {"case_id": case_id, "customer_id": customer_id, "suspend": suspend}
    transaction.on_commit(lambda: service_changed.send(sender=None, **kwargs))


def announce_exhausted(*, case_id: int, customer_id: int, balances: Mapping[str, int]) -> None:
    """Sends `case_exhausted` when the current transaction commits."""
    kwargs = {"case_id": case_id, "customer_id": customer_id, "balances": dict(balances)}
    transaction.on_commit(lambda: case_exhausted.send(sender=None, **kwargs))


def announce_closed(*, case_id: int, customer_id: int, state: str, reason: str) -> None:
    """Sends `case_closed` when the current transaction commits."""
    kwargs = {"case_id": case_id, "customer_id": customer_id, "state": state, "reason": reason}
    transaction.on_commit(lambda: case_closed.send(sender=None, **kwargs))
