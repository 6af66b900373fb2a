from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from campaigns.channels.twilio import callback_url
from campaigns.models import Case, DeliveryEvent, InboundMessage, Message, Task
from customers import clock
from customers.models import Interaction, Suppression
from tests import factories, twilio_world
from tests.factories import NOW

pytestmark = pytest.mark.django_db

NUMBER = "+393331234567"
INBOUND = "/webhooks/twilio/inbound/"


@pytest.fixture(autouse=True)
def _twilio(settings: Any) -> Any:
    settings.TWILIO_ACCOUNT_SID = twilio_world.SID
    settings.TWILIO_AUTH_TOKENS = ["newer", twilio_world.TOKEN]
    with clock.running_on(lambda: NOW + timedelta(hours=1)):
        yield


def sent(**fields: Any) -> Message:
    values = {
        "channel": "sms", "recipient": NUMBER, "status": "sent", "sent_at": NOW, "claimed_at": NOW, "send_at": None,
        "provider_id": "SM1",
    } | fields  # fmt: skip
    return factories.message(factories.case(factories.customer(phone=NUMBER)), **values)


def report(message: Message, word: str, **fields: str) -> tuple[str, dict[str, Any]]:
    url = callback_url(message.key)
    values = {"AccountSid": twilio_world.SID, "MessageSid": "SM1", "MessageStatus": word, "To": NUMBER} | fields
    return url, twilio_world.callback(url, values)


def post(url: str, call: dict[str, Any], settings: Any) -> Any:
    return Client().post(url.removeprefix(settings.BASE_URL), **call)


def reply(text: str, settings: Any, **fields: str) -> Any:
    values = {
        "AccountSid": twilio_world.SID, "MessageSid": "SMin1", "From": NUMBER, "To": "+15005550006", "Body": text,
        "NumMedia": "0", "FromCountry": "IT",
    } | fields  # fmt: skip
    return post(INBOUND, twilio_world.callback(settings.BASE_URL + INBOUND, values), settings)


def state() -> list[Any]:
    models = (Message, DeliveryEvent, InboundMessage, Suppression, Interaction, Task, Case)
    return [list(model.objects.order_by("pk").values()) for model in models]


@pytest.mark.parametrize(
    ("word", "code", "status", "suppressed"),
    [
        ("queued", "", "sent", None),
        ("delivered", "", "delivered", None),
        ("read", "", "opened", None),
        ("undelivered", "30005", "bounced", "hard_bounce"),
        ("undelivered", "30006", "bounced", "hard_bounce"),
        ("undelivered", "30003", "bounced", None),  # switched off: may be on tomorrow
        ("undelivered", "30007", "bounced", None),
        ("failed", "21610", "bounced", "opt_out"),
        ("failed", "21211", "bounced", "hard_bounce"),
    ],
)
def test_the_fate_of_a_message_is_noted_and_a_replay_changes_nothing(
    settings: Any, word: str, code: str, status: str, suppressed: str | None
) -> None:
    message = sent()
    url, call = report(message, word, **({"ErrorCode": code} if code else {}))
    assert post(url, call, settings).status_code == 204
    message.refresh_from_db()
    assert message.status == status
    assert list(Suppression.objects.values_list("channel", "address", "reason")) == (
        [("sms", NUMBER, suppressed)] if suppressed else []
    )
    before = state()
    assert post(url, call, settings).status_code == 204
    assert state() == before


def test_a_callback_settles_a_message_whose_sending_timed_out(settings: Any) -> None:
    message = sent(status="ambiguous", provider_id="", sent_at=None)
    url, call = report(message, "delivered")
    assert post(url, call, settings).status_code == 204
    message.refresh_from_db()
    assert message.status == "delivered"


def _wrong_token(url: str, values: dict[str, str]) -> dict[str, Any]:
    return twilio_world.callback(url, values, token="guessed")


def _other_address(url: str, values: dict[str, str]) -> dict[str, Any]:
    return twilio_world.callback(url + "&x=1", values)


def _changed_field(url: str, values: dict[str, str]) -> dict[str, Any]:
    call = twilio_world.callback(url, values)
    call["data"] = values | {"MessageStatus": "undelivered", "ErrorCode": "30005"}
    return call


def _unsigned(url: str, values: dict[str, str]) -> dict[str, Any]:
    return {"data": values}


def _other_account(url: str, values: dict[str, str]) -> dict[str, Any]:
    return twilio_world.callback(url, values | {"AccountSid": "AC" + "9" * 32})


@pytest.mark.parametrize("forge", [_wrong_token, _other_address, _changed_field, _unsigned, _other_account])
def test_forged_callbacks_are_refused(settings: Any, forge: Callable[[str, dict[str, str]], dict[str, Any]]) -> None:
    message = sent()
    before = state()
    url = callback_url(message.key)
    values = {"AccountSid": twilio_world.SID, "MessageSid": "SM1", "MessageStatus": "delivered", "To": NUMBER}
    assert post(url, forge(url, values), settings).status_code == 403
    values = {"AccountSid": twilio_world.SID, "MessageSid": "SM9", "From": NUMBER, "Body": "STOP"}
    url = settings.BASE_URL + INBOUND
    assert post(url, forge(url, values), settings).status_code == 403
    assert state() == before


def test_without_a_token_nothing_is_let_in(settings: Any) -> None:
    message = sent()
    settings.TWILIO_AUTH_TOKENS = []
    url = callback_url(message.key)
    call = twilio_world.callback(url, {"MessageSid": "SM1", "MessageStatus": "delivered"}, token="")
    assert post(url, call, settings).status_code == 403


def test_a_reply_is_logged_opens_a_task_and_lets_the_ladder_rest(settings: Any) -> None:
    message = sent()
    answer = reply("I will pay on Friday, my boss is ill", settings)
    assert (answer.status_code, answer.content) == (200, b"<Response/>")
    inbound = InboundMessage.objects.get()
    assert (inbound.customer_id, inbound.message_id, inbound.matched_by) == (
        message.customer_id, message.pk, "address",
    )  # fmt: skip
    line = Interaction.objects.get(kind="reply.received")
    assert (line.direction, line.channel, line.actor_kind) == ("in", "sms", "customer")
    assert line.body == "I will pay on Friday, my boss is ill"
    task = Task.objects.get()
    assert (task.customer_id, task.case_id, task.status) == (message.customer_id, message.case_id, "open")
    case = Case.objects.get()
    assert (case.state, case.rests_until) == ("paused", NOW + timedelta(hours=1, days=3))
    assert case.next_action_at == case.rests_until
    before = state()
    assert reply("I will pay on Friday, my boss is ill", settings).status_code == 200
    assert state() == before


def test_a_second_reply_goes_to_the_first_ones_task_and_prolongs_the_rest(settings: Any) -> None:
    sent()
    reply("First", settings)
    with clock.running_on(lambda: NOW + timedelta(days=1)):
        reply("Second", settings, MessageSid="SMin2")
    task = Task.objects.get()
    assert "First" in task.notes
    assert "Second" in task.notes
    assert Case.objects.get().rests_until == NOW + timedelta(days=4)
    assert Interaction.objects.filter(kind="reply.received").count() == 2


@pytest.mark.parametrize(("text", "opt"), [("STOP", ""), ("Basta, grazie", ""), ("anything", "STOP")])
def test_stop_suppresses_the_number_on_that_channel_and_asks_nobody(settings: Any, text: str, opt: str) -> None:
    sent()
    reply(text, settings, **({"OptOutType": opt} if opt else {}))
    assert list(Suppression.objects.values_list("channel", "address", "reason")) == [("sms", NUMBER, "opt_out")]
    assert Task.objects.count() == 0
    assert Case.objects.get().state == "open"
    before = state()
    reply(text, settings, **({"OptOutType": opt} if opt else {}))
    assert state() == before


def test_start_lifts_the_opt_out_again(settings: Any) -> None:
    sent()
    reply("STOP", settings)
    with clock.running_on(lambda: NOW + timedelta(days=1)):
        reply("START", settings, MessageSid="SMin2")
    assert not Suppression.objects.filter(lifted_at=None).exists()


def test_whatsapp_is_a_channel_of_its_own(settings: Any) -> None:
    sent(channel="whatsapp")
    reply("STOP", settings, From=f"whatsapp:{NUMBER}", To="whatsapp:+15005550007")
    assert Suppression.objects.get().channel == "whatsapp"
    assert InboundMessage.objects.get().sender == NUMBER


def test_a_stranger_is_kept_for_staff_and_disturbs_nobody(settings: Any) -> None:
    sent()
    reply("Who is this?", settings, From="+48512345678")
    inbound = InboundMessage.objects.get()
    assert (inbound.customer_id, inbound.text) == (None, "Who is this?")
    assert Task.objects.count() == 0
    assert Case.objects.get().state == "open"
