import itertools
import random
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from anymail.signals import AnymailTrackingEvent, tracking
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from campaigns.models import DeliveryEvent, Message, MessageStatus, Task
from campaigns.models.message import STRENGTH, TRANSITIONS, stronger
from campaigns.tracking import Told, delivery_event_record
from customers.models import Customer, Interaction, Suppression
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def sent(**fields: Any) -> Message:
    values = {"status": "sent", "sent_at": NOW, "claimed_at": NOW, "send_at": None, "provider_id": "<p1@esp>"} | fields
    return factories.message(factories.case(factories.customer()), **values)


def told(kind: str, minutes: int = 1, *, message: Message | None = None, **fields: Any) -> Told:
    values = {
        "kind": kind,
        "at": NOW + timedelta(minutes=minutes),
        "external_id": f"{kind}:{minutes}",
        "message_key": message.key if message else "",
        "provider_id": "<p1@esp>",
    } | fields
    return Told(**values)


def state(message: Message) -> tuple[Any, ...]:
    row = Message.objects.get(pk=message.pk)
    return (
        row.status,
        row.first_opened_at,
        row.first_clicked_at,
        row.sent_at,
        sorted(DeliveryEvent.objects.filter(message=row).values_list("kind", "at", "external_id")),
        sorted(Suppression.objects.filter(address=row.recipient).values_list("reason", "evidence", "created_at")),
        sorted(Interaction.objects.filter(customer=row.customer).values_list("kind", "at", "outcome")),
        sorted(Task.objects.filter(customer=row.customer).values_list("title", "status")),
    )


EVENTS = [
    ("delivered", 1, {}),
    ("opened", 2, {}),
    ("opened", 9, {}),
    ("clicked", 3, {}),
    ("deferred", 1, {}),
    ("bounced", 5, {"reject_reason": "bounced", "detail": "550 5.1.1"}),
    ("bounced", 6, {"reject_reason": "invalid", "detail": "550 5.1.2"}),
    ("complained", 7, {}),
    ("unsubscribed", 8, {}),
    ("rejected", 4, {"reject_reason": "blocked"}),
    ("unknown", 2, {}),
    ("sent", 0, {}),
]


def play(events: list[tuple[str, int, dict[str, Any]]], start: str) -> tuple[Any, ...]:
    message = sent(status=start, provider_id="", sent_at=NOW if start == "sent" else None)
    for kind, minutes, fields in events:
        delivery_event_record(told=told(kind, minutes, message=message, **fields), now=NOW)
    return state(message)


class Converging(TestCase):
    @settings(max_examples=25, deadline=None)
    @given(
        events=st.lists(st.sampled_from(EVENTS), max_size=7),
        seed=st.integers(0, 10**6),
        start=st.sampled_from(["sent", "ambiguous"]),
    )
    def test_any_order_and_repetition_end_alike(
        self, events: list[tuple[str, int, dict[str, Any]]], seed: int, start: str
    ) -> None:
        shuffled = events + events[: len(events) // 2]
        random.Random(seed).shuffle(shuffled)
        assert play(events, start) == play(shuffled, start)


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(STRENGTH, 2)))
def test_the_stronger_word_stands_and_every_move_is_in_the_map(first: str, second: str) -> None:
    assert stronger(first, second) == stronger(second, first)
    assert stronger(first, second) in TRANSITIONS[first] | {first}


def test_an_open_is_logged_as_the_customers_doing() -> None:
    message = sent()
    assert delivery_event_record(told=told("opened"), now=NOW)
    assert not delivery_event_record(told=told("opened"), now=NOW)
    message.refresh_from_db()
    assert (message.status, message.first_opened_at) == (MessageStatus.OPENED, NOW + timedelta(minutes=1))
    line = Interaction.objects.get(kind="message.opened")
    assert (line.direction, line.actor_kind, line.at) == ("in", "customer", NOW + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("kind", "reason", "expected"),
    [
        ("bounced", "bounced", "hard_bounce"),
        ("bounced", "invalid", "hard_bounce"),
        ("bounced", "", "hard_bounce"),
        ("bounced", "timed_out", None),
        ("bounced", "blocked", None),
        ("bounced", "spam", None),
        ("bounced", "other", None),
        ("rejected", "bounced", "hard_bounce"),
        ("rejected", "spam", "complaint"),
        ("rejected", "unsubscribed", "opt_out"),
        ("complained", "", "complaint"),
        ("unsubscribed", "", "opt_out"),
        ("deferred", "timed_out", None),
        ("failed", "other", None),
    ],
)
def test_what_suppresses_the_address(kind: str, reason: str, expected: str | None) -> None:
    message = sent()
    delivery_event_record(told=told(kind, reject_reason=reason, detail="550 no"), now=NOW)
    found = Suppression.objects.filter(address=message.recipient).first()
    assert (found.reason if found else None) == expected
    if found:
        assert "550 no" in found.evidence
    bounced = kind in ("bounced", "rejected", "failed", "complained")
    assert Task.objects.exists() is bounced
    assert (Customer.objects.get().reassess_at is not None) is (bounced or kind == "unsubscribed")


def test_a_callback_settles_what_was_uncertain_and_stops_a_further_try() -> None:
    for status in ("ambiguous", "failed", "queued"):
        message = sent(status=status, sent_at=None, send_at=NOW, provider_id="")
        delivery_event_record(told=told("delivered", message=message), now=NOW)
        message.refresh_from_db()
        assert (message.status, message.sent_at) == (MessageStatus.DELIVERED, NOW)
        assert status == "ambiguous" or message.send_at is None


def test_events_about_other_mail_are_passed_over() -> None:
    assert not delivery_event_record(told=told("delivered", provider_id="<x@y>"), now=NOW)
    assert DeliveryEvent.objects.count() == 0


def test_the_providers_signal_arrives() -> None:
    message = sent()
    event = AnymailTrackingEvent(
        event_type="clicked",
        timestamp=NOW,
        event_id="e1",
        message_id="other",
        recipient=message.recipient,
        metadata={"message_key": message.key},
        click_url="https://example.com",
    )
    for _n in range(2):
        tracking.send(sender=SimpleNamespace, event=event, esp_name="Mailgun")
    message.refresh_from_db()
    assert message.status == MessageStatus.CLICKED
    assert DeliveryEvent.objects.get().external_id == "Mailgun:clicked:e1"


def test_the_webhook_refuses_whoever_lacks_the_secret(client: Client) -> None:
    message = sent(provider_id="pm-1")
    body = {
        "RecordType": "Delivery", "MessageID": "pm-1", "Recipient": message.recipient,
        "DeliveredAt": "2026-03-10T12:05:00Z", "Metadata": {"message_key": message.key},
    }  # fmt: skip
    url = "/anymail/postmark/tracking/"
    assert client.post(url, body, content_type="application/json").status_code == 400
    good = {"HTTP_AUTHORIZATION": "Basic bmFtZTpzZWNyZXQ="}
    assert client.post(url, body, content_type="application/json", **good).status_code == 200
    message.refresh_from_db()
    assert message.status == MessageStatus.DELIVERED
