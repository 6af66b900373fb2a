"""Celery tasks of this app: each runs its loop batch by batch until nothing is due."""

from celery import shared_task

from customers.clock import now
from integrations.webhooks.deliver import deliver_events as deliver
from integrations.webhooks.deliver import events_purge
from integrations.webhooks.gather import gather_events as gather

#: Batches one task takes at most; the next tick goes on.
MOST_BATCHES = 100


@shared_task(name="integrations.tasks.gather_events")
def gather_events() -> None:
    """Finds what endpoints are to be told."""
    for _batch in range(MOST_BATCHES):
        if not gather(now=now()).queued:
            break


@shared_task(name="integrations.tasks.deliver_events")
def deliver_events() -> None:
    """Tells what is due."""
    for _batch in range(MOST_BATCHES):
        if not deliver(now=now()).claimed:
            break


@shared_task(name="integrations.tasks.tidy_up")
def tidy_up() -> None:
    """Drops events told long ago."""
    for _batch in range(MOST_BATCHES):
        if not events_purge(now=now()):
            break
