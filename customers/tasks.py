"""Celery tasks of this app. Messages are wake-ups only."""

from celery import shared_task

from customers import clock
from customers.bulk.jobs import drafts_tidy
from customers.bulk.run import jobs_run
from customers.export_runs import exports_run, exports_tidy

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


@shared_task(name="customers.tasks.run_exports")
def run_exports() -> None:
    """Writes the lists that were too long to wait for."""
    # Here, not above: the admin's registry is complete only after every app has started.
    from customers.admin.exports import open_list

    while exports_run(now=clock.now(), open_list=open_list).total:
        pass


@shared_task(name="customers.tasks.tidy_exports")
def tidy_exports() -> None:
    """Deletes exported files that were kept long enough."""
    exports_tidy(now=clock.now())
