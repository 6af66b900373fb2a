"""Owns the rows of an import as they wait to be written: put there in bulk, counted, and told of in words."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import connection
from django.db.models import Count

from billing.imports.items import Charge, Item, Receivable, RowError
from billing.imports.presets import PAYMENTS, Preset
from billing.imports.receivables import Planned
from billing.models import ImportRow, ImportRun

_COLUMNS = ("run_id", "number", "line", "outcome", "label", "item", "cells", "changes", "errors")
_COPY = f"COPY billing_importrow ({', '.join(_COLUMNS)}) FROM STDIN"
#: Customers a file would make: those of its new rows that are not there yet.
_NEW_CUSTOMERS = """
    SELECT count(DISTINCT r.item ->> 'customer') FROM billing_importrow r
     WHERE r.run_id = %s AND r.outcome = 'new' AND NOT EXISTS (
           SELECT 1 FROM customers_customer c WHERE c.source = %s AND c.external_id = r.item ->> 'customer')
"""


def staged(
    run_id: int, line: int, raw: Sequence[str], *, planned: Planned | None = None, errors: Sequence[RowError] = ()
) -> ImportRow:
    """A row to be staged: what it would do, or what is wrong with it. Of good ones the cells are not kept twice."""
    if planned is not None and planned.error is not None:
        errors = [planned.error]
    if errors or planned is None:
        label = planned.item.number if planned is not None else ""
        number = errors[0].row
        return ImportRow(
            run_id=run_id, number=number, line=line, outcome=ImportRow.Outcome.REJECTED, label=label[:255],
            cells=list(raw), errors=[error.as_json() for error in errors],
        )  # fmt: skip
    item = planned.item
    return ImportRow(
        run_id=run_id, number=item.row, line=line, outcome=planned.outcome, label=item.number[:255],
        item=item.as_json(), changes=planned.changes,
    )  # fmt: skip


def rows_stage(rows: Iterable[ImportRow]) -> None:
    """Puts rows into the caller's transaction in one statement."""
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            copy.write_row(
                (
                    row.run_id, row.number, row.line, str(row.outcome), row.label,
                    None if row.item is None else json.dumps(row.item),
                    json.dumps(row.cells), json.dumps(row.changes), json.dumps(row.errors),
                )
            )  # fmt: skip


def rows_settle(run_id: int, settled: Sequence[tuple[ImportRow, Planned]]) -> None:
    """Notes what became of rows that were written, where it is not what was foreseen."""
    other = [(row, one) for row, one in settled if row.outcome != one.outcome or row.changes != one.changes]
    if not other:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_importrow r SET outcome = n.outcome, changes = n.changes, errors = n.errors "
            "FROM unnest(%s::bigint[], %s::text[], %s::jsonb[], %s::jsonb[]) AS n(id, outcome, changes, errors) "
            "WHERE r.id = n.id AND r.run_id = %s",
            [
                [row.pk for row, _one in other],
                [str(one.outcome) for _row, one in other],
                [json.dumps(one.changes) for _row, one in other],
                [json.dumps([one.error.as_json()] if one.error else []) for _row, one in other],
                run_id,
            ],
        )


def item_of(preset: Preset, told: dict[str, Any]) -> Item:
    """The item of a staged row."""
    return Charge.from_json(told) if preset.kind == PAYMENTS else Receivable.from_json(told)


def counts(run: ImportRun) -> dict[str, int]:
    """How many rows come to what, for ImportRun's columns of the same names."""
    found = dict(ImportRow.objects.filter(run=run).order_by().values_list("outcome").annotate(n=Count("id")))
    return {outcome: found.get(outcome, 0) for outcome in ImportRow.Outcome.values}


def customers_to_come(run: ImportRun, preset: Preset) -> int:
    """How many customers the import would make."""
    with connection.cursor() as cursor:
        cursor.execute(_NEW_CUSTOMERS, [run.pk, preset.source])
        return int(cursor.fetchone()[0])


def known_numbers(run: ImportRun) -> dict[str, int]:
    """Number → row of everything staged so far: what a row further down must not repeat."""
    rows = ImportRow.objects.filter(run=run).exclude(label="").values_list("label", "number")
    return dict(rows.order_by("-number"))


def rejected_rows(run: ImportRun) -> Iterator[list[Any]]:
    """Rejected rows as they stood, filled up to the headings, with row, line, reasons and remedies behind; in constant
    memory."""
    width = len(run.headings)
    rows = ImportRow.objects.filter(run=run, outcome=ImportRow.Outcome.REJECTED).order_by("number")
    for row in rows.iterator(chunk_size=2000):
        cells = [*row.cells, *[""] * width][:width]
        reasons = "; ".join(f"{column}: {reason}".removeprefix(": ") for column, _value, reason, _remedy in row.errors)
        remedies = " ".join(dict.fromkeys(remedy for *_rest, remedy in row.errors if remedy))
        yield [*cells, row.number, row.line, reasons, remedies]
