"""News of this app for the apps above it; sent after commit, so receivers only write a row or enqueue."""

from django.db import transaction
from django.dispatch import Signal

#: kwargs: customer_id (int). Staff set or lifted what forbids dunning and charging this customer.
exclusions_changed = Signal()


def announce_exclusions_changed(customer_id: int) -> None:
    """Sends `exclusions_changed` when the current transaction commits."""
    transaction.on_commit(lambda: exclusions_changed.send(sender=None, customer_id=customer_id))
