"""Whatever network and processor do to a charge over HTTP: money moves once, every attempt comes to its end."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from billing.charging import charge_due
from billing.models import AttemptStatus, InvoiceStatus, PaymentAttempt, RetryState
from billing.resolving import resolve_unknown
from billing.retries.declines import TABLE, classify
from billing.retries.loop import plan_retries
from customers.models import Interaction
from dunning_site.embedded.postgres import ROOT
from dunning_site.embedded.stripe_sandbox.ledger import report
from tests.billing.test_charging import plan
from tests.factories import NOW
from tests.stripe_world import declining

FINAL = {AttemptStatus.SUCCEEDED, AttemptStatus.DECLINED, AttemptStatus.CANCELLED}
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
#: Name → faults the calls to charge meet, one after the other.
FAULTS = {
    "time-out before the charge": [("timeout_before", {})],
    "time-out after the charge": [("timeout_after", {})],
    "time-outs until the breaker opens": [("timeout_before", {"count": 6})],
    "time-out after the charge, then before the answer to the question": [
        ("timeout_after", {}),
        ("timeout_before", {}),
    ],
    "connection reset before the charge": [("reset", {})],
    "connection reset after the charge": [("reset_after", {})],
    "connection reset in the middle of the answer": [("reset_midway", {})],
    "500 before the charge": [("server_error", {})],
    "500 after the charge": [("server_error_after", {})],
    "500 after the charge, then too many requests": [("server_error_after", {}), ("rate_limit", {"count": 3})],
    "429 with Retry-After": [("rate_limit", {})],
    "429 again and again": [("rate_limit", {"count": 5})],
}


def rest(world, start=NOW):
    """Minutes and hours pass and every loop runs, until nothing is left to do; returns when that was."""
    now = start
    for step in [MINUTE] * 12 + [HOUR] * 12:
        now += step
        world.server.world.virtual_now = int(now.timestamp())
        resolve_unknown(now=now, limit=10)
        charge_due(now=now, limit=10)
    return now


def comes_to_rest(world, invoice, charged):
    """The ledger has the money once, and no attempt is left open."""
    assert world.charged(invoice) == charged
    assert report(world.server.world)["double_charges"] == []
    assert {row.status for row in invoice.attempts.all()} <= FINAL | {AttemptStatus.PLANNED}
    made = invoice.attempts.exclude(external_id=None)
    asked = [charge["id"] for charge in world.server.world.tables["charge"].all()]
    assert sorted(made.values_list("external_id", flat=True)) == sorted(asked)


@pytest.mark.django_db
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_a_charge_that_would_be_approved_is_made_once(stripe_world, faults):
    invoice = stripe_world.owing()
    plan(invoice)
    for kind, options in faults:
        stripe_world.fault(kind, **({"seconds": 0.8} | options))
    charge_due(now=NOW, limit=10)
    rest(stripe_world)
    invoice.refresh_from_db()
    comes_to_rest(stripe_world, invoice, [4900])
    assert (invoice.status, invoice.balance) == (InvoiceStatus.PAID, 0)
    assert invoice.attempts.filter(status=AttemptStatus.SUCCEEDED).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_a_charge_that_is_declined_is_asked_of_the_bank_once(stripe_world, faults):
    invoice = stripe_world.owing(declining("insufficient_funds"))
    plan(invoice)
    for kind, options in faults:
        stripe_world.fault(kind, **({"seconds": 0.8} | options))
    charge_due(now=NOW, limit=10)
    rest(stripe_world)
    invoice.refresh_from_db()
    comes_to_rest(stripe_world, invoice, [])
    assert stripe_world.tried() == 1
    assert (invoice.status, invoice.retry_state) == (InvoiceStatus.OPEN, RetryState.NEEDS_PLAN)
    assert invoice.last_decline_category == "insufficient_funds"


@pytest.mark.django_db
def test_409_while_the_first_call_is_still_being_worked_is_no_answer(stripe_world):
    invoice = stripe_world.owing()
    attempt = plan(invoice)
    stripe_world.fault("delay", seconds=60)
    assert charge_due(now=NOW, limit=10).unknown == 1
    # The key is in use: whoever asks now is told 409.
    assert resolve_unknown(now=NOW + MINUTE, limit=10).unknown == 1
    attempt.refresh_from_db()
    assert (attempt.status, stripe_world.charged(invoice)) == (AttemptStatus.UNKNOWN, [])
    stripe_world.server.faults.clear()
    rest(stripe_world, NOW + MINUTE)
    comes_to_rest(stripe_world, invoice, [4900])


STRIPE_CODES = sorted(code for family, code in TABLE if family == "stripe")


@pytest.mark.django_db
@pytest.mark.parametrize("code", [*STRIPE_CODES, "a_code_of_next_year"])
def test_402_with_each_decline_code_ends_in_a_decline_and_a_plan_or_a_stop(stripe_world, code):
    invoice = stripe_world.owing(declining(code))
    attempt = plan(invoice)
    assert charge_due(now=NOW, limit=10).declined == 1
    attempt.refresh_from_db()
    verdict = attempt.verdict
    assert (attempt.status, attempt.decline_code) == (AttemptStatus.DECLINED, code)
    assert attempt.decline_category == verdict.category
    plan_retries(now=NOW, limit=10)
    invoice.refresh_from_db()
    planned = list(invoice.attempts.filter(status=AttemptStatus.PLANNED))
    stopped = invoice.retry_state == RetryState.STOPPED
    assert (len(planned), stopped) == ((1, False) if verdict.may_retry else (0, True))
    assert not stopped or invoice.retry_reason
    assert all(row.explanation and row.scheduled_for >= NOW + verdict.retry.wait for row in planned)
    assert verdict.retry.restrictiveness >= classify(decline_code=code).retry.restrictiveness
    assert (stripe_world.charged(invoice), stripe_world.tried()) == ([], 1)
    assert Interaction.objects.filter(kind="attempt.declined").count() == 1


_CHARGE = """
import django; django.setup()
from datetime import datetime
from billing.charging import charge_due
print("ready", flush=True)
charge_due(now=datetime.fromisoformat("{now}"), limit=10)
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after"], ids=["before the charge", "after the charge"])
def test_killed_between_the_call_and_the_record(stripe_world, kind):
    """A real process, kill -9, while the processor's answer is on its way."""
    invoice = stripe_world.owing()
    attempt = plan(invoice)
    stripe_world.fault(kind, seconds=60)
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "dunning_site.settings",
        "STRIPE_API_BASE": stripe_world.server.url,
        "STRIPE_TIMEOUT": "60",
    }
    command = [sys.executable, "-c", _CHARGE.format(now=NOW.isoformat())]
    with subprocess.Popen(command, cwd=ROOT, env=env) as worker:
        deadline = time.monotonic() + 60
        while not any(fault["hit"] for fault in stripe_world.server.faults.show()) and time.monotonic() < deadline:
            assert worker.poll() is None
            time.sleep(0.05)
        if kind == "timeout_after":
            while not stripe_world.charged(invoice) and time.monotonic() < deadline:
                time.sleep(0.05)
        worker.send_signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL
    stripe_world.server.faults.clear()
    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.IN_FLIGHT
    assert charge_due(now=NOW, limit=10).total == 0
    rest(stripe_world)
    comes_to_rest(stripe_world, invoice, [4900])
    assert PaymentAttempt.objects.get().status == AttemptStatus.SUCCEEDED
