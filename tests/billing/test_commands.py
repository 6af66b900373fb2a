"""Orders to the processor: ordered once, carried out, repeated after failures, withdrawn when the customer paid."""

from datetime import timedelta

import pytest

from billing import commands
from billing.commands import CommandRun, Order, commands_enqueue, run_commands
from billing.models import InvoiceStatus, ProcessorCommand
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def write_off(invoice):
    commands_enqueue(orders=[Order("mark_uncollectible", "k", invoice_id=invoice.pk)], now=NOW)


def cancel(subscription):
    commands_enqueue(orders=[Order("cancel_subscription", "k", subscription_id=subscription.pk)], now=NOW)


def run(now=NOW):
    return run_commands(now=now, limit=10)


def test_an_invoice_is_written_off_once(stripe_world):
    invoice = stripe_world.owing()
    write_off(invoice)
    write_off(invoice)
    assert ProcessorCommand.objects.count() == 1
    assert (run(), run()) == (CommandRun(done=1), CommandRun())
    assert stripe_world.server.world.get("invoice", invoice.external_id)["status"] == "uncollectible"
    assert Interaction.objects.get(kind="command.done").customer == invoice.customer


def test_a_subscription_ended_already_is_no_error(stripe_world):
    invoice = stripe_world.owing()
    gone = factories.subscription(invoice.customer)
    cancel(gone)
    assert run().done == 1


def test_who_paid_in_the_meantime_keeps_the_subscription(stripe_world):
    invoice = stripe_world.owing()
    subscription = factories.subscription(invoice.customer)
    cancel(subscription)
    invoice.subscription, invoice.status, invoice.paid_at = subscription, InvoiceStatus.PAID, NOW
    invoice.save()
    before = stripe_world.server.requests
    assert run(NOW + timedelta(minutes=1)).withdrawn == 1
    assert stripe_world.server.requests == before


@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "server_error_after", "timeout_after", "reset"])
def test_a_failed_order_is_repeated_under_its_key(stripe_world, fault):
    invoice = stripe_world.owing()
    write_off(invoice)
    stripe_world.fault(fault, path="/mark_uncollectible$", seconds=1)
    assert run() == CommandRun(retried=1)
    row = ProcessorCommand.objects.get()
    assert (row.status, row.due_at) == ("pending", NOW + timedelta(minutes=1))
    assert row.error
    assert run(NOW + timedelta(minutes=1)).done == 1


def test_what_fails_for_good_is_shown(stripe_world):
    invoice = factories.invoice(factories.customer(), external_id="in_unknown")
    factories.account()
    write_off(invoice)
    assert run() == CommandRun(failed=1)
    assert ProcessorCommand.objects.get().status == "failed"
    assert Interaction.objects.filter(kind="command.failed").exists()


def test_tries_end(stripe_world):
    write_off(stripe_world.owing())
    stripe_world.fault("rate_limit", path="/mark_uncollectible$", count=commands.MAX_TRIES)
    now, seen = NOW, []
    for _ in range(commands.MAX_TRIES):
        seen.append(run(now))
        now = ProcessorCommand.objects.get().due_at
    assert seen[:-1] == [CommandRun(retried=1)] * (commands.MAX_TRIES - 1)
    assert seen[-1] == CommandRun(failed=1)


@pytest.mark.parametrize(
    "order",
    [
        Order("cancel_subscription", "k"),
        Order("cancel_subscription", "k", invoice_id=1),
        Order("mark_uncollectible", "k", subscription_id=1),
        Order("credit_note", "k", invoice_id=1),
        Order("refund", "k", invoice_id=1),
    ],
)
def test_an_order_about_nothing_is_refused_and_with_it_its_neighbours(order):
    with pytest.raises(SollecitoError) as caught:
        commands_enqueue(orders=[Order("mark_uncollectible", "fine", invoice_id=1), order], now=NOW)
    assert caught.value.code == "bad_command"
    assert not ProcessorCommand.objects.exists()
