"""The same facts end in the same state, whatever their order and repetition."""

import contextlib
import random

import pytest
from django.db import transaction

from billing.ingest.inbox import store
from billing.ingest.process import process_inbox
from billing.ingest.state import canonical_state, differences
from billing.models import InboxEvent
from tests import factories
from tests.billing.ingest.conftest import NOW

pytestmark = pytest.mark.django_db


def history(sandbox):
    """Sixty days of everything: refusals, recovery, a refund, disputes, a card that is replaced, one that leaves."""
    api = sandbox.client
    first, _sub, invoice = sandbox.failing()
    sandbox.advance(days=2)
    new = sandbox.card(first, "pm_card_mastercard")
    api.customers.update(first.id, {"name": "Anna", "invoice_settings": {"default_payment_method": new.id}})
    api.invoices.pay(invoice.id, {"payment_method": new.id})
    second, sub2, invoice2 = sandbox.failing("pm_card_chargeDeclinedLostCard")
    api.invoices.void_invoice(invoice2.id)
    api.subscriptions.cancel(sub2.id)
    third, _sub3, invoice3 = sandbox.failing()
    api.invoices.mark_uncollectible(invoice3.id)
    sandbox.advance(days=1)
    api.invoices.pay(invoice3.id, {"paid_out_of_band": True})
    paid = [c for c in api.charges.list({"customer": third.id}).data if c.paid]
    api.refunds.create({"charge": paid[0].id, "amount": 500})
    dispute = sandbox.control("disputes", charge=paid[0].id)
    sandbox.advance(days=1)
    sandbox.control(f"disputes/{dispute['id']}", outcome="lost")
    fourth, card4 = sandbox.customer()
    sandbox.control(f"payment_methods/{card4.id}", exp_year=2031, exp_month=5)
    setup = api.setup_intents.create({"customer": fourth.id, "payment_method": "pm_card_visa", "confirm": True})
    api.payment_methods.detach(setup.payment_method)
    api.customers.delete(second.id)
    return sandbox.events()


def play(events, batch):
    factories.account()
    for event in events:
        store(source="stripe", event=event, now=NOW)
    while (result := process_inbox(now=NOW, limit=batch)).claimed:
        assert not result.failed, InboxEvent.objects.exclude(error="").values_list("type", "error")
    return canonical_state()


def test_shuffled_and_repeated_ends_the_same(sandbox):
    events = history(sandbox)
    in_order = played_and_undone(events, 100)
    for seed, batch in ((0, 100), (1, 1), (2, 7)):
        chance = random.Random(seed)
        stream = [e for e in events for _ in range(chance.randint(1, 3))]
        chance.shuffle(stream)
        found = differences(in_order, played_and_undone(stream, batch))
        assert not found, f"seed {seed}:\n" + "\n".join(found)


def played_and_undone(events, batch):
    with contextlib.suppress(InterruptedError), transaction.atomic():
        state = play(events, batch)
        raise InterruptedError
    return state


def test_the_dump_sees_a_difference(sandbox):
    sandbox.failing()
    events = sandbox.events()
    without = [e for e in events if e["type"] != "payment_method.attached"]
    assert differences(played_and_undone(events, 100), played_and_undone(without, 100))
