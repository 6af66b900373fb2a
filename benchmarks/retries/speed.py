"""Measures the retry planner: fitting a history, one plan, and planning many due invoices in the database.

Run: python manage.py bench retries --cases 10000 --json. The history is that of the "mixed" world, its customers
copied until there are enough charges; the due invoices are of the same customers, so that a plan reads what it would.
"""

from __future__ import annotations

import itertools
import os
import resource
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks.retries.worlds import FAMILIES, HISTORY_DAYS, START, World, build
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    Invoice,
    InvoiceStatus,
    PaymentAttempt,
    PaymentMethod,
    ProcessorAccount,
    RetryModel,
    RetryState,
)
from billing.retries.champion.loading import checksum
from billing.retries.learned.strategy import LearnedStrategy
from billing.retries.loop import plan_retries
from customers.models import Brand, Customer

TRAINED_UNTIL = START + timedelta(days=HISTORY_DAYS)
NOW = TRAINED_UNTIL + timedelta(days=28)
HISTORY_ROWS = 200_000
QUESTIONS = 200
BATCH = 100


def run(sizes: list[int], *, progress: Callable[[str], None]) -> dict[str, Any]:
    """One JSON-able object with the figures; seconds and milliseconds by wall time unless they say otherwise."""
    progress("making a world")
    world = build(next(family for family in FAMILIES if family.name == "mixed"), customers=700, seed=1)
    rows = _history(world)
    progress(f"fitting {len(rows):,} charges")
    strategy = LearnedStrategy()
    began, spent = time.perf_counter(), time.process_time()
    strategy.fit(rows)
    fit = {
        "rows": len(rows),
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - spent, 1),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    data = strategy.save()
    progress("single plans")
    return {
        "bench": "retries",
        "fit": fit | {"file_bytes": len(data)},
        "next_attempt_ms": _questions(strategy, world),
        "planning": [_planning(size, data, progress) for size in sizes],
        "load": round(os.getloadavg()[0], 1),
    }


def _history(world: World) -> list[dict[str, Any]]:
    """HISTORY_ROWS charges, oldest first; customers are "1", "2" … as their rows will be in an empty database."""
    numbers = _numbers(world)
    rows: list[dict[str, Any]] = []
    copies = itertools.count()
    while len(rows) < HISTORY_ROWS:
        copy = next(copies)
        for row in world.history:
            number = numbers[row["customer_id"]] + copy * len(numbers)
            rows.append(row | {"customer_id": str(number), "invoice_id": f"{row['invoice_id']}/{copy}"})
    return sorted(rows[:HISTORY_ROWS], key=lambda row: row["at"])


def _numbers(world: World) -> dict[str, int]:
    """The customers of a world's history, numbered from 1."""
    return {name: n for n, name in enumerate(dict.fromkeys(row["customer_id"] for row in world.history), 1)}


def _questions(strategy: LearnedStrategy, world: World) -> dict[str, float]:
    """First retries (the customer's history is read) and the ones after them, medians by processor time."""
    first: list[float] = []
    later: list[float] = []
    numbers = _numbers(world)
    for failure in world.failures[:QUESTIONS]:
        number = numbers.get(failure["customer_id"], 0)
        context = failure | {"customer_id": str(number), "window_days": 28, "max_attempts": 8}
        at = failure["failed_at"]
        attempts = [{"at": at, "approved": False, "decline_code": failure["decline_code"]}]
        for number in range(4):
            began = time.process_time()
            planned = strategy.next_attempt(context, attempts, attempts[-1]["at"] + timedelta(minutes=1))
            (later if number else first).append((time.process_time() - began) * 1000)
            if planned is None:
                break
            attempts.append({"at": planned, "approved": False, "decline_code": failure["decline_code"]})
    return {
        "first_median": round(statistics.median(first), 2),
        "later_median": round(statistics.median(later), 2),
        "all_median": round(statistics.median(first + later), 2),
    }


def _planning(cases: int, data: bytes, progress: Callable[[str], None]) -> dict[str, Any]:
    """All due invoices through the loop, in batches, by the rules and by a fitted champion beside them."""
    found: dict[str, Any] = {"invoices": cases, "batch_size": BATCH}
    for name in ("rules", "champion"):
        progress(f"{cases:,} due invoices: filling")
        _fill(cases, data if name == "champion" else None)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")
        progress(f"{cases:,} due invoices: {name}")
        queries: list[int] = []
        began, spent = time.perf_counter(), time.process_time()
        while True:
            with CaptureQueriesContext(connection) as captured:
                if not plan_retries(now=NOW, limit=BATCH).total:
                    break
            queries.append(len(captured))
        seconds = time.perf_counter() - began
        cpu = time.process_time() - spent
        planned = PaymentAttempt.objects.filter(status=AttemptStatus.PLANNED).count()
        found[name] = {
            "seconds": round(seconds, 1),
            "invoices_per_s": round(cases / seconds),
            "cpu_seconds": round(cpu, 1),
            "invoices_per_cpu_s": round(cases / cpu),
            "planned": planned,
            "queries_per_batch": [min(queries), max(queries)],
        }
    return found


def _fill(cases: int, data: bytes | None) -> None:
    """An empty database with `cases` invoices that need a plan, one card and customer each."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE customers_customer, billing_retrymodel RESTART IDENTITY CASCADE")
    brand, _made = Brand.objects.get_or_create(
        code="bench", defaults={"name": "Bench", "from_email": "b@example.com", "timezone": "UTC"}
    )
    ProcessorAccount.objects.get_or_create(code="stripe", defaults={"name": "Stripe", "brand": brand})
    if data is not None:
        RetryModel.objects.create(
            strategy="learned",
            state=RetryModel.State.CHAMPION,
            fitted_at=NOW,
            trained_from=START,
            trained_until=TRAINED_UNTIL,
            rows=HISTORY_ROWS,
            customers=1,
            data=data,
            checksum=checksum(data),
            figures={},
        )
    countries = ("IT", "DE", "FR", "PL", "GB", "ES")
    customers = Customer.objects.bulk_create(
        Customer(
            source="stripe",
            external_id=f"cus_{n}",
            brand=brand,
            name=f"Customer {n}",
            email=f"c{n}@example.com",
            country=countries[n % 6],
            language="en",
        )
        for n in range(cases)
    )
    methods = PaymentMethod.objects.bulk_create(
        PaymentMethod(
            source="stripe",
            external_id=f"pm_{c.pk}",
            customer=c,
            brand="visa",
            funding="debit",
            last4="4242",
            exp_month=12,
            exp_year=2030,
            fingerprint=f"fp{c.pk}",
            is_default=True,
            attached_at=NOW - timedelta(days=90),
        )
        for c in customers
    )
    invoices = Invoice.objects.bulk_create(
        Invoice(
            source="stripe",
            external_id=f"in_{c.pk}",
            customer=c,
            brand=brand,
            number=f"B-{c.pk}",
            currency="EUR",
            amount_due=4900,
            status=InvoiceStatus.OPEN,
            issued_at=NOW - timedelta(hours=2),
            due_at=NOW - timedelta(hours=1),
            first_failed_at=NOW - timedelta(hours=1),
            retry_state=RetryState.NEEDS_PLAN,
        )
        for c in customers
    )
    PaymentAttempt.objects.bulk_create(
        PaymentAttempt(
            invoice=invoice,
            payment_method=method,
            number=1,
            status=AttemptStatus.DECLINED,
            origin=AttemptOrigin.PROCESSOR,
            amount=4900,
            currency="EUR",
            at=NOW - timedelta(hours=1),
            decline_code="insufficient_funds",
            decline_category="insufficient_funds",
        )
        for invoice, method in zip(invoices, methods, strict=True)
    )
