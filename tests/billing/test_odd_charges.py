"""Charges of an odd kind over HTTP: each is handled, stands in the log, and says why in words."""

import json
from datetime import timedelta

import pytest
import requests

from billing.charging import charge_due
from billing.ingest.inbox import store
from billing.ingest.process import process_inbox
from billing.models import (
    AttemptStatus,
    InvoiceStatus,
    Payment,
    PaymentMethod,
    ProcessorAccount,
    RetryState,
    UnknownCode,
)
from billing.retries.loop import plan_retries
from customers.models import Interaction
from tests import factories
from tests.billing.test_charging import plan
from tests.factories import NOW
from tests.stripe_world import approving, declining

pytestmark = pytest.mark.django_db


def run():
    return charge_due(now=NOW, limit=10)


def told(kind):
    return Interaction.objects.get(kind=kind).summary


def events(world):
    """Everything the sandbox has to tell, through the inbox, twice."""
    sent = [json.loads(world.server.world.events[pk]["raw"]) for pk in world.server.world.event_order]
    for again in ("", "_again"):
        for event in sent:
            store(source="stripe", event=event | {"id": event["id"] + again}, now=NOW)
        while process_inbox(now=NOW, limit=100).claimed:
            pass


def test_an_unknown_decline_code_is_soft_with_caution_counted_and_explained(stripe_world):
    invoice = stripe_world.owing(declining("moon_phase_declined"))
    attempt = plan(invoice)
    run()
    plan_retries(now=NOW, limit=10)
    attempt.refresh_from_db()
    invoice.refresh_from_db()
    assert (attempt.decline_category, invoice.retry_state) == ("unknown", RetryState.PLANNED)
    row = UnknownCode.objects.get()
    assert (row.field, row.code, row.seen, row.example) == ("decline_code", "moon_phase_declined", 1, attempt)
    again = invoice.attempts.get(status=AttemptStatus.PLANNED)
    assert (again.scheduled_for - NOW).total_seconds() >= 24 * 3600
    assert "moon_phase_declined" in told("attempt.declined")
    events(stripe_world)
    row.refresh_from_db()
    assert row.seen == 1


@pytest.mark.parametrize("approved", [True, False])
def test_a_card_of_which_nothing_is_known_is_charged_by_the_strictest_limits(stripe_world, approved):
    invoice = stripe_world.owing(approving() if approved else declining("do_not_honor"))
    bare = {"brand": "", "funding": "", "country": "", "last4": "", "fingerprint": ""}
    PaymentMethod.objects.update(**bare, exp_month=None, exp_year=None, attached_at=None)
    plan(invoice)
    assert run().total == 1
    plan_retries(now=NOW, limit=10)
    invoice.refresh_from_db()
    if approved:
        assert invoice.status == InvoiceStatus.PAID
    else:
        again = invoice.attempts.get(status=AttemptStatus.PLANNED)
        assert again.explanation
        line = Interaction.objects.get(kind="attempt.planned")
        assert "Card: 1 of 10 used in 24 hours" in line.body or "Card: 1 of 15 used in 30 days" in line.body
    events(stripe_world)


@pytest.mark.parametrize(
    ("currency", "amount", "words"),
    [
        pytest.param("jpy", 4900, "¥4,900", id="yen: no decimals"),
        pytest.param("kwd", 12_340, "KWD12.340", id="dinar: three decimals"),
        pytest.param("bhd", 5_120, "BHD5.120", id="Bahraini dinar: three decimals"),
        pytest.param("isk", 490_000, "ISK4,900", id="króna: hundredths that are always 00"),
        pytest.param("clp", 1, "CLP1", id="peso: one"),
        pytest.param("usd", 50, "$0.50", id="dollar: cents"),
    ],
)
@pytest.mark.parametrize("approved", [True, False])
def test_amounts_are_minor_units_of_their_currency(stripe_world, currency, amount, words, approved):
    card = approving() if approved else declining("insufficient_funds")
    invoice = stripe_world.owing(card, amount=amount, currency=currency)
    attempt = plan(invoice)
    run()
    attempt.refresh_from_db()
    assert (attempt.amount, attempt.currency) == (amount, currency.upper())
    if approved:
        assert stripe_world.charged(invoice) == [amount]
        paid = Payment.objects.get()
        assert (paid.amount, paid.currency, paid.allocated) == (amount, currency.upper(), amount)
    kind = "attempt.succeeded" if approved else "attempt.declined"
    assert words in told(kind).replace("\xa0", "")
    plan_retries(now=NOW, limit=10)
    events(stripe_world)
    invoice.refresh_from_db()
    assert (invoice.balance == 0) is approved


def test_an_invoice_paid_at_the_processor_meanwhile_is_not_charged_and_learnt_though_its_events_are_lost(stripe_world):
    invoice = stripe_world.owing()
    attempt = plan(invoice)
    url = f"{stripe_world.server.url}/_sandbox/pay/{invoice.external_id}"
    requests.post(url, json={}, timeout=10).raise_for_status()
    before = stripe_world.charged(invoice)
    assert run().cancelled == 1
    attempt.refresh_from_db()
    invoice.refresh_from_db()
    assert "already paid" in attempt.cancel_reason
    assert (invoice.retry_state, "already paid" in invoice.retry_reason) == (RetryState.STOPPED, True)
    assert "already paid" in told("attempt.cancelled")
    while process_inbox(now=NOW, limit=10).claimed:
        pass
    invoice.refresh_from_db()
    assert (invoice.status, invoice.balance, invoice.retry_state) == (InvoiceStatus.PAID, 0, RetryState.NONE)
    assert stripe_world.charged(invoice) == before == [4900]
    assert Payment.objects.get().amount == 4900


@pytest.mark.parametrize("another", [True, False])
def test_a_method_detached_meanwhile_is_planned_around(stripe_world, another):
    """Its event has not come: the processor refuses, and its own word is asked for."""
    invoice = stripe_world.owing()
    ProcessorAccount.objects.update(other_methods="refused")
    gone = invoice.customer.payment_methods.get()
    factories.attempt(invoice, payment_method=gone, at=NOW - timedelta(days=2))
    attempt = plan(invoice)
    if another:
        stripe_world.add_card(invoice, **approving())
    requests.post(
        f"{stripe_world.server.url}/v1/payment_methods/{gone.external_id}/detach",
        headers={"Authorization": "Bearer sk_test_" + "a" * 24},
        timeout=10,
    ).raise_for_status()
    assert run().cancelled == 1
    gone.refresh_from_db()
    attempt.refresh_from_db()
    assert (gone.detached_at, "removed at the processor" in attempt.cancel_reason) == (NOW, True)
    assert "removed at the processor" in told("attempt.cancelled")
    plan_retries(now=NOW, limit=10)
    run()
    invoice.refresh_from_db()
    if another:
        assert (invoice.status, stripe_world.charged(invoice)) == (InvoiceStatus.PAID, [4900])
    else:
        assert (invoice.retry_state, stripe_world.charged(invoice)) == (RetryState.STOPPED, [])
        assert invoice.retry_reason == "No stored payment method can be charged."
    assert run().total == 0
