"""News of this app for the apps above it; sent after commit, so receivers only write a row or enqueue."""

from collections.abc import Iterable

from django.db import transaction
from django.dispatch import Signal

#: kwargs: customer_ids (frozenset[int]). Something a case may depend on has changed.
facts_changed = Signal()


def announce_facts_changed(customer_ids: Iterable[int]) -> None:
    """Sends `facts_changed` when the current transaction commits. The durable wake-up is
    Customer.reassess_at, written in the same transaction; this only saves waiting for the next tick."""
    ids = frozenset(customer_ids)
    if ids:
        transaction.on_commit(lambda: facts_changed.send(sender=None, customer_ids=ids))
