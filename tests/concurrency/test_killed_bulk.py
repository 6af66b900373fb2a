"""A bulk job whose workers are killed with -9 again and again acts on each row once and ends by itself."""

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest
from django.contrib.auth.models import User

from customers.bulk.jobs import job_confirm, job_draft
from customers.bulk.run import jobs_run
from customers.clock import wall_clock
from customers.models import BulkItem, Customer, Interaction
from dunning_site.embedded.postgres import ROOT
from tests import factories as make
from tests.concurrency.workers import until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROWS = 3_000
KILLS = 4
#: A worker of its own process: small chunks, so that it dies between and within them.
WORKER = """
import django
django.setup()
from customers.bulk.run import jobs_run
from customers.clock import wall_clock
while jobs_run(now=wall_clock(), chunk=10).job_id is not None:
    pass
"""


def settled() -> int:
    return BulkItem.objects.exclude(outcome="waiting").count()


def test_killed_workers_lose_and_repeat_nothing() -> None:
    boss = User.objects.create_superuser("boss", "boss@example.com", "x")
    brand = make.brand()
    rows = Customer.objects.bulk_create(Customer(brand=brand, name=f"C {n}", external_id=f"c{n}") for n in range(ROWS))
    job = job_draft(
        act="customers.tag", targets=[row.pk for row in rows], selection="", actor_id=boss.pk, now=wall_clock()
    )
    job_confirm(job_id=job.pk, params={"tag": "vip"}, actor_id=boss.pk, now=wall_clock())
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "dunning_site.settings"}
    for _kill in range(KILLS):
        before = settled()
        # Two at once: one works on the job, the other finds it taken.
        pair = [subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, env=env) for _ in range(2)]
        moved = until(lambda before=before: settled() > before + 30, seconds=90)
        for worker in pair:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        assert moved
        assert settled() < ROWS, "the job was over before anybody could be killed"
    # A killed worker's connection may hold the job's row for a moment.
    assert until(lambda: jobs_run(now=wall_clock()).job_id is None and settled() == ROWS, seconds=60)
    job.refresh_from_db()
    assert (job.status, job.done, job.skipped, job.failed) == ("done", ROWS, 0, 0)
    lines = Counter(Interaction.objects.filter(kind="customer.tagged").values_list("customer_id", flat=True))
    assert lines == Counter(dict.fromkeys((row.pk for row in rows), 1))
    assert Customer.objects.filter(tags=["vip"]).count() == ROWS
