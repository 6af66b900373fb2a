"""A wake-up is a convenience: no broker, however it fails, may cost a request an error or a wait."""

import json
import socket
import time
from contextlib import ExitStack

import pytest
from celery import current_app

from billing.models import InboxEvent
from customers import wake as wake_module
from customers.wake import _send, wake
from dunning_site.embedded.stripe_sandbox.webhooks import signature
from tests import factories

#: Seconds; what the product promises its webhook senders, a time-out and a little work.
AT_ONCE = 1.0


def refused(stack: ExitStack) -> int:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        return int(nobody.getsockname()[1])


def silent(stack: ExitStack) -> int:
    """Takes connections and never says a word."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return int(listener.getsockname()[1])


def full(stack: ExitStack) -> int:
    """Has no room for another connection: packets are dropped, as behind a firewall."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
    return int(listener.getsockname()[1])


@pytest.fixture(params=[refused, silent, full])
def dead_broker(request, monkeypatch):
    with ExitStack() as stack:
        port = request.param(stack)
        monkeypatch.setattr(current_app.conf, "broker_url", f"redis://127.0.0.1:{port}/0")
        monkeypatch.setattr(wake_module, "_paused_until", 0.0)
        # What the first wake-up of a process imports is not what is measured here.
        _send("tests.nothing")
        monkeypatch.setattr(wake_module, "_paused_until", 0.0)
        yield


def test_a_dead_broker_is_a_warning(dead_broker, caplog, django_capture_on_commit_callbacks, db):
    began = time.monotonic()
    with django_capture_on_commit_callbacks(execute=True):
        wake("billing.tasks.process_inbox")
    assert time.monotonic() - began < AT_ONCE
    assert [r.levelname for r in caplog.records if r.name == "customers.wake"][-1:] == ["WARNING"]


def test_after_a_failure_nobody_waits_again(dead_broker, caplog):
    _send("billing.tasks.process_inbox")
    told = len(caplog.records)
    began = time.monotonic()
    for _ in range(100):
        _send("billing.tasks.process_inbox")
    assert time.monotonic() - began < 0.1
    assert len(caplog.records) == told


@pytest.mark.django_db(transaction=True)
def test_a_webhook_is_stored_and_answered_without_a_broker(dead_broker, client):
    factories.account()
    # The first request of a process imports every view.
    assert client.get("/webhooks/stripe/").status_code == 405
    event = {"id": "evt_1", "object": "event", "type": "invoice.paid", "created": 1_700_000_000}
    event["data"] = {"object": {"id": "in_1", "object": "invoice"}}
    raw = json.dumps(event)
    headers = {"Stripe-Signature": signature(raw.encode(), "whsec_current", int(time.time()))}
    began = time.monotonic()
    response = client.post("/webhooks/stripe/", raw, content_type="application/json", headers=headers)
    assert time.monotonic() - began < AT_ONCE
    assert response.status_code == 200
    assert InboxEvent.objects.get().status == "pending"
