"""Endpoints: what they are told, that they are told until they hear, and where we never call."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from campaigns.delivery import DeliverResult, deliver_due
from campaigns.models import Task
from customers.errors import SollecitoError
from customers.log import Entry, record
from dunning_site.embedded.smtp_sink import Sink
from integrations.models import Endpoint, EventDelivery
from integrations.webhooks import addresses
from integrations.webhooks.addresses import AddressRefused, check_url, resolve
from integrations.webhooks.deliver import (
    BACKOFF,
    LEASE,
    MAX_TRIES,
    DeliverEventsResult,
    deliver_events,
    event_again,
    events_purge,
)
from integrations.webhooks.gather import endpoint_begin, gather_events
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


class Ear(BaseHTTPRequestHandler):
    heard: list[tuple[dict[str, str], bytes]]
    status: int

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).heard.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(type(self).status)
        if type(self).status == 302:
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def ear(settings: Any) -> Iterator[Any]:
    handler = type("OneEar", (Ear,), {"heard": [], "status": 200})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    handler.url = f"http://127.0.0.1:{server.server_port}/hook?x=1"  # type: ignore[attr-defined]
    yield handler
    server.shutdown()
    server.server_close()


def endpoint(url: str = "", **fields: Any) -> Endpoint:
    values = {"name": "Biller", "url": url, "events": ["case.opened", "task.created"]} | fields
    row = Endpoint(**values)
    endpoint_begin(row)
    row.full_clean()
    row.save()
    return row


def happen(kind: str = "case.opened", **fields: Any) -> None:
    customer = fields.pop("customer", None) or factories.customer(name="Bianchi & <Figli>")
    record(Entry(customer_id=customer.pk, at=NOW, kind=kind, summary="A case was opened.", **fields))


def test_an_event_is_told_signed_and_once(ear: Any) -> None:
    happen()  # before the endpoint was there: none of its business
    row = endpoint(ear.url)
    happen(data={"case": 7})
    happen("portal.visited")
    assert gather_events(now=NOW).queued == 1
    assert gather_events(now=NOW).queued == 0
    assert deliver_events(now=NOW) == DeliverEventsResult(claimed=1, delivered=1)
    assert deliver_events(now=NOW + timedelta(days=3)) == DeliverEventsResult()
    ((headers, body),) = ear.heard
    told = json.loads(body)
    assert (told["type"], told["data"], told["customer"]["name"]) == ("case.opened", {"case": 7}, "Bianchi & <Figli>")
    assert headers["webhook-id"] == told["id"]
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    key = base64.b64decode(row.secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"


def test_a_task_for_staff_is_told(ear: Any) -> None:
    endpoint(ear.url)
    case = factories.case(factories.customer())
    Task.objects.create(customer=case.customer, case=case, kind="call", title="Call", due_at=NOW, created_at=NOW)
    gather_events(now=NOW)
    assert deliver_events(now=NOW).delivered == 1
    assert json.loads(ear.heard[0][1])["data"]["kind"] == "call"


def test_an_event_is_told_again_under_its_id_until_it_is_heard(ear: Any) -> None:
    endpoint(ear.url)
    happen()
    gather_events(now=NOW)
    ear.status = 500
    now = NOW
    for tries, wait in enumerate(BACKOFF, start=1):
        assert deliver_events(now=now) == DeliverEventsResult(claimed=1, retried=1)
        assert deliver_events(now=now + wait - timedelta(seconds=1)) == DeliverEventsResult()
        now += wait
        assert EventDelivery.objects.get().attempts == tries
    ear.status = 204
    assert deliver_events(now=now).delivered == 1
    assert len({headers["webhook-id"] for headers, _body in ear.heard}) == 1
    assert len(ear.heard) == MAX_TRIES


def test_what_is_never_heard_is_given_up_and_staff_may_tell_it_again(ear: Any) -> None:
    endpoint(ear.url)
    happen()
    gather_events(now=NOW)
    ear.status = 410
    EventDelivery.objects.update(attempts=MAX_TRIES - 1)
    assert deliver_events(now=NOW) == DeliverEventsResult(claimed=1, failed=1)
    row = EventDelivery.objects.get()
    assert (row.status, row.next_at, row.error) == ("failed", None, "HTTP 410")
    ear.status = 200
    event_again(delivery_id=row.pk, now=NOW)
    assert deliver_events(now=NOW).delivered == 1
    with pytest.raises(SollecitoError):
        event_again(delivery_id=row.pk, now=NOW)


def test_a_worker_that_dies_leaves_the_event_to_be_told_again(ear: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint(ear.url)
    happen()
    gather_events(now=NOW)

    def die(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("integrations.webhooks.deliver.tell", die)
    with pytest.raises(KeyboardInterrupt):
        deliver_events(now=NOW)
    monkeypatch.undo()
    assert deliver_events(now=NOW + LEASE - timedelta(seconds=1)) == DeliverEventsResult()
    assert deliver_events(now=NOW + LEASE).delivered == 1


def test_one_deaf_endpoint_does_not_hold_up_another_nor_is_it_shouted_at(ear: Any, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    endpoint("http://127.0.0.1:9/", name="Deaf")
    endpoint(ear.url)
    for _n in range(3):
        happen()
    gather_events(now=NOW)
    result = deliver_events(now=NOW)
    assert (result.claimed, result.delivered, result.retried) == (6, 3, 3)
    assert sorted(EventDelivery.objects.filter(status="waiting").values_list("attempts", flat=True)) == [0, 0, 1]


def test_a_redirect_is_not_followed(ear: Any) -> None:
    endpoint(ear.url)
    happen()
    gather_events(now=NOW)
    ear.status = 302
    assert deliver_events(now=NOW).retried == 1
    assert EventDelivery.objects.get().error == "HTTP 302"


def test_a_chat_gets_one_line_with_the_way_to_the_customer(ear: Any) -> None:
    endpoint(ear.url, kind="chat")
    happen()
    gather_events(now=NOW)
    assert deliver_events(now=NOW).delivered == 1
    text = json.loads(ear.heard[0][1])["text"]
    assert text.startswith("<http")
    assert text.endswith("Bianchi &amp; ‹Figli›>: A case was opened.")


def test_staff_get_a_mail_once(smtp_sink: Sink) -> None:
    endpoint(kind="email", email="team@acme.example", events=["reply.received"])
    happen("reply.received")
    gather_events(now=NOW)
    assert deliver_events(now=NOW).delivered == 1
    assert deliver_events(now=NOW + timedelta(days=1)) == DeliverEventsResult()
    (mail,) = smtp_sink.mails()
    assert mail.recipients == ("team@acme.example",)


def test_an_endpoint_of_one_brand_hears_of_no_other(ear: Any) -> None:
    endpoint(ear.url, brand=factories.brand())
    happen(customer=factories.customer(brand=factories.brand(code="other", name="Other")))
    assert gather_events(now=NOW).queued == 0
    happen()
    assert gather_events(now=NOW).queued == 1


def test_a_line_committed_late_is_told_all_the_same(ear: Any) -> None:
    row = endpoint(ear.url)
    happen()
    happen()
    gather_events(now=NOW)
    late = EventDelivery.objects.order_by("pk").first()
    assert late is not None
    late.delete()  # as if its transaction had still been open at the first look
    assert gather_events(now=NOW).queued == 1
    row.refresh_from_db()
    assert row.seen_interaction > 0


def test_what_is_dropped_after_a_month_is_not_told_anew(ear: Any) -> None:
    endpoint(ear.url)
    happen()
    gather_events(now=NOW)
    assert deliver_events(now=NOW).delivered == 1
    later = NOW + timedelta(days=31)
    assert events_purge(now=NOW + timedelta(days=29)) == 0
    assert events_purge(now=later) == 1
    assert gather_events(now=later).queued == 0
    happen()
    assert gather_events(now=later).queued == 1


# --- Where we never call.


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/",
        "https://user:pw@example.com/",
        "https://127.0.0.1/",
        "https://10.0.0.8/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00::1]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://localhost/",
        "https://metadata.google.internal/",
        "https://db/",
        "https://example.com:99999/",
        "not an address",
    ],
)
def test_addresses_into_our_own_network_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url)


def test_a_name_that_resolves_inwards_is_refused_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def inwards(host: str, port: int, **kwargs: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("93.184.215.14", "10.0.0.5")]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", inwards)
    with pytest.raises(AddressRefused):
        resolve("https://innocent.example.com/")


def test_an_endpoint_with_a_private_address_cannot_be_saved() -> None:
    with pytest.raises(ValidationError):
        endpoint("https://192.168.1.1/hook")
    with pytest.raises(ValidationError):
        endpoint(kind="email")


# --- A step of a ladder by webhook.


def test_a_step_by_webhook_runs_twice_and_acts_once(ear: Any, settings: Any) -> None:
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"
    endpoint(ear.url, events=["step.webhook"])
    message = factories.message(factories.case(factories.customer()), channel="webhook", recipient="")
    assert deliver_due(now=NOW).sent == 1
    assert deliver_due(now=NOW + timedelta(days=1)) == DeliverResult()
    assert deliver_events(now=NOW).delivered == 1
    assert deliver_events(now=NOW + timedelta(days=1)) == DeliverEventsResult()
    ((_headers, body),) = ear.heard
    told = json.loads(body)
    assert (told["type"], told["data"]["case"], told["data"]["template"]) == (
        "step.webhook", message.case_id, "reminder",
    )  # fmt: skip


def test_a_step_by_webhook_without_an_endpoint_fails_and_says_so(settings: Any) -> None:
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"
    message = factories.message(factories.case(factories.customer()), channel="webhook", recipient="")
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, failed=1)
    message.refresh_from_db()
    assert message.reason == "No endpoint is told of steps."
