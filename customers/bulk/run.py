"""Owns the loop that carries out bulk jobs, a chunk of rows in one transaction at a time.

What is done to the rows and what is noted of them commit together: a worker killed at any instruction leaves a chunk
either done and noted or untouched, and the next one goes on there. The job's row is locked meanwhile, so that no two
workers take the same chunk; another worker takes another job.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.translation import gettext as _

from customers.bulk.acts import BATCH, BulkAct, Did, Row, act_named
from customers.bulk.jobs import settle
from customers.errors import SollecitoError
from customers.models import BulkJob, BulkOutcome, BulkStatus

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunResult:
    """Rows settled by one chunk, by outcome; `job_id` is None where nothing waited."""

    job_id: int | None = None
    done: int = 0
    skipped: int = 0
    failed: int = 0


@transaction.atomic
def jobs_run(*, now: datetime, chunk: int = BATCH) -> RunResult:
    """Acts on the next rows of the oldest job nobody is at, at `now` (aware UTC). Safe with any number of workers."""
    job = (
        BulkJob.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(status__in=(BulkStatus.QUEUED, BulkStatus.RUNNING))
        .order_by("id")
        .first()
    )
    if job is None:
        return RunResult()
    waiting = job.items.filter(outcome=BulkOutcome.WAITING).order_by("target")[:chunk]
    rows = [Row(target, before) for target, before in waiting.values_list("target", "before")]
    counts: Counter[str] = Counter()
    if rows:
        outcomes = _outcomes(job, rows, now)
        settle(job, ((row.id, *outcomes[row.id]) for row in rows), now)
        counts.update(outcome for outcome, _reason, _before in outcomes.values())
    job.done += counts[BulkOutcome.DONE]
    job.skipped += counts[BulkOutcome.SKIPPED]
    job.failed += counts[BulkOutcome.FAILED]
    job.started_at = job.started_at or now
    job.status = BulkStatus.RUNNING
    if job.settled >= job.total:
        job.status, job.finished_at = BulkStatus.DONE, now
    job.save(update_fields=["status", "started_at", "finished_at", "done", "skipped", "failed"])
    return RunResult(job.pk, counts[BulkOutcome.DONE], counts[BulkOutcome.SKIPPED], counts[BulkOutcome.FAILED])


def _outcomes(job: BulkJob, rows: Sequence[Row], now: datetime) -> dict[int, tuple[str, str, Mapping[str, object]]]:
    """What becomes of each row, done in the caller's transaction."""
    try:
        act = act_named(job.act)
        _still_allowed(job, act)
    except SollecitoError as error:
        return {row.id: (BulkOutcome.SKIPPED, error.message, {}) for row in rows}
    try:
        with transaction.atomic():
            did = act.act(rows, job.params, job.asked_by_id, now)
    except Exception:
        # One row nobody foresaw must not keep the others, and the loop, from going on.
        logger.exception("bulk act %s: a chunk failed and is done row by row", job.pk)
        return {row.id: _alone(job, act, row, now) for row in rows}
    return {row.id: _noted(did.get(row.id)) for row in rows}


def _still_allowed(job: BulkJob, act: BulkAct) -> None:
    """Who asked may have left, or lost the right, since."""
    actor = get_user_model().objects.get(pk=job.asked_by_id)
    if not actor.is_active or not actor.has_perm(act.permission):
        raise SollecitoError(_("Who asked for it is not allowed to any more."), code="not_allowed")


def _alone(job: BulkJob, act: BulkAct, row: Row, now: datetime) -> tuple[str, str, Mapping[str, object]]:
    try:
        with transaction.atomic():
            return _noted(act.act([row], job.params, job.asked_by_id, now).get(row.id))
    except SollecitoError as error:
        return BulkOutcome.SKIPPED, error.message, {}
    except Exception as error:  # noted on the row; the chunk's own failure is in the log
        return BulkOutcome.FAILED, str(error) or type(error).__name__, {}


def _noted(did: Did | None) -> tuple[str, str, Mapping[str, object]]:
    if did is None:
        return BulkOutcome.SKIPPED, _("It is not there any more."), {}
    return (BulkOutcome.DONE if did.done else BulkOutcome.SKIPPED), did.reason, did.before
