"""Two claimers never act on the same case; the control shows that these tests would notice if they did."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from campaigns.engine import assess as assess_module
from campaigns.engine import assess_write
from campaigns.engine import run as run_module
from campaigns.engine.assess import assess_customers
from campaigns.engine.run import escalate_all, escalate_due
from campaigns.models import Case, Message, StepRun
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db(transaction=True)

CASES = 5


def beside(monkeypatch, module, name, act):
    """Runs `act` twice at once: the first stops just before it writes while the second runs to its end."""
    real = getattr(module, name)
    stopped, go = threading.Event(), threading.Event()
    first = threading.Lock()

    def stop_first(*args):
        if first.acquire(blocking=False):
            stopped.set()
            assert go.wait(30)
        return real(*args)

    monkeypatch.setattr(module, name, stop_first)

    def in_thread():
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(in_thread)
        assert stopped.wait(30)
        try:
            second = act()
        finally:
            go.set()
        return running.result(), second


def due_cases():
    version = factories.ladder()
    for _ in range(CASES):
        factories.case(factories.customer(), ladder_version=version)


def test_a_claimed_case_is_nobody_else_s(monkeypatch):
    due_cases()
    first, second = beside(monkeypatch, run_module, "persist", lambda: escalate_due(now=NOW))
    assert (first.done, second.claimed) == (CASES, 0)
    assert Interaction.objects.filter(kind="step.done").count() == CASES
    assert Message.objects.count() == StepRun.objects.count() == CASES


def test_control_without_the_claim_the_work_is_done_twice(monkeypatch):
    due_cases()
    unlocked = run_module._CLAIM.replace("FOR NO KEY UPDATE OF c SKIP LOCKED", "")
    assert unlocked != run_module._CLAIM
    monkeypatch.setattr(run_module, "_CLAIM", unlocked)
    first, second = beside(monkeypatch, run_module, "persist", lambda: escalate_due(now=NOW))
    assert first.done + second.done == 2 * CASES
    assert Interaction.objects.filter(kind="step.done").count() == 2 * CASES
    # The database itself still refuses the second message.
    assert Message.objects.count() == StepRun.objects.count() == CASES


def test_a_claimed_customer_is_nobody_else_s(monkeypatch):
    factories.ladder()
    for _ in range(CASES):
        factories.invoice(factories.customer(reassess_at=NOW))
    first, second = beside(monkeypatch, assess_write, "write", lambda: assess_customers(now=NOW))
    assert (first.opened, second.claimed) == (CASES, 0)
    assert Case.objects.count() == Interaction.objects.filter(kind="case.opened").count() == CASES


def test_control_without_the_claim_the_database_still_keeps_one_case(monkeypatch):
    factories.ladder()
    for _ in range(CASES):
        factories.invoice(factories.customer(reassess_at=NOW))
    unlocked = assess_module._CLAIM.replace("FOR NO KEY UPDATE OF cu SKIP LOCKED", "")
    assert unlocked != assess_module._CLAIM
    monkeypatch.setattr(assess_module, "_CLAIM", unlocked)
    first, second = beside(monkeypatch, assess_write, "write", lambda: assess_customers(now=NOW))
    assert first.claimed == second.claimed == CASES
    assert Case.objects.count() == Interaction.objects.filter(kind="case.opened").count() == CASES


def test_four_workers_share_a_queue():
    version = factories.ladder()
    for _ in range(60):
        factories.case(factories.customer(), ladder_version=version)
    start = threading.Barrier(4)

    def work(_number):
        try:
            start.wait(30)
            return sum(result.done for result in escalate_all(now=NOW, limit=7))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    # A batch skipped because another held it is that one's; what a worker passed by, the next tick finds.
    list(escalate_all(now=NOW))
    assert Message.objects.count() == 60
    assert Interaction.objects.filter(kind="step.done").count() == 60
    assert not Case.objects.filter(next_action_at__lte=NOW).exists()
