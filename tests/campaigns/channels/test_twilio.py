import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from campaigns import letter
from campaigns.channels.base import ChannelError
from campaigns.channels.segments import segments
from campaigns.channels.twilio import callback_url, number_of
from campaigns.delivery import DeliverResult, deliver_due
from campaigns.models import Message, MessageStatus, Task, TemplateText
from campaigns.refusals import OUTAGE_WAIT
from customers.consent import Evidence, Source, opt_in_record
from customers.models import Interaction, Suppression
from tests import factories, twilio_world
from tests.factories import NOW
from tests.twilio_world import TwilioWorld

pytestmark = pytest.mark.django_db

GOOD = "+393331234567"


@pytest.fixture
def twilio(db: None, settings: Any) -> Iterator[TwilioWorld]:
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"
    settings.TWILIO_ACCOUNT_SID = twilio_world.SID
    settings.TWILIO_AUTH_TOKENS = [twilio_world.TOKEN]
    settings.TWILIO_SMS_FROM = "+15005550006"
    settings.TWILIO_WHATSAPP_FROM = "+15005550007"
    settings.TWILIO_TIMEOUT = 0.5
    factories.text(factories.template(), "sms")
    with TwilioWorld() as world:
        settings.TWILIO_API_BASE = world.url
        yield world


def queued(recipient: str = GOOD, **fields: Any) -> Message:
    channel = fields.pop("channel", "sms")
    if channel == "whatsapp":  # written to with consent only
        opt_in_record(channel=channel, address=recipient, evidence=Evidence(source=Source.STAFF), now=NOW)
    return factories.message(
        factories.case(factories.customer(phone=recipient)), recipient=recipient, channel=channel, **fields
    )


def test_a_text_message_leaves_by_twilios_own_client(twilio: TwilioWorld, settings: Any) -> None:
    message = queued()
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, sent=1)
    (taken,) = twilio.messages
    assert (taken["To"], taken["From"]) == (GOOD, "+15005550006")
    assert taken["Body"].startswith("Dear Customer")
    assert taken["StatusCallback"] == callback_url(message.key)
    assert taken["StatusCallback"].startswith(settings.BASE_URL + "/webhooks/twilio/status/?key=")
    message.refresh_from_db()
    assert (message.status, message.provider_id, message.segments) == (MessageStatus.SENT, taken["sid"], 1)
    assert "secret" in taken["Body"]
    assert "secret" not in message.text
    assert Interaction.objects.get(kind="message.sent").channel == "sms"


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
def test_running_twice_sends_once(twilio: TwilioWorld, channel: str) -> None:
    queued(channel=channel)
    assert deliver_due(now=NOW).sent == 1
    assert deliver_due(now=NOW + timedelta(days=1)) == DeliverResult()
    assert len(twilio.messages) == 1


def test_a_messaging_service_is_named_as_such_and_parts_are_counted_by_us(twilio: TwilioWorld, settings: Any) -> None:
    settings.TWILIO_SMS_FROM = "MG" + "2" * 32
    message = queued()
    message.customer.name = "Юлия " * 20
    message.customer.save()
    deliver_due(now=NOW)
    assert twilio.messages[0]["MessagingServiceSid"] == settings.TWILIO_SMS_FROM
    assert "From" not in twilio.messages[0]
    message.refresh_from_db()
    assert message.segments == segments(twilio.messages[0]["Body"]).count > 1


@pytest.mark.parametrize(
    ("number", "result", "status", "suppressed"),
    [
        ("+393331110001", {"failed": 1}, "failed", "hard_bounce"),
        ("+393331110002", {"failed": 1}, "failed", "opt_out"),
        ("+393331110003", {"retried": 1}, "queued", None),
        ("+393331110004", {"retried": 1}, "queued", None),
        ("+393331110005", {"ambiguous": 1}, "ambiguous", None),
        ("+393331110006", {"failed": 1}, "failed", None),
        ("+393331110007", {"retried": 1}, "queued", None),
        (twilio_world.SILENT, {"ambiguous": 1}, "ambiguous", None),
        (twilio_world.BREAKS, {"ambiguous": 1}, "ambiguous", None),
    ],
)
def test_each_answer_has_its_consequence(
    twilio: TwilioWorld, number: str, result: dict[str, int], status: str, suppressed: str | None
) -> None:
    message = queued(number)
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, **result)
    message.refresh_from_db()
    assert message.status == status
    assert list(Suppression.objects.values_list("channel", "address", "reason")) == (
        [("sms", number, suppressed)] if suppressed else []
    )
    assert Task.objects.count() == (status in ("failed", "ambiguous"))
    # What is uncertain is never sent again by itself.
    if status == "ambiguous":
        assert deliver_due(now=NOW + timedelta(days=2)) == DeliverResult()


def test_wrong_credentials_and_a_dead_host_stop_the_channel_not_the_messages(
    twilio: TwilioWorld, settings: Any
) -> None:
    messages = [queued(), queued(), queued()]
    settings.TWILIO_AUTH_TOKENS = ["wrong"]
    assert deliver_due(now=NOW) == DeliverResult(claimed=3, retried=1, released=2)
    assert twilio.strangers == 1
    settings.TWILIO_API_BASE = "http://127.0.0.1:9"
    later = NOW + OUTAGE_WAIT
    assert deliver_due(now=later) == DeliverResult(claimed=3, retried=1, released=2)
    for message in messages:
        message.refresh_from_db()
        assert (message.status, message.attempts) == (MessageStatus.QUEUED, 0)


@pytest.mark.parametrize(
    ("address", "mobile", "number"),
    [
        ("+39 333 123 4567", True, "+393331234567"),
        ("+48 512 345 678", True, "+48512345678"),
        ("+1 (415) 555-2671", True, "+14155552671"),
        ("+39 02 1234 5678", False, "+390212345678"),
        ("+39 02 1234 5678", True, None),  # a landline in Milan
        ("+39 333", True, None),
        ("333 123 4567", True, None),  # of which country?
        ("not a number", False, None),
    ],
)
def test_numbers_are_checked_before_anybody_is_asked(address: str, mobile: bool, number: str | None) -> None:
    if number is None:
        with pytest.raises(ChannelError) as caught:
            number_of(address, mobile=mobile)
        assert caught.value.dead_address
    else:
        assert number_of(address, mobile=mobile) == number


@pytest.mark.parametrize(
    ("address", "country", "number"),
    [
        ("333 123 4567", "IT", "+393331234567"),
        ("07400 123456", "GB", "+447400123456"),
        ("0048 512 345 678", "DE", "+48512345678"),
        ("+39 333 123 4567", "US", "+393331234567"),
    ],
)
def test_a_local_number_is_read_by_the_customers_country(address: str, country: str, number: str) -> None:
    assert number_of(address, mobile=True, country=country) == number


def test_whatsapp_uses_the_approved_template_where_there_is_one(twilio: TwilioWorld, settings: Any) -> None:
    queued(channel="whatsapp")
    settings.TWILIO_WHATSAPP_CONTENT = {"reminder.en": "HX" + "3" * 32}
    assert deliver_due(now=NOW).sent == 1
    settings.TWILIO_WHATSAPP_CONTENT = {}
    queued(channel="whatsapp")
    assert deliver_due(now=NOW).sent == 1
    approved, free = twilio.messages
    assert approved["To"] == f"whatsapp:{GOOD}"
    assert approved["From"] == "whatsapp:+15005550007"
    assert approved["ContentSid"] == "HX" + "3" * 32
    variables = json.loads(approved["ContentVariables"])
    assert variables["2"] == "€49.00"
    assert variables["3"].startswith("https://pay.example.com/p/secret")
    assert "Body" not in approved
    assert free["Body"].startswith("Dear")


def test_a_text_that_is_too_long_is_refused_before_it_leaves(twilio: TwilioWorld) -> None:
    message = queued()
    message.customer.name = "x" * 255
    message.customer.save()
    TemplateText.objects.filter(channel="sms").update(compiled_text="{{ customer.name }}" * 8)
    letter._texts.clear()
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, failed=1)
    assert twilio.messages == []
