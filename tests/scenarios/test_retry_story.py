"""The retry loop through weeks of calendar: plan, charge, webhooks, plan again, until the payday comes."""

import json
from datetime import timedelta

import pytest

from billing import charge_path
from billing.charging import charge_due, resolve_unknown
from billing.ingest.inbox import store
from billing.ingest.process import process_inbox
from billing.models import (
    AttemptStatus,
    InboxEvent,
    Invoice,
    InvoicePaymentLink,
    InvoiceStatus,
    Payment,
    PaymentAttempt,
    RetryState,
)
from billing.retries.loop import plan_retries
from customers.models import Customer
from dunning_site.embedded.stripe_sandbox import clock, collection
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


class Story:
    """One invoice on a card that has money from the 15th on, and the loops of the product over it."""

    def __init__(self, stripe_world):
        self.world = stripe_world
        self.now = NOW
        self.seen = 0
        self.invoice = stripe_world.owing(
            {"metadata": {"issuer_profile": "nsf_until_day", "issuer_day": "15"}},
            first_failed_at=None,
            issued_at=NOW,
        )

    def webhooks(self):
        """Delivers what the sandbox has to tell since the last time."""
        world = self.world.server.world
        fresh = list(world.event_order)[self.seen :]
        self.seen += len(fresh)
        for event_id in fresh:
            store(source="stripe", event=json.loads(world.events[event_id]["raw"]), now=self.now)
        while process_inbox(now=self.now, limit=100).claimed:
            pass

    def loops(self):
        resolve_unknown(now=self.now, limit=10)
        plan_retries(now=self.now, limit=10)
        charge_due(now=self.now, limit=10)
        plan_retries(now=self.now, limit=10)

    def to(self, moment):
        self.now = moment
        with self.world.server.world.lock:
            clock.set_clock(self.world.server.world, int(moment.timestamp()))

    def fail_once(self):
        """Stripe's own first try, which nobody here asked for."""
        world = self.world.server.world
        with world.lock:
            collection.automatic(world, world.get("invoice", self.invoice.external_id))
        self.webhooks()

    def play(self, *, webhooks=True, days=20):
        for _day in range(days * 4):
            self.loops()
            if webhooks:
                self.webhooks()
            self.to(self.now + DAY / 4)
        self.webhooks()

    def state(self):
        """Everything that must not depend on who told what first."""
        self.invoice.refresh_from_db()
        attempts = PaymentAttempt.objects.order_by("number").values_list(
            "number", "status", "origin", "external_id", "amount", "at", "decline_code", "network_decline_code"
        )
        return {
            "invoice": Invoice.objects.values_list(
                "status", "balance", "paid_at", "recovered_by", "retry_state"
            ).get(),
            "attempts": list(attempts),
            "payments": list(Payment.objects.values_list("external_id", "amount", "allocated", "received_at")),
        }


def test_a_failed_charge_is_recovered_on_payday_without_anybody_being_written_to(stripe_world):
    story = Story(stripe_world)
    story.fail_once()
    story.invoice.refresh_from_db()
    assert (story.invoice.first_failed_at, story.invoice.retry_state) == (NOW, RetryState.NEEDS_PLAN)
    story.play()
    story.invoice.refresh_from_db()
    assert (story.invoice.status, story.invoice.recovered_by) == (InvoiceStatus.PAID, "silent_retry")
    assert story.invoice.paid_at.day >= 15
    assert stripe_world.charged(story.invoice) == [4900]
    assert story.invoice.retry_state == RetryState.NONE
    assert not story.invoice.attempts.filter(status=AttemptStatus.PLANNED).exists()


def charged(stripe_world, how):
    """The state after one retry that is declined and one that is approved, told in different orders."""
    story = Story(stripe_world)
    story.fail_once()
    record = charge_path.record_result

    def webhook_first(order, result, now):
        story.webhooks()
        return record(order, result, now)

    with pytest.MonkeyPatch.context() as patch:
        if how == "webhook first":
            patch.setattr(charge_path, "record_result", webhook_first)
        story.play(webhooks=how != "all webhooks at the end")
    return story.state()


@pytest.mark.parametrize("how", ["webhook first", "all webhooks at the end"])
def test_webhook_and_response_lead_to_the_same_state_in_any_order(stripe_world, how):
    told = charged(stripe_world, how)
    forget_everything(stripe_world)
    expected = charged(stripe_world, "response first")
    assert len(expected["attempts"]) >= 2
    assert told == expected


def forget_everything(stripe_world):
    """The same sandbox with the same seed from the start, and nothing of it here."""
    stripe_world.server.reset(seed=1)
    stripe_world.server.world.virtual_now = int(NOW.timestamp())
    for model in (InboxEvent, InvoicePaymentLink, Customer):
        model.objects.all().delete()
