"""Workers die in the middle of their work, the broker forgets everything: nothing is done twice, nothing is lost."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.db.models import Q
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from billing.models import AttemptStatus, InboxEvent, Invoice, PaymentAttempt
from billing.tasks import charge_due
from campaigns.models import Case, Message, StepRun, Task
from campaigns.tasks import assess_customers, deliver_due, escalate_due, sweep_messages
from customers import clock
from customers.models import Customer
from dunning_site.demo import loops
from dunning_site.embedded.sandbox_control import SandboxControl
from dunning_site.embedded.smtp_sink import Sink
from dunning_site.embedded.stripe_sandbox.ledger import report
from dunning_site.embedded.stripe_sandbox.server import SandboxServer
from dunning_site.schedules import schedules_sync
from tests.concurrency.company import Company, charges_by_invoice, company
from tests.concurrency.workers import CARELESS, WEBHOOK_SECRET, Calls, Processes, free_port, mails_by_key, until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SEED = 20_261_122
KILLS = 10
#: Cases of each kind.
HALF = 1000
#: What the sandbox tells of a charge: enough for facts to arrive twice and crosswise, few enough for a short run.
EVENTS = ("charge.succeeded", "invoice.paid")
UNRESOLVED = [AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN]


@contextmanager
def stage(folder: Path, settings: Any) -> Iterator[tuple[Processes, SandboxServer, Sink, Calls]]:
    """The sandbox and the mail server in this process, everything else in processes of its own."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}/webhooks/stripe/"
    sink = Sink(folder / "mail").start()
    try:
        with SandboxServer(webhook_url=endpoint, webhook_secret=WEBHOOK_SECRET, tick=False) as sandbox:
            settings.STRIPE_API_BASE = sandbox.url
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
            SandboxControl(sandbox.url).subscribe(endpoint, EVENTS, settings.STRIPE_SECRET_KEY)
            calls = Calls(sandbox)
            with Processes(folder, sandbox=sandbox, sink=sink, web_port=port) as running:
                yield running, sandbox, sink, calls
    finally:
        sink.stop()


def tick_every(seconds: int) -> None:
    """Has every loop tick so often; the mirror, which nothing here reads, not at all."""
    schedules_sync()
    interval, _made = IntervalSchedule.objects.get_or_create(every=seconds, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.filter(interval__every__lt=3600).update(interval=interval)
    PeriodicTask.objects.filter(task="billing.tasks.mirror_inbox").update(enabled=False)


def acts() -> int:
    """Charges and mails the workers have begun so far."""
    return PaymentAttempt.objects.filter(origin="retry", claimed_at__isnull=False).count() + (
        Message.objects.filter(claimed_at__isnull=False).count()
    )


def due() -> dict[str, int]:
    """Work that waits for a worker now; claims of dead ones do not."""
    now = clock.now()
    waiting = {
        "events": InboxEvent.objects.filter(status="pending", retry_at__lte=now),
        "plans": Invoice.objects.filter(retry_state="needs_plan"),
        "charges": PaymentAttempt.objects.filter(status="planned", scheduled_for__lte=now),
        "customers": Customer.objects.filter(reassess_at__lte=now),
        "cases": Case.objects.filter(next_action_at__lte=now),
        "messages": Message.objects.filter(status="queued", send_at__lte=now),
    }
    return {name: count for name, rows in waiting.items() if (count := rows.count())}


def in_hand() -> tuple[set[str], int]:
    """Invoices being charged, and the number of messages being sent, or left so by the dead."""
    invoices = PaymentAttempt.objects.filter(status__in=UNRESOLVED).values_list("invoice__external_id", flat=True)
    return {str(pk) for pk in invoices}, Message.objects.filter(status="sending").count()


def kill_ten_times(running: Processes, rng: Random, total: int) -> tuple[list[str], set[str]]:
    """Kills a random worker at ten random points of the work, and has the broker forget all at another."""
    points = sorted(rng.sample(range(total // 40, total * 9 // 10), KILLS))
    flush_before = rng.randrange(1, KILLS)
    story: list[str] = []
    orphaned: set[str] = set()
    started = time.monotonic()
    for number, point in enumerate(points):
        if number == flush_before:
            story.append(f"broker emptied, {running.flush_broker()} wake-ups lost")
        victim = rng.randrange(2)
        ready = until(lambda v=victim, p=point: acts() >= p and running.works(v), seconds=120)
        assert ready, f"stuck after {acts()} acts: {due()} {running.logs()}"
        running.kill(victim)
        charging, sending = in_hand()
        orphaned |= charging
        story.append(
            f"{time.monotonic() - started:.1f}s: worker {victim} killed after {acts()} acts,"
            f" {len(charging)} charges and {sending} mails in hand"
        )
    return story, orphaned


def clean_up(sandbox: SandboxServer) -> None:
    """An hour later: what the dead left is swept and everything due is done, in this process."""
    later = clock.now() + timedelta(hours=1)
    with clock.running_on(lambda: later):
        for _turn in range(20):
            sweep_messages()
            loops.turn()
            assert until(lambda: not sandbox.world.outbox, seconds=20)
            unfinished = PaymentAttempt.objects.filter(status__in=UNRESOLVED).exists()
            if not due() and not unfinished:
                return
    raise AssertionError(f"an hour later there is still work: {due()}")


def repeated(calls: Calls) -> set[str]:
    """Invoices the processor was asked more than once to charge."""
    return {invoice for invoice, times in calls.by_invoice().items() if times > 1}


def sent_again(sink: Sink) -> set[str]:
    """Messages that reached the mail server more than once."""
    return {key for key, times in mails_by_key(sink).items() if times > 1}


def test_nothing_is_done_twice_and_nothing_is_lost(tmp_path, settings, capsys):
    began = time.monotonic()
    rng = Random(SEED)
    now = clock.now()
    tick_every(2)
    with stage(tmp_path, settings) as (running, sandbox, sink, calls):
        world = company(sandbox, now, soft=HALF, hard=HALF)
        running.start_web()
        running.start_worker()
        running.start_worker()
        running.start_beat()
        built = time.monotonic() - began
        story, orphaned = kill_ten_times(running, rng, total=2 * HALF)
        assert until(lambda: not due() and not sandbox.world.outbox, seconds=240, every=0.5), (due(), running.logs())
        ran = time.monotonic() - began - built
        charging, sending = in_hand()
        orphaned |= charging
        running.stop_workers()
        clean_up(sandbox)
        counts = Counter(Message.objects.values_list("status", flat=True))
        summary = "\n".join(
            [
                f"seed {SEED}: built in {built:.0f}s, {2 * HALF} cases in {ran:.0f}s",
                *story,
                f"left by the dead: {len(charging)} charges, {sending} mails",
                f"asked {len(calls.made)} times to charge {HALF} invoices",
                f"{len(sink.mails())} mails, messages {dict(counts)}",
                f"{InboxEvent.objects.count()} events; all in {time.monotonic() - began:.0f}s",
            ]
        )
        with capsys.disabled():
            sys.stdout.write(f"\n{summary}\n")
        assert orphaned or sending, "nobody died with work in hand: the run proves nothing\n" + summary
        money_is_right(world, sandbox, calls, orphaned)
        steps_are_right(world, sink)
        nothing_is_left()


def money_is_right(world: Company, sandbox: SandboxServer, calls: Calls, orphaned: set[str]) -> None:
    ledger = report(sandbox.world)
    assert ledger["double_charges"] == []
    assert ledger["charges_succeeded"] == len(world.soft)
    # Asked again only by the one who found out what became of a dead worker's charge, and under its key.
    assert set(calls.by_invoice()) == world.soft
    assert repeated(calls) <= orphaned
    assert set(calls.keys_by_invoice().values()) == {1}
    ours = Counter(
        PaymentAttempt.objects.filter(status__in=["succeeded", "declined"]).values_list(
            "invoice__external_id", flat=True
        )
    )
    assert ours == charges_by_invoice(sandbox)
    assert {ours[invoice] for invoice in world.soft} == {2}
    assert {ours[invoice] for invoice in world.hard} == {1}
    paid = Invoice.objects.filter(status="paid", balance=0)
    assert set(paid.values_list("external_id", flat=True)) == world.soft
    # Paid while the first look at its customer waited for the lock of the charge: then there is no case to open.
    early = paid.filter(case_invoices__isnull=True)
    assert not early.filter(recovered_by="").exists()
    recovered = Counter(Case.objects.filter(case_invoices__invoice__in=paid).values_list("state", flat=True))
    assert recovered == {"recovered": len(world.soft) - early.count()}
    assert recovered["recovered"] > len(world.soft) // 2


def steps_are_right(world: Company, sink: Sink) -> None:
    hard = Case.objects.filter(case_invoices__invoice__external_id__in=world.hard)
    assert Counter(hard.values_list("state", flat=True)) == {"open": len(world.hard)}
    # One row each, none missing: as many runs as cases, in as many cases.
    runs = StepRun.objects.filter(case__in=hard)
    assert runs.count() == runs.values("case").distinct().count() == len(world.hard)
    notices = Message.objects.filter(case__in=hard)
    assert notices.count() == notices.values("step_run").distinct().count() == len(world.hard)
    assert sent_again(sink) == set()
    arrived = set(mails_by_key(sink))
    sent = set(Message.objects.filter(sent_at__isnull=False).values_list("key", flat=True))
    perhaps = Message.objects.filter(status="ambiguous")
    assert sent <= arrived <= sent | set(perhaps.values_list("key", flat=True))
    assert not Message.objects.filter(sent_at__isnull=True).exclude(status="ambiguous").exists()
    for message in perhaps:
        assert Task.objects.filter(customer=message.customer_id, case=message.case_id, status="open").count() == 1


def nothing_is_left() -> None:
    assert due() == {}
    assert not PaymentAttempt.objects.filter(Q(status__in=UNRESOLVED) | Q(status="planned")).exists()
    assert not Message.objects.filter(status__in=["sending", "queued"]).exists()
    assert not InboxEvent.objects.exclude(status__in=["done", "ignored"]).exists()


def test_control_without_claims_the_same_run_does_things_twice(tmp_path, settings):
    now = clock.now()
    with stage(tmp_path, settings) as (running, sandbox, sink, calls):
        world = company(sandbox, now, soft=30, hard=30)
        assess_customers()
        escalate_due()
        running.start_worker(CARELESS)
        running.start_worker(CARELESS)
        for task in (charge_due, deliver_due):
            running.wake(task.name, task.name)
        assert until(lambda: not due(), seconds=120), (due(), running.logs())
        running.stop_workers()
        assert repeated(calls) <= world.soft
        assert len(repeated(calls)) >= 20, running.logs()
        assert len(sent_again(sink)) >= 20, running.logs()
