"""A file whose workers are killed with -9 again and again is written once, row by row, and goes on where it was."""

import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from billing.imports import work
from billing.imports.runs import import_confirm, import_start
from billing.models import ImportRow, ImportRun, Invoice, Payment
from customers.clock import wall_clock
from customers.models import Customer, Interaction
from dunning_site.embedded.postgres import ROOT
from tests import factories as make
from tests.concurrency.workers import until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROWS = 1_500
KILLS = 2
#: A worker of its own process, which takes a dead one's import over at once and works in small batches.
WORKER = """
import sys
import django
django.setup()
from datetime import timedelta
from billing.imports import work
from customers.clock import wall_clock
work.BATCH = 20
work.STALE = timedelta(seconds=float(sys.argv[1]))
while work.imports_run(now=wall_clock(), run_id=int(sys.argv[2])).total:
    pass
"""
#: The control: a worker that takes every import for its own, as one would be that only looked at the status.
CARELESS = """
import sys
import time
import django
django.setup()
from contextlib import contextmanager
from pathlib import Path
from django.db import transaction
from billing.imports import parties, work
from billing.imports.runs import save
from billing.models import ImportRun
from customers.clock import wall_clock
here = Path(sys.argv[1])

def claim(now, run_id):
    (here / str(len(list(here.iterdir())))).touch()
    while len(list(here.iterdir())) < 2:
        time.sleep(0.005)
    run = ImportRun.objects.select_related("brand").get(pk=run_id)
    return run if run.status == "writing" else None

@contextmanager
def kept(self, **values):
    with transaction.atomic():
        yield values
        save(self.run, **values)

work._claim = claim
work._Turn._kept = kept
work.BATCH = 20
work.one_source_at_a_time = lambda source: None
work.imports_run(now=wall_clock(), run_id=int(sys.argv[2]))
"""


def content() -> bytes:
    rows = [
        f"N-{n},C-{n % 50},10.00,EUR,2026-01-10,2026-02-10,{'2026-02-01' if n % 3 == 0 else ''}" for n in range(ROWS)
    ]
    return "\n".join(["number,customer,amount,currency,issued,due,settled", *rows]).encode()


def sent() -> ImportRun:
    return import_start(name="a.csv", chunks=[content()], preset="standard", brand_id=make.brand().pk,
                        as_of=date(2026, 3, 10), now=wall_clock(), actor_id=None)  # fmt: skip


def started(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "dunning_site.settings"}
    return subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=ROOT, env=env, stderr=subprocess.PIPE)


def progress(run: ImportRun, name: str) -> int:
    return int(ImportRun.objects.values_list(name, flat=True).get(pk=run.pk))


def finished(run: ImportRun) -> ImportRun:
    def turn() -> bool:
        work.imports_run(now=wall_clock() + work.STALE, run_id=run.pk)
        run.refresh_from_db()
        return run.status not in ("checking", "writing")

    assert until(turn, seconds=180)
    return run


def test_killed_workers_lose_and_double_no_row() -> None:
    run = sent()
    for name in ("rows", "done"):
        for _kill in range(KILLS):
            before = progress(run, name)
            worker = started(WORKER, "0.3", str(run.pk))
            moved = until(lambda name=name, before=before: progress(run, name) > before + 60, seconds=90)
            worker.send_signal(signal.SIGKILL)
            worker.communicate()
            assert moved
            assert progress(run, name) >= before, "it began anew"
            assert progress(run, name) < ROWS, "it was over before anybody could be killed"
        finished(run)
        assert run.error == ""
        if name == "rows":
            assert (run.status, run.rows, run.new, run.rejected) == ("checked", ROWS, ROWS, 0)
            assert ImportRow.objects.filter(run=run).count() == ROWS
            import_confirm(run_id=run.pk, now=wall_clock())
    assert (run.status, run.done, run.new, run.customers_new) == ("done", ROWS, ROWS, 50)
    assert set(Counter(Invoice.objects.values_list("number", flat=True)).values()) == {1}
    assert Invoice.objects.count() == ROWS
    assert Payment.objects.count() == Invoice.objects.filter(status="paid").count() == (ROWS + 2) // 3
    assert Interaction.objects.filter(kind="invoice.imported").count() == ROWS
    assert Customer.objects.count() == 50


def _two_at_once(program: str, *arguments: str) -> str:
    """What two workers beside each other complained of."""
    pair = [started(program, *arguments) for _ in range(2)]
    return "".join(worker.communicate(timeout=300)[1].decode() for worker in pair)


def test_of_two_workers_one_has_an_import_and_the_other_finds_it_taken() -> None:
    run = sent()
    assert "Error" not in _two_at_once(WORKER, "60", str(run.pk))
    import_confirm(run_id=finished(run).pk, now=wall_clock())
    assert "Error" not in _two_at_once(WORKER, "60", str(run.pk))
    run = finished(run)
    assert (run.status, run.new, run.unchanged, run.error) == ("done", ROWS, 0, "")
    assert Invoice.objects.count() == ROWS


def test_without_the_claim_two_workers_stumble_over_each_other(tmp_path: Path) -> None:
    """The control: were this to pass with careless workers, the test above would prove nothing."""
    run = finished(sent())
    import_confirm(run_id=run.pk, now=wall_clock())
    _two_at_once(CARELESS, str(tmp_path), str(run.pk))
    run.refresh_from_db()
    clean = run.status == "done" and run.new == ROWS and run.unchanged == 0 and not run.error
    assert not clean
