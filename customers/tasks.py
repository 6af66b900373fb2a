"""Celery tasks of this app. Messages are wake-ups only."""

from celery import shared_task

from customers import clock
from customers.bulk.jobs import drafts_tidy
from customers.bulk.run import jobs_run

#: Chunks one task takes at most, so that it ends well within its time limit; the next tick goes on.
MOST_CHUNKS = 100


@shared_task(name="customers.tasks.run_bulk_jobs")
def run_bulk_jobs() -> None:
    """Carries out what staff confirmed, chunk by chunk."""
    for _chunk in range(MOST_CHUNKS):
        if jobs_run(now=clock.now()).job_id is None:
            break


@shared_task(name="customers.tasks.tidy_bulk_drafts")
def tidy_bulk_drafts() -> None:
    """Throws away what was counted and never confirmed."""
    drafts_tidy(now=clock.now())
