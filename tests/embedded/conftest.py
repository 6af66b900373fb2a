"""A sandbox of their own for the tests of embedded services."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from dunning_site.embedded.stripe_sandbox import SandboxServer

SECRET_KEY = "sk_test_" + "a" * 24
PUBLISHABLE_KEY = "pk_test_" + "a" * 24
START = "2026-01-31T10:00:00+00:00"

Control = Callable[..., Any]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(delivery="hold") as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient(SECRET_KEY, base_addresses={"api": sandbox.url}, max_network_retries=0)


@pytest.fixture
def control(sandbox: SandboxServer) -> Control:
    """Make a control call: ``control("clock", advance=60)``; without arguments it is a GET."""

    def call(name: str, /, verb: str | None = None, **data: Any) -> Any:
        verb = verb or ("POST" if data else "GET")
        body = json.dumps(data).encode() if verb == "POST" else None
        request = urllib.request.Request(f"{sandbox.url}/_sandbox/{name}", data=body, method=verb)
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    call("clock", now=START)
    return call


@pytest.fixture
def price(client: stripe.StripeClient) -> stripe.Price:
    product = client.v1.products.create({"name": "Pro"})
    return client.v1.prices.create(
        {"product": product.id, "unit_amount": 2000, "currency": "eur", "recurring": {"interval": "month"}}
    )


@pytest.fixture
def subscribe(client: stripe.StripeClient, price: stripe.Price) -> Callable[..., tuple[Any, Any, Any]]:
    """A customer, the default card of that token and a subscription begun today."""

    def make(token: str = "pm_card_visa", **more: Any) -> tuple[Any, Any, Any]:
        customer = client.v1.customers.create({"email": "ann@example.com", "name": "Ann"})
        card = client.v1.payment_methods.attach(token, {"customer": customer.id})
        client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})
        subscription = client.v1.subscriptions.create(
            {"customer": customer.id, "items": [{"price": price.id}], **more}  # type: ignore[typeddict-item]
        )
        return customer, card, subscription

    return make


@pytest.fixture
def failing(client: stripe.StripeClient, control: Control, subscribe: Callable[..., Any]) -> Callable[..., Any]:
    """A subscription whose renewal was refused: the customer, the card and the open invoice."""

    def make(token: str = "pm_card_chargeDeclinedInsufficientFunds", days: int = 28) -> tuple[Any, Any, Any]:
        customer, good, subscription = subscribe()
        card = client.v1.payment_methods.attach(token, {"customer": customer.id})
        client.v1.subscriptions.update(subscription.id, {"default_payment_method": card.id})
        control("clock", advance=days * 86_400 + 60)
        invoice = client.v1.invoices.list({"customer": customer.id, "status": "open"}).data[0]
        return customer, good, invoice

    return make
