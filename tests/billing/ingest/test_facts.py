"""What Stripe's events become."""

import pytest

from billing.ingest.state import canonical_state
from billing.models import Invoice, PaymentAttempt, Subscription
from customers.models import Customer, Interaction

pytestmark = pytest.mark.django_db


def test_a_failed_renewal_is_known_in_full(sandbox, deliver):
    customer, subscription, failed = sandbox.failing()
    deliver(sandbox.events())
    row = Customer.objects.get()
    assert (row.external_id, row.email, row.country, row.timezone) == (
        customer.id,
        "ann@example.com",
        "IT",
        "Europe/Rome",
    )
    assert [(c.email, c.is_primary) for c in row.contacts.all()] == [("ann@example.com", True)]
    assert row.reassess_at is not None
    invoice = Invoice.objects.get(external_id=failed.id)
    assert (invoice.status, invoice.amount_due, invoice.balance, invoice.currency) == ("open", 2000, 2000, "EUR")
    assert invoice.subscription.external_id == subscription.id
    assert (invoice.retry_state, invoice.last_decline_code) == ("needs_plan", "insufficient_funds")
    attempt = invoice.attempts.get()
    assert (attempt.status, attempt.number, attempt.network_decline_code) == ("declined", 1, "51")
    assert attempt.decline_category == "insufficient_funds"
    assert invoice.first_failed_at == attempt.at
    assert Subscription.objects.get().status == "past_due"
    paid = Invoice.objects.exclude(external_id=failed.id).get()
    assert (paid.status, paid.balance, paid.allocations.get().amount) == ("paid", 0, 2000)
    kinds = set(Interaction.objects.values_list("kind", flat=True))
    assert {"attempt.declined", "attempt.succeeded", "invoice.paid", "subscription.status_changed"} <= kinds
    assert "payment_method.attached" in kinds
    assert set(PaymentAttempt.objects.values_list("status", flat=True)) == {"succeeded", "declined"}


def test_told_twice_is_told_once(sandbox, deliver):
    sandbox.failing()
    events = sandbox.events()
    deliver(events)
    before = canonical_state()
    for n, event in enumerate(events):
        event["id"] += f"_again{n}"
    deliver(events)
    assert canonical_state() == before


def test_a_street_becomes_an_envelope_and_a_town_alone_does_not(sandbox, deliver):
    street = {"line1": "Via Garibaldi 3", "postal_code": "20121", "city": "Milano", "country": "IT"}
    customer, _card = sandbox.customer(address=street)
    deliver(sandbox.events())
    row = Customer.objects.get()
    assert row.postal_address == "Via Garibaldi 3\n20121 Milano\nITALY"
    sandbox.advance(seconds=60)
    sandbox.client.customers.update(customer.id, {"address": {"city": "Roma", "country": "IT", "line1": ""}})
    deliver(sandbox.events())
    row.refresh_from_db()
    assert row.postal_address.startswith("Via Garibaldi 3"), "what a letter reaches stays"
