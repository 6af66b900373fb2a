"""Measures the simulator: cases a second through sixty days of the shipped card ladder, retries and guard included.

Lives are made in memory, so that reading them is not measured: one failed invoice each, in six countries, with an
address or without, nobody pays. Every figure is of the same lives; the events are compared between processes.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.retries.types import RetryContext
from campaigns.guard.types import GuardSnapshot
from campaigns.guard.zones import zone_name
from campaigns.simulator import ladders
from campaigns.simulator.run import simulate
from campaigns.simulator.types import Bill, Life, RetryPlan

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
DAYS = 60
_COUNTRIES = ("IT", "DE", "FR", "US", "GB", "PL")
_CODES = ("insufficient_funds", "do_not_honor", "generic_decline", "lost_card")


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one size; seconds and rates by wall time."""

    cases: int
    days: int
    events: int
    messages: int
    retries: int
    seconds_one_process: float
    cases_per_s_one_process: int
    seconds_two_processes: float
    cases_per_s_two_processes: int
    #: Processor seconds of the run in one process: what a busy machine does not blur.
    cpu_seconds: float
    cases_per_cpu_s: int
    same_events: bool
    peak_rss_mb: int
    #: Load average of the last minute at the end: what else the machine was doing.
    load: float


def run(sizes: list[int], *, progress: Callable[[str], None]) -> dict[str, Any]:
    """One JSON-able object with the figures of every size."""
    return {
        "bench": "simulator",
        "ladder": "card_failed",
        "sizes": [asdict(measure(size, progress)) for size in sizes],
    }


def measure(cases: int, progress: Callable[[str], None]) -> Measured:
    """Plays the same lives in one process and in two."""
    candidate = ladders.find("card_failed")
    made = lives(cases)
    until = NOW + timedelta(days=DAYS)
    seconds: list[float] = []
    cpu: list[float] = []
    played = []
    for processes in (1, 2):
        progress(f"{cases:,} cases, {processes} process(es)")
        began, spent = time.perf_counter(), time.process_time()
        played.append(simulate(made, candidate.offers, start=NOW, until=until, processes=processes))
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - spent)
    figures = played[0].figures
    return Measured(
        cases=cases,
        days=DAYS,
        events=len(played[0].events),
        messages=figures.reminders,
        retries=figures.retries,
        seconds_one_process=round(seconds[0], 1),
        cases_per_s_one_process=round(cases / seconds[0]),
        seconds_two_processes=round(seconds[1], 1),
        cases_per_s_two_processes=round(cases / seconds[1]),
        cpu_seconds=round(cpu[0], 1),
        cases_per_cpu_s=round(cases / cpu[0]),
        same_events=played[0].events == played[1].events,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        load=round(os.getloadavg()[0], 1),
    )


def lives(count: int) -> list[Life]:
    """Lives whose charge failed within the last hour, each at a moment of its own."""
    return [_life(number) for number in range(1, count + 1)]


def _life(number: int) -> Life:
    country = _COUNTRIES[number % len(_COUNTRIES)]
    place = zone_name(timezone="", country=country, brand_timezone="UTC")
    began = NOW - timedelta(seconds=number % 3600)
    code = _CODES[number % len(_CODES)]
    context = RetryContext(
        invoice_id=str(number), failed_at=began, country=country, timezone=place, brand="visa", decline_code=code
    )
    verdict = context.first_decline.verdict
    return Life(
        key=number,
        label=f"Customer {number}",
        customer_id=number,
        brand_id=1,
        zone=place,
        country=country,
        guard=GuardSnapshot(
            customer_id=number,
            kind="business",
            country=country,
            zone=place,
            case_state="open",
            # One in twenty cannot be reached.
            addresses={"email": f"c{number}@example.com"} if number % 20 else {},
        ),
        bills=(
            Bill(
                id=number,
                number=f"B-{number}",
                currency="EUR",
                balance=4900,
                since=began,
                due_on=began.date(),
                trigger="payment_failed",
                decline_category=verdict.category.value,
                asks_for=verdict.asks_for.value,
                retry=RetryPlan(context),
            ),
        ),
    )
