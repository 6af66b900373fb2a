"""Owns the worker's part of imports: a file is read and its rows written batch by batch.

Each batch and its progress are one transaction: whoever is killed loses the batch under way and nothing else, and
another worker goes on there. The last word is said when rows are written: what changed since they were read counts.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from billing.imports.charges import Charges
from billing.imports.files import sheet_rows
from billing.imports.items import RowError
from billing.imports.parties import Context, one_source_at_a_time
from billing.imports.presets import PAYMENTS, Preset
from billing.imports.reading import read_row
from billing.imports.receivables import Receivables
from billing.imports.runs import Status, save
from billing.imports.staging import (
    counts,
    customers_to_come,
    item_of,
    known_numbers,
    rows_settle,
    rows_stage,
    staged,
)
from billing.imports.tables import Row, rows_of, table_of
from billing.models import ImportRow, ImportRun
from customers.datafiles import datafile_opened
from customers.errors import SollecitoError, check_transition

logger = logging.getLogger(__name__)

BATCH = 1000
#: A worker that gave no sign of life for so long is dead, and another goes on.
STALE = timedelta(minutes=2)
#: Seconds one turn takes at most: a task ends well within its time limit, and the next one goes on.
TURN = 120.0


@dataclass(frozen=True, slots=True)
class ImportsResult:
    """Counts of one turn."""

    rows: int = 0
    claimed: int = 0

    @property
    def total(self) -> int:
        """Imports worked on; 0 when none waits."""
        return self.claimed


def imports_run(*, now: datetime, run_id: int | None = None, seconds: float = TURN) -> ImportsResult:
    """Works on the oldest import that waits, or that a dead worker left, for at most `seconds` of real time; `run_id`:
    on that one only. `now` is aware UTC. Safe with any number of workers."""
    run = _claim(now, run_id)
    if run is None:
        return ImportsResult()
    turn = _Turn(run, now, seconds)
    try:
        rows = turn.read() if run.status == Status.CHECKING else turn.write()
    except _Lost:
        return ImportsResult(claimed=1)
    except Exception as error:  # whatever is wrong with it, whoever waits for it must be told
        if not isinstance(error, SollecitoError):
            logger.exception("import %s failed", run.pk)
        words = error.message if isinstance(error, SollecitoError) else f"{type(error).__name__}: {error}"
        turn.give_up(words[:500])
        return ImportsResult(claimed=1)
    return ImportsResult(rows=rows, claimed=1)


class _Lost(Exception):
    """Another worker has taken the import over."""


class _Turn:
    """One worker's turn with an import; every write checks that the claim is still its own."""

    def __init__(self, run: ImportRun, now: datetime, seconds: float) -> None:
        self.run = run
        self.now = now
        self.began = time.monotonic()
        self.until = self.began + seconds
        self.preset = Preset.from_json(run.layout)
        context = Context(
            preset=self.preset,
            brand=run.brand,
            as_of=run.as_of,
            now=now,
            email_domain=run.email_domain,
            actor_id=run.asked_by_id,
        )
        self.ledger: Any = Charges(context) if self.preset.kind == PAYMENTS else Receivables(context)

    def read(self) -> int:
        """Reads the file's rows from where the last turn stopped, and what each would do."""
        assert self.run.file_id is not None
        seen = known_numbers(self.run) if self.run.rows else {}
        before = self.run.rows
        with datafile_opened(self.run.file_id) as file:
            table = table_of(file, [self.preset], encoding=self.preset.encoding, delimiter=self.preset.delimiter)
            declared = sheet_rows(file) if table.shape.kind == "xlsx" else None
            waiting = islice(rows_of(file, table, self.preset), before, None)
            while batch := list(islice(waiting, BATCH)):
                rows = list(self._read(batch, seen))
                told = self.run.rows + len(batch)
                # As many bytes a row as so far; a sheet is packed and says itself how long it is.
                guess = told * self.run.size // max(1, file.tell()) if declared is None else declared
                with self._kept(rows=told, expected=guess):
                    rows_stage(rows)
                if time.monotonic() > self.until:
                    return self._pause(before)
        with self._kept(status=Status.CHECKED, **counts(self.run),
                        customers_new=customers_to_come(self.run, self.preset)):  # fmt: skip
            pass
        return self.run.rows - before

    def _read(self, batch: list[Row], seen: dict[str, int]) -> Iterator[ImportRow]:
        good = []
        for row in batch:
            item = [row.problem] if row.problem else read_row(self.preset, row.number, row.cells)
            if isinstance(item, list):
                yield staged(self.run.pk, row.line, row.raw, errors=item)
            elif item.number in seen:
                reason = _("is in row {row} already").format(row=seen[item.number])
                column = self.preset.columns["number"]
                error = RowError(row.number, column, item.number, reason, _("Keep the row that is right."))
                yield staged(self.run.pk, row.line, row.raw, errors=[error])
            else:
                seen[item.number] = row.number
                good.append((row, item))
        for (row, _item), planned in zip(good, self.ledger.plan([item for _row, item in good]), strict=True):
            yield staged(self.run.pk, row.line, row.raw, planned=planned)

    def write(self) -> int:
        """Writes rows from where the last turn stopped."""
        written = 0
        waiting = ImportRow.objects.filter(run=self.run).exclude(outcome=ImportRow.Outcome.REJECTED)
        while batch := list(waiting.filter(number__gt=self.run.done).order_by("number")[:BATCH]):
            with self._kept(done=batch[-1].number) as values:
                one_source_at_a_time(self.preset.source)
                items = [item_of(self.preset, row.item or {}) for row in batch]
                planned, made = self.ledger.write(items)
                rows_settle(self.run.pk, list(zip(batch, planned, strict=True)))
                values["customers_new"] = self.run.customers_new + made
            written += len(batch)
            if time.monotonic() > self.until:
                return self._pause(0) or written
        with self._kept(status=Status.DONE, done=self.run.rows, finished_at=self._time(), **counts(self.run)):
            pass
        return written

    def give_up(self, words: str) -> None:
        """Ends it with what went wrong. What was written stays, and the same file sent again goes on from there."""
        try:
            with self._kept(status=Status.FAILED, error=words, finished_at=self._time()):
                pass
        except _Lost:
            logger.warning("import %s was taken over before it could be given up: %s", self.run.pk, words)

    def _pause(self, before: int) -> int:
        ImportRun.objects.filter(pk=self.run.pk, claimed_at=self.run.claimed_at).update(claimed_at=None)
        return self.run.rows - before

    def _time(self) -> datetime:
        return self.now + timedelta(seconds=time.monotonic() - self.began)

    @contextmanager
    def _kept(self, **values: Any) -> Iterator[dict[str, Any]]:
        """A transaction that ends with the import's new state; given up where the claim was lost."""
        run, at = self.run, self._time()
        with transaction.atomic():
            mine = ImportRun.objects.select_for_update().filter(pk=run.pk, claimed_at=run.claimed_at)
            if run.claimed_at is None or not mine.exists():
                raise _Lost
            yield values
            target = values.get("status", run.status)
            if target == run.status:
                # Never the same twice: the moment is what tells one claim from the next.
                values["claimed_at"] = max(at, run.claimed_at + timedelta(microseconds=1))
            else:
                check_transition(ImportRun.TRANSITIONS, what="import", source=run.status, target=target)
                values["claimed_at"] = None
            save(run, **values)


def _claim(now: datetime, run_id: int | None) -> ImportRun | None:
    waits = Q(status__in=[Status.CHECKING, Status.WRITING]) & (
        Q(claimed_at__isnull=True) | Q(claimed_at__lt=now - STALE)
    )
    with transaction.atomic():
        rows = ImportRun.objects.filter(waits, **({"pk": run_id} if run_id else {}))
        run = (
            rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("brand")
            .order_by("id")
            .first()
        )
        if run is not None:
            begun = run.rows if run.status == Status.CHECKING else run.done
            save(run, claimed_at=now, turn_at=now, turn_from=begun)
    return run
