"""A sandbox with a short, eventful history, and ways to deliver its events."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from billing.ingest.inbox import store
from billing.ingest.process import process_inbox
from dunning_site.embedded.stripe_sandbox import SandboxServer
from tests import factories

START = 1_767_225_600  # 2026-01-01 00:00 UTC
DAY = 86_400
NOW = factories.NOW


class Stripe:
    """The sandbox with the client and control calls tests need."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.client = stripe.StripeClient(
            "sk_test_" + "a" * 24, base_addresses={"api": server.url}, max_network_retries=0
        ).v1
        self.control("clock", now=START)

    def control(self, path: str, **data: Any) -> Any:
        request = urllib.request.Request(f"{self.server.url}/_sandbox/{path}", data=json.dumps(data).encode())
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def advance(self, **delta: float) -> None:
        self.control("clock", advance=int(delta.get("days", 0) * DAY + delta.get("seconds", 0)))

    def events(self, *types: str) -> list[dict[str, Any]]:
        world = self.server.world
        found = [json.loads(world.events[i]["raw"]) for i in world.event_order]
        return [e for e in found if not types or e["type"] in types]

    def customer(self, token: str = "pm_card_visa", **fields: Any) -> tuple[Any, Any]:
        customer = self.client.customers.create(
            {"name": "Ann", "email": "ann@example.com", "address": {"country": "IT"}} | fields
        )
        card = self.card(customer, token)
        self.client.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})
        return customer, card

    def card(self, customer: Any, token: str = "pm_card_visa") -> Any:
        return self.client.payment_methods.attach(token, {"customer": customer.id})

    def subscribe(self, customer: Any, amount: int = 2000) -> Any:
        product = self.client.products.create({"name": "Pro"})
        price = self.client.prices.create(
            {
                "product": product.id,
                "unit_amount": amount,
                "currency": "eur",
                "recurring": {"interval": "month"},
                "nickname": "Pro monthly",
            }
        )
        return self.client.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})

    def failing(self, token: str = "pm_card_chargeDeclinedInsufficientFunds") -> tuple[Any, Any, Any]:
        """A customer whose second month was refused: customer, subscription, open invoice."""
        customer, _good = self.customer()
        subscription = self.subscribe(customer)
        bad = self.card(customer, token)
        self.client.subscriptions.update(subscription.id, {"default_payment_method": bad.id})
        self.advance(days=31, seconds=60)
        invoice = self.client.invoices.list({"customer": customer.id, "status": "open"}).data[0]
        return customer, subscription, invoice


@pytest.fixture
def sandbox(settings: Any) -> Iterator[Stripe]:
    with SandboxServer(delivery="hold", tick=False) as server:
        settings.STRIPE_API_BASE = server.url
        yield Stripe(server)


Deliver = Callable[..., None]


@pytest.fixture
def deliver(db: None) -> Deliver:
    """Stores events and works through the inbox until nothing is due."""
    factories.account()

    def run(events: list[dict[str, Any]], *, expect_failed: int = 0, batch: int = 100) -> None:
        for event in events:
            store(source="stripe", event=event, now=NOW)
        failed = 0
        while (result := process_inbox(now=NOW, limit=batch)).claimed:
            failed += result.failed
        assert failed == expect_failed

    return run
