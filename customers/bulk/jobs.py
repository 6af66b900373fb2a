"""Owns bulk jobs as staff ask for them: counted and fixed, confirmed, approved, stopped, taken back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from customers.bulk.acts import BulkAct, Params, Row, act_known, act_named
from customers.errors import SollecitoError, check_transition
from customers.models import BulkJob, BulkOutcome, BulkStatus
from customers.models.bulk import TRANSITIONS
from customers.wake import wake

TASK = "customers.tasks.run_bulk_jobs"
#: Rows of one job; more are asked for by another.
MOST = 100_000
#: Rows looked at by one call of an act's check.
CHECKED = 5_000
#: A job that was counted and never confirmed is thrown away after this long.
DRAFTS_KEPT = timedelta(days=1)

_encode = DjangoJSONEncoder().encode
_COPY = "COPY customers_bulkitem (job_id, target, outcome, reason, before, at) FROM STDIN"


@transaction.atomic
def job_draft(
    *, act: str, targets: Collection[int], selection: str, actor_id: int, now: datetime, params: Params | None = None
) -> BulkJob:
    """Fixes the rows an act would be done to and says of each whether it fits, at `now` (aware UTC). Nothing is done.

    What is counted here is what is done once it is confirmed: rows that do not fit now are settled as left alone. The
    ids beyond MOST are not taken. Raises SollecitoError without any row, or for an unknown act.
    """
    ids = sorted(set(targets))[:MOST]
    return _draft(act_named(act), [Row(pk) for pk in ids], selection, actor_id, now, params or {})


def _draft(
    act: BulkAct,
    rows: Sequence[Row],
    selection: str,
    actor_id: int,
    now: datetime,
    params: Params,
    undoes: BulkJob | None = None,
) -> BulkJob:
    if not rows:
        raise SollecitoError(_("No row was chosen."), code="nothing_chosen")
    unfit: dict[int, str] = {}
    for start in range(0, len(rows), CHECKED):
        unfit |= act.check(rows[start : start + CHECKED], params, now)
    job = BulkJob.objects.create(
        act=act.slug,
        params=dict(params),
        selection=selection[:255],
        asked_by_id=actor_id,
        created_at=now,
        total=len(rows),
        skipped=len(unfit),
        undoes=undoes,
    )
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            why = unfit.get(row.id)
            outcome = BulkOutcome.SKIPPED if why else BulkOutcome.WAITING
            copy.write_row(
                (job.pk, row.id, str(outcome), (why or "")[:255], _encode(row.before), now if why else None)
            )
    return job


def job_confirm(*, job_id: int, params: Params, actor_id: int, now: datetime) -> BulkJob:
    """Has a counted job carried out with what its form said; a second call changes nothing.

    Where the act asks for a second person the job waits for them. Raises SollecitoError if somebody else counted it,
    it is stopped, or nothing is left to do.
    """
    with transaction.atomic():
        job = _locked(job_id)
        if job.asked_by_id != actor_id:
            raise SollecitoError(_("Whoever counted the rows confirms them."), code="not_yours")
        if job.status != BulkStatus.DRAFT:
            if job.confirmed_at is None:
                raise SollecitoError(_("It was stopped."), code="bulk_stopped")
            return job
        if job.total == job.settled:
            raise SollecitoError(_("There is nothing to do."), code="nothing_to_do")
        act = act_named(job.act)
        job.params, job.confirmed_at = dict(params), now
        second = act.second_person
        if second is not None and second.needed(job, now):
            _move(job, BulkStatus.TO_APPROVE, "params", "confirmed_at")
            second.ask(job, now)
        else:
            _move(job, BulkStatus.QUEUED, "params", "confirmed_at")
            wake(TASK)
    return job


@transaction.atomic
def job_release(*, job_id: int) -> BulkJob:
    """Lets a job begin that waited for a second person: they agreed. Raises SollecitoError if it does not wait."""
    job = _waiting(job_id)
    _move(job, BulkStatus.QUEUED)
    wake(TASK)
    return job


@transaction.atomic
def job_refuse(*, job_id: int, reason: str, now: datetime) -> BulkJob:
    """Ends a job that waited for a second person, nothing done: `reason` stands on its rows. Raises SollecitoError if
    it does not wait."""
    return _stop(_waiting(job_id), reason, now)


@transaction.atomic
def job_stop(*, job_id: int, now: datetime) -> BulkJob:
    """Ends a job where it is: what is done stays done, the rest undone.

    Raises SollecitoError if it has ended, or waits for a second person: they end it, or who asked takes it back."""
    job = _locked(job_id)
    if job.status in (BulkStatus.DONE, BulkStatus.STOPPED):
        raise SollecitoError(_("It has ended already."), code="bulk_ended")
    if job.status == BulkStatus.TO_APPROVE:
        raise SollecitoError(_("It waits for a second person; take the request back."), code="to_approve")
    return _stop(job, _("Stopped before its turn."), now)


def _stop(job: BulkJob, reason: str, now: datetime) -> BulkJob:
    job.items.filter(outcome=BulkOutcome.WAITING).update(outcome=BulkOutcome.SKIPPED, reason=reason[:255], at=now)
    job.skipped = job.total - job.done - job.failed
    job.finished_at = now
    _move(job, BulkStatus.STOPPED, "skipped", "finished_at")
    return job


def _waiting(job_id: int) -> BulkJob:
    job = _locked(job_id)
    if job.status != BulkStatus.TO_APPROVE:
        raise SollecitoError(_("It does not wait for approval."), code="not_waiting")
    return job


def undo_of(job: BulkJob) -> BulkAct | None:
    """The act that takes this job back; None where it has not ended, did nothing, or cannot be taken back."""
    if job.status not in (BulkStatus.DONE, BulkStatus.STOPPED) or not job.done:
        return None
    act = act_known(job.act)
    slug = act.undo if act is not None else ""
    taken = BulkJob.objects.filter(undoes=job).exclude(status=BulkStatus.DRAFT)
    return act_named(slug) if slug and not taken.exists() else None


@transaction.atomic
def job_undo_draft(*, job_id: int, actor_id: int, now: datetime) -> BulkJob:
    """Counts what taking a job back would change: the rows it did, those changed since left alone. To be confirmed as
    any other. Raises SollecitoError where it cannot be taken back."""
    job = _locked(job_id)
    act = undo_of(job)
    if act is None:
        raise SollecitoError(_("This cannot be taken back."), code="no_undo")
    BulkJob.objects.filter(undoes=job, status=BulkStatus.DRAFT).delete()
    done = job.items.filter(outcome=BulkOutcome.DONE).order_by("target").values_list("target", "before")
    rows = [Row(pk, before) for pk, before in done]
    return _draft(act, rows, _("What bulk act %(job)s did") % {"job": job}, actor_id, now, job.params, undoes=job)


def reasons_of(job: BulkJob) -> list[tuple[str, str, int]]:
    """Outcome, reason and count of what was not done, most frequent first. One query."""
    rows = job.items.filter(outcome__in=(BulkOutcome.SKIPPED, BulkOutcome.FAILED))
    counted = rows.values("outcome", "reason").annotate(n=Count("pk")).order_by("-n", "reason")
    return [(row["outcome"], row["reason"], row["n"]) for row in counted]


def drafts_tidy(*, now: datetime) -> int:
    """Throws away what was counted long ago and never confirmed; returns how many."""
    return (
        BulkJob.objects.filter(status=BulkStatus.DRAFT, created_at__lte=now - DRAFTS_KEPT)
        .delete()[1]
        .get("customers.BulkJob", 0)
    )


def _locked(job_id: int) -> BulkJob:
    job = BulkJob.objects.select_for_update(no_key=True).filter(pk=job_id).first()
    if job is None:
        raise SollecitoError(_("There is no such bulk act."), code="bulk_missing")
    return job


def _move(job: BulkJob, status: str, *fields: str) -> None:
    check_transition(TRANSITIONS, what="Bulk act", source=job.status, target=status)
    job.status = status
    job.save(update_fields=["status", *fields])


def settle(job: BulkJob, outcomes: Iterable[tuple[int, str, str, Mapping[str, Any]]], now: datetime) -> None:
    """Notes what became of rows (id, outcome, reason, before), in the transaction of the act. One statement."""
    told = list(outcomes)
    columns: list[list[Any]] = [
        [row[0] for row in told],
        [str(row[1]) for row in told],
        [row[2][:255] for row in told],
        [_encode(row[3]) for row in told],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, (now, job.pk, *columns))


_SETTLE = """
    UPDATE customers_bulkitem i SET outcome = u.outcome, reason = u.reason, before = u.before::jsonb, at = %s
      FROM (SELECT %s::bigint AS job_id) j,
           unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) AS u(target, outcome, reason, before)
     WHERE i.job_id = j.job_id AND i.target = u.target
"""
