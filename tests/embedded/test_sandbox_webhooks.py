"""Events reach their endpoints signed, in order, once each, again when refused."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from dunning_site.embedded.stripe_sandbox import SandboxServer

from .conftest import Control

SECRET = "whsec_" + "s" * 32


class Receiver:
    """An endpoint that keeps what it was sent and answers what it was told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.connections = 0
        self.arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                receiver.connections += 1

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                event = stripe.Webhook.construct_event(raw, self.headers["Stripe-Signature"], SECRET)  # type: ignore[no-untyped-call]
                with receiver.arrived:
                    status = receiver.answers.pop(0) if receiver.answers else 200
                    if status == 200:
                        receiver.events.append(json.loads(str(event)))
                    receiver.arrived.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def sandbox(receiver: Receiver) -> Iterator[SandboxServer]:
    with SandboxServer(webhook_url=receiver.url, webhook_secret=SECRET, delivery="hold", retry_seconds=0.01) as server:
        yield server


def test_held_events_are_delivered_in_order_over_one_connection(
    control: Control, receiver: Receiver, subscribe: Any
) -> None:
    subscribe()
    assert receiver.events == []
    result = control("deliver", "POST")
    assert (result["failed"], result["pending"]) == (0, 0)
    assert result["delivered"] == len(receiver.events)
    assert receiver.types() == [event["type"] for event in control("events")["data"]]
    assert receiver.connections == 1
    assert control("deliver", "POST")["delivered"] == 0


def test_an_event_that_was_refused_comes_again(
    client: stripe.StripeClient, control: Control, receiver: Receiver
) -> None:
    client.v1.customers.create({"name": "A"})
    receiver.answers = [500, 503]
    for expected in (0, 0, 1):
        assert control("deliver", "POST")["delivered"] == expected
    assert receiver.types() == ["customer.created"]


def test_events_deliver_themselves_in_auto_mode(
    client: stripe.StripeClient, control: Control, receiver: Receiver
) -> None:
    control("settings", delivery="auto")
    receiver.answers = [500]
    client.v1.customers.create({"name": "A"})
    with receiver.arrived:
        assert receiver.arrived.wait_for(lambda: receiver.types() == ["customer.created"], timeout=10)


def test_an_endpoint_gets_what_it_asked_for(client: stripe.StripeClient, control: Control, receiver: Receiver) -> None:
    for endpoint in client.v1.webhook_endpoints.list().data:
        client.v1.webhook_endpoints.delete(endpoint.id)
    made = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.updated"]})
    assert made.secret is not None
    assert "secret" not in client.v1.webhook_endpoints.retrieve(made.id).to_dict()
    customer = client.v1.customers.create({"name": "A"})
    client.v1.customers.update(customer.id, {"name": "B"})
    client.v1.customers.update(customer.id, {"name": "B"})
    assert control("status")["pending_deliveries"] == 1
    event = control("events?type=customer.updated")["data"][0]
    assert event["data"]["previous_attributes"] == {"name": "A"}


def test_an_endpoint_out_of_reach_keeps_its_events(
    control: Control, receiver: Receiver, client: stripe.StripeClient
) -> None:
    client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/none", "enabled_events": ["*"]})
    client.v1.customers.create({"name": "A"})
    result = control("deliver", "POST")
    assert (result["delivered"], result["failed"], result["pending"]) == (1, 1, 1)
    assert "127.0.0.1:9" in result["last_error"]


def test_whoever_is_told_may_ask(client: stripe.StripeClient, control: Control, receiver: Receiver) -> None:
    """A receiver that calls the API before it answers must not lock the sandbox."""
    asked: list[str] = []
    original = stripe.Webhook.construct_event

    def ask(*args: Any) -> Any:
        event = original(*args)  # type: ignore[no-untyped-call]
        asked.append(client.v1.customers.retrieve(event.data.object.id).id)
        return event

    customer = client.v1.customers.create({"name": "A"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe.Webhook, "construct_event", ask)
        assert control("deliver", "POST")["delivered"] == 1
    assert asked == [customer.id]


def test_several_connections_may_deliver_at_once(control: Control, receiver: Receiver, subscribe: Any) -> None:
    for _ in range(3):
        subscribe()
        assert control("deliver", concurrency=4)["failed"] == 0
    assert sorted(receiver.types()) == sorted(event["type"] for event in control("events")["data"])
    assert receiver.connections <= 4
