"""Measures the escalate loop: decide + persist per case, beside plain SQL writing the same rows and a naive loop.

Every case is due, has three failed invoices with a declined attempt each and a contact, and its step is an e-mail.
Rendering is measured apart (the delivering processes do it); nothing is sent.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings

from benchmarks.due_cases import NOW, execute, populate, reset
from benchmarks.yardsticks import naive_loop, sql_floor
from campaigns.engine.run import escalate_all, escalate_due
from campaigns.models import Message, StepRun, TemplateText
from campaigns.rendering.examples import example_context
from campaigns.rendering.render import CompiledTemplate, render

#: Mails rendered for the text's rate; enough for a steady figure.
TEXTS = 1000
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one size. Rates are cases a second of wall time, on one process and one connection."""

    cases: int
    engine_per_s: int
    sql_floor_per_s: int
    naive_per_s: int
    naive_sample: int
    of_floor: float
    over_naive: float
    queries_per_batch: int
    batch_size: int
    #: The same by processor time, ours and the database's together: what a busy machine does not blur.
    engine_per_cpu_s: int
    sql_floor_per_cpu_s: int
    naive_per_cpu_s: int
    of_floor_cpu: float
    #: Shares of the engine's processor time.
    engine_python_share: float
    #: Finished mails a second (subject, HTML, plain text), by the delivering process; and both parts in a row.
    text_per_s: int
    sum_per_s: int
    peak_rss_mb: int
    #: Load average of the last minute when the floor had run: what else the machine was doing.
    load: float
    #: The same loop in several processes at once, on the same queue; None unless asked for.
    workers: int
    workers_per_s: int | None


def measure(cases: int, *, batch_size: int, naive_sample: int, workers: int, progress: Progress) -> Measured:
    """Fills an empty database with `cases` due ones, and as many again for the floor, and runs all three."""
    progress(f"{cases:,} cases: filling")
    populate(cases, naive_sample)
    progress("naive loop")
    naive = _spent(lambda: naive_loop(naive_sample))
    # The checks of foreign keys keep the plan of their first use: one made for an empty table reads all of it for
    # every row, until autovacuum has come by. An installation that has run for a minute knows its tables.
    execute("VACUUM (ANALYZE)")
    connection.close()
    progress("engine")
    with CaptureQueriesContext(connection) as captured:
        first = escalate_due(now=NOW, limit=batch_size)
    assert first.done == min(batch_size, cases)
    counted: list[int] = []
    engine = _spent(lambda: counted.extend(result.done for result in escalate_all(now=NOW, limit=batch_size)))
    done = sum(counted)
    assert done == cases - first.done
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    progress("text")
    text = TEXTS / _spent(render_texts).wall
    progress("SQL floor")
    reset(cases)
    floor = _spent(sql_floor)
    load = round(os.getloadavg()[0], 1)
    assert StepRun.objects.count() == Message.objects.count() == cases
    together = None
    if workers > 1:
        progress(f"{workers} processes")
        reset(cases)
        together = _together(workers, batch_size)
        assert StepRun.objects.count() == Message.objects.count() == cases
    return Measured(
        cases=cases,
        engine_per_s=round(done / engine.wall),
        sql_floor_per_s=round(cases / floor.wall),
        naive_per_s=round(naive_sample / naive.wall),
        naive_sample=naive_sample,
        of_floor=round(done / engine.wall / (cases / floor.wall), 2),
        over_naive=round(done / engine.wall / (naive_sample / naive.wall), 1),
        engine_per_cpu_s=round(done / engine.cpu),
        sql_floor_per_cpu_s=round(cases / floor.cpu),
        naive_per_cpu_s=round(naive_sample / naive.cpu),
        of_floor_cpu=round(done / engine.cpu / (cases / floor.cpu), 2),
        engine_python_share=round(engine.python / engine.cpu, 2),
        queries_per_batch=len(captured),
        batch_size=batch_size,
        text_per_s=round(text),
        sum_per_s=round(1 / (engine.wall / done + 1 / text)),
        peak_rss_mb=rss,
        load=load,
        workers=workers,
        workers_per_s=None if together is None else round(cases / together),
    )


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of wall time, and of processor time of this process and its database backend."""

    wall: float
    python: float
    database: float

    @property
    def cpu(self) -> float:
        return self.python + self.database


def _spent(act: Callable[[], object]) -> Spent:
    python, database, wall = time.process_time(), _backend_cpu(), time.perf_counter()
    act()
    return Spent(time.perf_counter() - wall, time.process_time() - python, _backend_cpu() - database)


def _together(workers: int, batch_size: int) -> float:
    """Seconds of wall time until as many processes have emptied the queue between them."""
    connection.close()
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(workers + 1)
    processes = [context.Process(target=_worker, args=(ready, batch_size)) for _ in range(workers)]
    for process in processes:
        process.start()
    ready.wait(60)
    began = time.perf_counter()
    for process in processes:
        process.join()
    assert not any(process.exitcode for process in processes)
    return time.perf_counter() - began


def _worker(ready: Barrier, batch_size: int) -> None:
    connection.ensure_connection()
    ready.wait(60)
    for _result in escalate_all(now=NOW, limit=batch_size):
        pass


def _backend_cpu() -> float:
    """Processor seconds of this connection's backend so far (user and system; Linux)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(sizes: list[int], *, batch_size: int, naive_sample: int, workers: int, progress: Progress) -> dict[str, Any]:
    """One JSON-able object with the figures of every size."""
    # Nothing is sent, but without a mail server named anywhere every step would be blocked.
    with override_settings(EMAIL_HOST="mail.invalid"):
        measured = [
            measure(size, batch_size=batch_size, naive_sample=naive_sample, workers=workers, progress=progress)
            for size in sizes
        ]
    return {
        "bench": "engine",
        "step": "e-mail, three invoices a case",
        "sizes": [asdict(each) for each in measured],
    }


def render_texts() -> None:
    """Renders the step's mail TEXTS times, as the delivering processes do, from a context that is ready."""
    text = TemplateText.objects.get(
        version__template__code="card_failed_1", version__status="published", language="en", channel="email"
    )
    source = CompiledTemplate(text.subject, text.compiled_html, text.compiled_text)
    context = example_context("en")
    for number in range(TEXTS):
        context["invoices"][0]["balance"] = context["balances"][0]["amount"] = 10_000 + 37 * number
        render(source, context)
