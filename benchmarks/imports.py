"""Measures files in and out: invoices, their payments and an export of them, each read, written and sent once more.

The files are made for it: one customer per five invoices, a third of them settled, one row in a thousand broken; of
payments every second invoice has a decline and a charge that succeeds, newest first as the processor exports them.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from billing.imports.runs import import_confirm, import_start
from billing.imports.work import BATCH, imports_run
from billing.models import ImportRun, Invoice, Payment
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


def _payments(rows: int) -> Iterator[bytes]:
    yield b"id,Created (UTC),Amount,Amount Refunded,Currency,Status,Customer ID,Invoice ID,Decline Reason\n"
    for number in range(rows):
        of = number // 2
        failed = number % 2 == 1
        amount = "broken" if number % 1000 == 999 else f"{(of * 2) % 900 + 1}.50"
        at = NOW - timedelta(days=of % 300 // 2, hours=2 if failed else 0)
        yield (
            f"ch_{rows}_{number},{at:%Y-%m-%d %H:%M},{amount},0.00,eur,{'Failed' if failed else 'Paid'},"
            f"C-{of * 2 // 5},B-{rows}-{of * 2},{'insufficient_funds' if failed else ''}\n"
        ).encode()


def _peak_mb() -> float:
    """The most memory this process ever held, in MB: it only grows, so each step tells what it added."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _measure(rows: int, progress: Progress) -> dict[str, Any]:
    for model in (Interaction, Invoice, Payment, ImportRun, Customer):
        model.objects.all().delete()
    brand, _new = Brand.objects.get_or_create(code="acme", defaults={"name": "Acme", "from_email": "a@example.com"})
    found: dict[str, Any] = {"rows": rows, "rss_mb_before": _peak_mb()}

    def send(preset: str) -> ImportRun:
        chunks = _payments(rows) if preset == "stripe_payments" else _file(rows)
        return import_start(name="a.csv", chunks=chunks, preset=preset, brand_id=brand.pk,
                            as_of=NOW.date(), now=NOW, actor_id=None)  # fmt: skip

    def timed(name: str, run: ImportRun) -> None:
        progress(f"{rows} rows: {name}")
        wall, python = time.perf_counter(), time.process_time()
        queries = [0]

        def counted(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            queries[0] += 1
            return execute(sql, params, many, context)

        with connection.execute_wrapper(counted):
            while imports_run(now=NOW, run_id=run.pk, seconds=3600).total:
                pass
        run.refresh_from_db()
        if run.error:
            raise RuntimeError(run.error)
        found[name] = {
            "seconds": round(time.perf_counter() - wall, 1),
            "python_seconds": round(time.process_time() - python, 1),
            "rows_per_s": round(rows / (time.perf_counter() - wall)),
            "queries_per_batch": round(queries[0] / max(1, rows / BATCH), 1),
            "rss_mb_peak": _peak_mb(),
        }

    for preset, what in (("standard", "invoices"), ("stripe_payments", "payments")):
        if what == "payments":
            # Payments find their invoices by the processor's name for them.
            Invoice.objects.update(source="import:stripe")
            Customer.objects.update(source="import:stripe")
            Payment.objects.update(source="import:stripe")
        run = send(preset)
        timed(f"{what}_read", run)
        timed(f"{what}_write", import_confirm(run_id=run.pk, now=NOW))
        found[what] = {"new": run.new, "rejected": run.rejected, "customers": run.customers_new}
        again = send(preset)
        timed(f"{what}_read_again", again)
        found[what]["changed_by_the_same_file"] = again.new + again.changed
        if what == "invoices":
            found["export"] = _export(progress)
    return found


def _export(progress: Progress) -> dict[str, Any]:
    told = {}
    for form in ("csv", "xlsx"):
        progress(f"export as {form}")
        wall = time.perf_counter()
        rows = Invoice.objects.order_by("-id")
        size = sum(map(len, export_bytes(form, column_names(Invoice), list_rows(rows, []))))
        seconds = time.perf_counter() - wall
        told[form] = {
            "seconds": round(seconds, 1),
            "rows_per_s": round(rows.count() / seconds),
            "bytes": size,
            "rss_mb_peak": _peak_mb(),
        }
    return told
