"""Measures files in and out: reading and comparing, writing, the same file again, and an export of what came in.

The file is made for it: one customer per five invoices, a third of them settled, one in a thousand broken.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.imports.runs import import_confirm, import_start
from billing.imports.work import BATCH, imports_run
from billing.models import ImportRun, Invoice
from customers.export_lists import column_names, list_rows
from customers.exports import export_bytes
from customers.models import Brand, Customer, Interaction

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
Progress = Callable[[str], None]


def run(sizes: list[int], *, progress: Progress) -> dict[str, Any]:
    """One JSON-able object with the figures of every size (rows of the file)."""
    return {"bench": "imports", "batch": BATCH, "sizes": [_measure(size, progress) for size in sizes]}


def _file(rows: int) -> Iterator[bytes]:
    yield b"number,customer,customer_name,email,country,amount,currency,issued,due,settled,disputed\n"
    for number in range(rows):
        issued = NOW - timedelta(days=number % 300)
        due, settled = issued + timedelta(days=30), issued + timedelta(days=20)
        paid = f"{settled:%Y-%m-%d}" if number % 3 == 0 and settled <= NOW else ""
        amount = "broken" if number % 1000 == 999 else f"{number % 900 + 1}.50"
        yield (
            f"B-{rows}-{number},C-{number // 5},Customer {number // 5},c{number // 5}@example.com,IT,{amount},EUR,"
            f"{issued:%Y-%m-%d},{due:%Y-%m-%d},{paid},\n"
        ).encode()


def _measure(rows: int, progress: Progress) -> dict[str, Any]:
    for model in (Interaction, Invoice, ImportRun, Customer):
        model.objects.all().delete()
    brand, _new = Brand.objects.get_or_create(code="acme", defaults={"name": "Acme", "from_email": "a@example.com"})
    found: dict[str, Any] = {"rows": rows}

    def send() -> ImportRun:
        return import_start(name="a.csv", chunks=_file(rows), preset="standard", brand_id=brand.pk,
                            as_of=NOW.date(), now=NOW, actor_id=None)  # fmt: skip

    def timed(name: str, run: ImportRun) -> None:
        progress(f"{rows} rows: {name}")
        wall, python = time.perf_counter(), time.process_time()
        with CaptureQueriesContext(connection) as captured:
            while imports_run(now=NOW, run_id=run.pk, seconds=3600).total:
                pass
        run.refresh_from_db()
        found[name] = {
            "seconds": round(time.perf_counter() - wall, 1),
            "python_seconds": round(time.process_time() - python, 1),
            "rows_per_s": round(rows / (time.perf_counter() - wall)),
            "queries_per_batch": round(len(captured) / max(1, rows / BATCH), 1),
        }

    run = send()
    timed("read", run)
    timed("write", import_confirm(run_id=run.pk, now=NOW))
    run.refresh_from_db()
    found |= {"new": run.new, "rejected": run.rejected, "customers": run.customers_new}
    again = send()
    timed("read_again", again)
    found["changed_by_the_same_file"] = again.new + again.changed
    progress(f"{rows} rows: export")
    wall = time.perf_counter()
    tracemalloc.start()
    with CaptureQueriesContext(connection) as captured:
        pieces = export_bytes("csv", column_names(Invoice), list_rows(Invoice.objects.order_by("-id"), []))
        size = sum(map(len, pieces))
    found["export"] = {
        "seconds": round(time.perf_counter() - wall, 1),
        "bytes": size,
        "peak_mb": round(tracemalloc.get_traced_memory()[1] / 1024**2, 1),
        "queries": len(captured),
    }
    tracemalloc.stop()
    return found
