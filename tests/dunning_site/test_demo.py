"""The demo's people: what they do reaches the product by its own doors."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from billing.models import Promise
from campaigns.models import Experiment, InboundMessage, Ladder, Message, Task
from campaigns.reply_tokens import reply_address
from campaigns.services.shipped import shipped_load
from customers.models import Suppression
from dunning_site.demo.answers import AWAY, PROMISES, STOP
from dunning_site.demo.mailbox import Mail
from dunning_site.demo.network import Network
from dunning_site.demo.office import Office
from tests import factories as make

MONDAY = datetime(2026, 3, 9, 10, tzinfo=UTC)
NUMBER = "+393475500001"


@pytest.fixture
def told(live_server: Any, settings: Any) -> Network:
    settings.BASE_URL = live_server.url
    settings.INBOUND_ADDRESS = "reply@in.acme.example"
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKENS = "AC" + "0" * 32, ["a-token"]
    settings.TWILIO_SMS_FROM = "+15005550006"
    return Network()


def sent(**fields: Any) -> Message:
    values = {"status": "sent", "sent_at": MONDAY, "claimed_at": MONDAY, "send_at": None, "provider_id": "<m@x>"}
    person = make.customer(email="anna@example.com", phone=NUMBER)
    return make.message(make.case(person, invoices=[make.invoice(person)]), **(values | fields))


def lying(message: Message) -> Mail:
    """The mail as the reader's mailbox holds it."""
    return Mail(
        recipient=message.recipient,
        subject="Reminder",
        text="",
        reply_to=reply_address(message.pk, message.key),
        message_id=message.provider_id,
        key=message.key,
    )


@pytest.mark.django_db(transaction=True)
def test_what_the_mail_provider_tells_is_believed(told: Network) -> None:
    message = sent(recipient="anna@example.com")
    told.event("opened", lying(message), MONDAY)
    told.event("complained", lying(message), MONDAY)
    assert not message.delivery_events.exists(), "events are told by flush, in one call"
    told.flush()
    message.refresh_from_db()
    assert message.status == "complained"
    assert Suppression.objects.get().reason == "complaint"


@pytest.mark.django_db(transaction=True)
def test_readers_answer_and_are_away(told: Network) -> None:
    message = sent(recipient="anna@example.com")
    told.mail_back(lying(message), PROMISES["it"], MONDAY)
    told.mail_back(lying(message), AWAY["it"], MONDAY, Auto_Submitted="auto-replied")
    kinds = InboundMessage.objects.order_by("pk").values_list("kind", "message_id")
    assert list(kinds) == [("human", message.pk), ("auto_reply", message.pk)]
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_handsets_report_and_stop(told: Network, settings: Any) -> None:
    message = sent(channel="sms", recipient=NUMBER, provider_id="SM1")
    text = Mail(
        recipient=NUMBER,
        subject="",
        text="",
        message_id="SM1",
        callback=f"{settings.BASE_URL}/webhooks/twilio/status/?key={message.key}",
    )
    told.text_delivered(text)
    told.text_back(text, STOP)
    message.refresh_from_db()
    assert message.status == "delivered"
    assert Suppression.objects.get().reason == "opt_out"


@pytest.fixture
def office(db: None) -> Office:
    for name in ("manager", "collector"):
        User.objects.create_user(name, is_staff=True)
    return Office(MONDAY)


def test_the_staff_keep_hours_and_take_a_promise_at_its_word(office: Office) -> None:
    person = make.customer()
    case = make.case(person, invoices=[make.invoice(person, amount_due=1900)])
    Task.objects.create(
        customer=person,
        case=case,
        kind="review",
        title="The customer wrote (E-mail)",
        notes=PROMISES["en"],
        due_at=MONDAY - timedelta(days=2),
        created_at=MONDAY,
    )
    assert office.work(MONDAY + timedelta(hours=2)) == 0
    assert office.work(MONDAY - timedelta(days=1)) == 0
    assert office.work(MONDAY) == 1
    case.refresh_from_db()
    assert case.owner.username == "collector"
    promise = Promise.objects.get()
    assert (promise.amount, promise.promised_on.isoformat()) == (1900, "2026-03-13")
    assert Task.objects.get().status == "done"


def test_what_the_manager_sets_up_stands(office: Office) -> None:
    shipped_load(now=MONDAY)
    office.set_up()
    cards = Ladder.objects.get(code="card_failed").versions.get(status="published")
    text = cards.steps.get(key="text")
    assert (text.enabled, text.position, text.offset) == (True, 3, 5)
    assert set(Experiment.objects.values_list("status", flat=True)) == {"running"}
