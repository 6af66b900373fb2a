"""The same facts end in the same state, whatever their order and repetition."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from billing.ingest.state import differences
from billing.management.commands.replay_events import played, shuffled
from billing.models import Invoice
from tests import factories

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


def test_shuffled_and_repeated_ends_the_same(sandbox):
    factories.account()
    events = history(sandbox)
    in_order = played(events, source="stripe", batch=100)
    for seed, batch in ((0, 100), (1, 1), (2, 7)):
        found = differences(in_order, played(shuffled(events, seed=seed), source="stripe", batch=batch))
        assert not found, f"seed {seed}:\n" + "\n".join(found)


def test_the_dump_sees_a_difference(sandbox):
    factories.account()
    sandbox.failing()
    events = sandbox.events()
    without = [e for e in events if e["type"] != "payment_method.attached"]
    assert differences(played(events, source="stripe", batch=100), played(without, source="stripe", batch=100))


def test_the_command_compares_a_recorded_file(sandbox, tmp_path):
    factories.account()
    sandbox.failing()
    events = sandbox.events()
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(json.dumps(e) for e in events))
    out = StringIO()
    call_command("replay_events", path, json=True, stdout=out)
    told = json.loads(out.getvalue())
    assert (told["events"], told["differences"]) == (len(events), [])
    assert told["rows"]["invoices"] == 2
    assert not Invoice.objects.exists()
