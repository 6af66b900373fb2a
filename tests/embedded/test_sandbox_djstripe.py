"""dj-stripe mirrors every kind of object from the sandbox, and stores its events."""

import json
from typing import Any

import pytest
import stripe
from djstripe import models

from dunning_site.embedded.stripe_sandbox import SandboxServer

from .conftest import SECRET_KEY, Control

MIRRORED = (
    models.Product,
    models.Price,
    models.Customer,
    models.PaymentMethod,
    models.Subscription,
    models.Invoice,
    models.InvoiceItem,
    models.PaymentIntent,
    models.SetupIntent,
    models.Charge,
    models.Refund,
    models.Dispute,
    models.BalanceTransaction,
    models.WebhookEndpoint,
)


@pytest.fixture
def mirrored_api(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe, "api_base", sandbox.url)


@pytest.fixture
def busy_world(client: stripe.StripeClient, control: Control, failing: Any) -> Any:
    """One object of each kind at least."""
    customer, good, invoice = failing()
    client.v1.invoices.pay(invoice.id, {"payment_method": good.id})
    charges = client.v1.charges.list({"customer": customer.id}).data
    succeeded = [charge for charge in charges if charge.paid]
    client.v1.refunds.create({"charge": succeeded[0].id, "amount": 500})
    control("disputes", charge=succeeded[1].id)
    client.v1.setup_intents.create({"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True})
    client.v1.invoice_items.create({"customer": customer.id, "amount": 300, "currency": "eur", "description": "Extra"})
    client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]})
    return customer


@pytest.mark.django_db
@pytest.mark.usefixtures("mirrored_api", "busy_world")
@pytest.mark.parametrize("model", MIRRORED, ids=lambda model: model.__name__)
def test_djstripe_syncs_the_kind(model: Any) -> None:
    listed = list(model.api_list(api_key=SECRET_KEY))
    assert listed
    for data in listed:
        model.sync_from_stripe_data(data, api_key=SECRET_KEY)
    assert {obj.id for obj in model.objects.all()} >= {data.id for data in listed}


@pytest.mark.django_db
@pytest.mark.usefixtures("mirrored_api")
def test_djstripe_syncs_the_account() -> None:
    account = models.Account.objects.get(id=models.Account.get_or_retrieve_for_api_key(SECRET_KEY).id)
    assert account.id.startswith("acct_")
    assert account.charges_enabled


@pytest.mark.django_db
@pytest.mark.usefixtures("mirrored_api", "busy_world")
def test_djstripe_processes_every_event_it_is_sent(control: Control) -> None:
    for event in control("events")["data"]:
        stored = models.Event.process(event, api_key=SECRET_KEY)
        assert json.loads(json.dumps(stored.data)) == event["data"]
    invoices = models.Invoice.objects.all()
    assert {invoice.status for invoice in invoices} == {"paid"}
    assert all(invoice.customer is not None for invoice in invoices)


@pytest.mark.django_db
@pytest.mark.usefixtures("mirrored_api")
def test_the_account_syncs_by_command(busy_world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from django.core.management import call_command

    call_command("djstripe_sync_models", "Customer", "Invoice", "Charge", "Subscription", fail_on_error=True)
    assert models.Customer.objects.filter(id=busy_world.id).exists()
