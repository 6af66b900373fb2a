"""Celery tasks of billing: each calls one loop until it finds nothing due. Thin; the rules are in the loops."""

from celery import shared_task
from django.conf import settings

from billing import charging, commands
from billing.fees.collecting import fees_resolve
from billing.imports.retention import imports_tidy
from billing.imports.work import imports_run
from billing.ingest.mirror import mirror_inbox as mirror
from billing.ingest.process import process_inbox as process
from billing.plans.collecting import instalments_due
from billing.retries import loop
from billing.retries.champion.fitting import model_fit
from billing.retries.champion.review import models_review
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
        if result.claimed < settings.BATCH_SIZE_INGEST:
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


@shared_task(name="billing.tasks.plan_retries")
def plan_retries() -> int:
    """Plans what needs a plan; returns how many invoices were decided."""
    total = 0
    for _batch in range(MAX_BATCHES):
        done = loop.plan_retries(now=clock.now(), limit=settings.BATCH_SIZE_PLAN).total
        total += done
        if not done:
            break
    return total


@shared_task(name="billing.tasks.plan_instalments")
def plan_instalments() -> int:
    """Has the instalments that are due charged; returns how many were looked at."""
    total = 0
    for _batch in range(MAX_BATCHES):
        done = instalments_due(now=clock.now(), limit=settings.BATCH_SIZE_PLAN).total
        total += done
        if not done:
            break
    return total


@shared_task(name="billing.tasks.charge_due")
def charge_due() -> int:
    """Charges what is due; returns how many attempts moved."""
    total = 0
    for _batch in range(MAX_BATCHES):
        done = charging.charge_due(now=clock.now(), limit=settings.BATCH_SIZE_CHARGE).total
        total += done
        if not done:
            break
    return total


@shared_task(name="billing.tasks.resolve_unknown")
def resolve_unknown() -> int:
    """Asks about charges whose outcome is unknown; returns how many were asked about."""
    # One batch: what stays unknown is not due again before a minute has passed.
    now = clock.now()
    asked = charging.resolve_unknown(now=now, limit=settings.BATCH_SIZE_CHARGE).total
    return asked + fees_resolve(now=now, limit=settings.BATCH_SIZE_CHARGE).total


@shared_task(name="billing.tasks.review_models", soft_time_limit=3600, time_limit=3660)
def review_models() -> str:
    """Compares the models in use, then fits a new candidate; returns what the fit came to."""
    now = clock.now()
    models_review(now=now)
    return model_fit(now=now).outcome


@shared_task(name="billing.tasks.run_commands")
def run_commands() -> int:
    """Carries out due orders to the processor; returns how many were worked on."""
    total = 0
    for _batch in range(MAX_BATCHES):
        done = commands.run_commands(now=clock.now(), limit=settings.BATCH_SIZE_CHARGE).total
        total += done
        if not done:
            break
    return total


@shared_task(name="billing.tasks.run_imports")
def run_imports() -> int:
    """Reads and writes the files staff sent in; returns how many rows."""
    rows = 0
    # Each turn ends after two minutes: three of them end well within a task's time limit.
    for _turn in range(3):
        result = imports_run(now=clock.now())
        rows += result.rows
        if not result.total:
            break
    return rows


@shared_task(name="billing.tasks.tidy_imports")
def tidy_imports() -> int:
    """Deletes imported files that were kept long enough; returns how many."""
    deleted = 0
    for _batch in range(MAX_BATCHES):
        done = imports_tidy(now=clock.now())
        deleted += done
        if not done:
            break
    return deleted
