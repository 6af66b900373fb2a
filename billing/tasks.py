"""Celery tasks of billing: each calls one loop until it finds nothing due. Thin; the rules are in the loops."""

from celery import shared_task
from django.conf import settings

from billing.ingest.mirror import mirror_inbox as mirror
from billing.ingest.process import process_inbox as process
from customers import clock

#: A task gives its worker back after this many batches; what is left is found by the next tick.
MAX_BATCHES = 50


@shared_task(name="billing.tasks.process_inbox")
def process_inbox() -> int:
    """Works through the inbox; returns how many events were done."""
    done = 0
    for _batch in range(MAX_BATCHES):
        result = process(now=clock.now(), limit=settings.BATCH_SIZE_INGEST)
        done += result.done
        if not result.claimed:
            break
    return done


@shared_task(name="billing.tasks.mirror_inbox")
def mirror_inbox() -> int:
    """Brings dj-stripe's mirror up to date; returns how many objects were written."""
    written = 0
    for _batch in range(MAX_BATCHES):
        result = mirror(now=clock.now(), limit=settings.BATCH_SIZE_INGEST)
        written += result.synced
        if not result.claimed:
            break
    return written
