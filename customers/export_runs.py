"""Owns exports: each is logged before its first byte, streamed at once or written by a worker into a file that is kept
for some days."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from customers import clock
from customers.datafiles import datafile_write
from customers.errors import SollecitoError
from customers.exports import export_bytes
from customers.models import DataFile, ExportRun
from customers.wake import wake

logger = logging.getLogger(__name__)

TASK = "customers.tasks.run_exports"
#: Up to so many rows are streamed to whoever waits; more are written by a worker.
DIRECT = 20_000
#: A worker that gave no sign of life for so long is dead, and the export is written anew.
STALE = timedelta(minutes=5)
#: Rows from one sign of life to the next.
BEAT = 1000
Status = ExportRun.Status


@dataclass(frozen=True, slots=True)
class OpenedList:
    """A list as it is taken out: its headings, and its rows once."""

    headings: Sequence[str]
    rows: Iterable[Sequence[Any]]
    #: How many rows there will be; 0 where nobody counted them.
    expected: int = 0


Opener = Callable[[ExportRun], OpenedList]


def export_start(
    *,
    model: str,
    query: str,
    form: str,
    actor_id: int,
    now: datetime,
    ids: Sequence[int] | None = None,
    columns: Sequence[str] = (),
    language: str = "",
    direct: bool = False,
) -> ExportRun:
    """Notes who takes which list out, by which filter. With `direct` the caller streams it (`export_stream`), else a
    worker writes it. `model` is `app_label.model_name`, `query` the list's query string; `language` that of
    headings and words, empty for fields by their names."""
    with transaction.atomic():
        run = ExportRun.objects.create(
            model=model,
            query=query,
            ids=None if ids is None else list(ids),
            columns=list(columns),
            language=language,
            format=form,
            status=Status.RUNNING if direct else Status.QUEUED,
            claimed_at=now if direct else None,
            asked_by_id=actor_id,
            created_at=now,
        )
        if not direct:
            wake(TASK)
    return run


def export_stream(run: ExportRun, opened: OpenedList) -> Iterator[bytes]:
    """The file's bytes as they are made; how many rows went out is noted at the end, also where it was broken off."""
    counted = _Counted(opened.rows)
    ended = ""
    try:
        yield from export_bytes(run.format, opened.headings, counted)
    except GeneratorExit:
        ended = _("Broken off by whoever took it.")
        raise
    except Exception as error:
        ended = error.message if isinstance(error, SollecitoError) else str(error)
        raise
    finally:
        _end(run, rows=counted.rows, error=ended, now=clock.now())


@dataclass(frozen=True, slots=True)
class ExportsResult:
    """Counts of one turn."""

    done: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """Exports written; 0 when none waits."""
        return self.done + self.failed


def exports_run(*, now: datetime, open_list: Opener) -> ExportsResult:
    """Writes the oldest export that waits, or that a dead worker left. Safe with any number of workers.

    Not in one transaction: how far it is shows, and a worker that lives is not taken for dead over a long list.
    """
    run = _claim(now)
    if run is None:
        return ExportsResult()
    try:
        with translation.override(run.language or settings.LANGUAGE_CODE):
            opened = open_list(run)
            file = _begin(run, opened, now)
            counted = _Counted(opened.rows, beat=lambda rows: _beat(run, rows))
            chunks = export_bytes(run.format, opened.headings, counted)
            datafile_write(name=file.name, chunks=chunks, now=now, file=file)
        _end(run, rows=counted.rows, error="", now=clock.now(), file=file)
    except _Lost:
        return ExportsResult()
    except Exception as error:  # whatever is wrong with it, whoever waits for it must be told
        if not isinstance(error, SollecitoError):
            logger.exception("export %s failed", run.pk)
        DataFile.objects.filter(pk=run.file_id or 0).delete()
        _end(run, rows=0, error=str(error) or type(error).__name__, now=now)
        return ExportsResult(failed=1)
    return ExportsResult(done=1)


class _Lost(Exception):
    """Another worker has taken the export over."""


def _begin(run: ExportRun, opened: OpenedList, now: datetime) -> DataFile:
    """An empty file in the export's name: whoever takes over from the dead finds what they left, and deletes it."""
    with transaction.atomic():
        DataFile.objects.filter(pk=run.file_id or 0).delete()
        file = DataFile.objects.create(name=f"{run.model.partition('.')[2]}-{run.pk}.{run.format}", created_at=now)
        run.file, run.rows, run.expected = file, 0, opened.expected
        if not _mine(run).update(file=file, rows=0, expected=opened.expected):
            raise _Lost
    return file


def _beat(run: ExportRun, rows: int) -> None:
    """A sign of life, and how far it is."""
    at = max(clock.now(), (run.claimed_at or clock.now()) + timedelta(microseconds=1))
    if not _mine(run).update(claimed_at=at, rows=rows):
        raise _Lost
    run.claimed_at = at


def exports_tidy(*, now: datetime) -> int:
    """Deletes files that were kept for EXPORT_FILES_KEPT_DAYS: what left the system need not lie about in it. The
    log stays. Returns how many."""
    before = now - timedelta(days=settings.EXPORT_FILES_KEPT_DAYS)
    old = ExportRun.objects.filter(file__isnull=False, created_at__lte=before).exclude(status=Status.RUNNING)
    files = list(old.values_list("file_id", flat=True)[:1000])
    DataFile.objects.filter(pk__in=files).delete()
    return len(files)


class _Counted:
    """Rows, and how many of them were taken; `beat` is told so every so many."""

    def __init__(self, rows: Iterable[Sequence[Any]], beat: Callable[[int], None] | None = None) -> None:
        self._rows = rows
        self._beat = beat
        self.rows = 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for row in self._rows:
            self.rows += 1
            if self._beat is not None and self.rows % BEAT == 0:
                self._beat(self.rows)
            yield row


def _claim(now: datetime) -> ExportRun | None:
    free = Q(status=Status.QUEUED) | Q(status=Status.RUNNING, claimed_at__lt=now - STALE)
    with transaction.atomic():
        run = (
            ExportRun.objects.filter(free)
            .select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("asked_by")
            .order_by("id")
            .first()
        )
        if run is not None:
            run.status, run.claimed_at = Status.RUNNING, now
            run.save(update_fields=["status", "claimed_at"])
    return run


def _mine(run: ExportRun) -> QuerySet[ExportRun]:
    """The export's row, while the claim is still our own."""
    return ExportRun.objects.filter(pk=run.pk, status=Status.RUNNING, claimed_at=run.claimed_at)


def _end(run: ExportRun, *, rows: int, error: str, now: datetime, file: DataFile | None = None) -> None:
    _mine(run).update(
        status=Status.FAILED if error else Status.DONE, rows=rows, error=error[:500], finished_at=now, file=file
    )
