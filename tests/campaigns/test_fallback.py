"""A notice that does not arrive goes by the next channel, and to a person when none is left."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns.channels.base import ChannelError, Fate, Outgoing, SendResult
from campaigns.delivery import deliver_due
from campaigns.engine.assess import assess_all
from campaigns.engine.run import escalate_all
from campaigns.models import Case, Message, Task
from campaigns.refusals import OUTAGE_PATIENCE, OUTAGE_WAIT
from campaigns.tracking import Told, delivery_event_record
from customers.models import Interaction, Suppression
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


class Way:
    """Takes everything, or refuses what its `dead` names; what `far` names is out of reach."""

    sent: list[Outgoing] = []
    dead: set[str] = set()
    far: set[str] = set()

    @staticmethod
    def missing() -> str:
        return ""

    def __enter__(self) -> "Way":
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def send(self, outgoing: Outgoing) -> SendResult:
        if outgoing.recipient in Way.dead:
            raise ChannelError("550 5.1.1 no such user", fate=Fate.PERMANENT, dead_address=True)
        if outgoing.recipient in Way.far:
            raise ChannelError("ConnectionRefusedError", fate=Fate.OUTAGE)
        Way.sent.append(outgoing)
        return SendResult(f"<{outgoing.message_id}@way>")


class NotSetUp(Way):
    """One nothing can leave by."""

    @staticmethod
    def missing() -> str:
        return "EMAIL_URL"


@pytest.fixture(autouse=True)
def _ways(settings: Any) -> None:
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"
    settings.CHANNELS = dict.fromkeys(("email", "sms", "letter"), "tests.campaigns.test_fallback.Way")
    Way.sent, Way.dead, Way.far = [], set(), set()


def ladder_case(**fields: Any) -> Case:
    factories.text(factories.template(), "sms")
    version = factories.ladder(
        steps=[{"offset": 0, "fallback_channels": ["sms", "letter"]}, {"offset": 7}], min_gap_hours=0
    )
    values = {"email": "anna@example.com", "phone": "+393331234567", "postal_address": "Via Roma 1\nMilano"} | fields
    return factories.case(factories.customer(**values), ladder_version=version)


def turn(now: datetime) -> None:
    for _result in assess_all(now=now):
        pass
    for _result in escalate_all(now=now):
        pass
    while deliver_due(now=now).claimed:
        pass


def ways() -> list[tuple[str, str]]:
    return list(Message.objects.order_by("pk").values_list("channel", "status"))


def test_a_dead_address_is_suppressed_and_the_next_channel_tried_at_once() -> None:
    ladder_case()
    Way.dead = {"anna@example.com"}
    turn(NOW)
    assert ways() == [("email", "failed")]
    assert Suppression.objects.get().address == "anna@example.com"
    assert Task.objects.count() == 0
    turn(NOW + timedelta(minutes=15))
    assert ways() == [("email", "failed"), ("sms", "sent")]
    assert Task.objects.count() == 0
    turn(NOW + timedelta(days=1))
    assert len(Way.sent) == 1


def test_a_bounce_that_comes_later_does_the_same() -> None:
    ladder_case()
    turn(NOW)
    message = Message.objects.get()
    told = Told(
        kind="bounced", at=NOW + timedelta(hours=1), external_id="b1", message_key=message.key, reject_reason="bounced"
    )
    assert delivery_event_record(told=told, now=NOW + timedelta(hours=1))
    assert Task.objects.count() == 0
    turn(NOW + timedelta(hours=2))
    assert ways() == [("email", "bounced"), ("sms", "sent")]
    assert not delivery_event_record(told=told, now=NOW + timedelta(hours=3))
    turn(NOW + timedelta(hours=3))
    assert len(ways()) == 2


def test_when_no_way_is_left_a_person_is_asked_and_nobody_moves_up() -> None:
    case = ladder_case(postal_address="")
    Way.dead = {"anna@example.com", "+393331234567"}
    for hours in range(4):
        turn(NOW + timedelta(hours=hours))
    assert [channel for channel, _status in ways()] == ["email", "sms"]
    assert Task.objects.filter(status="open").count() == 1
    turn(NOW + timedelta(days=8))
    case.refresh_from_db()
    assert case.position == 1
    assert Way.sent == []


def test_without_other_channels_a_person_is_asked_at_once() -> None:
    factories.case(factories.customer(email="anna@example.com"))
    Way.dead = {"anna@example.com"}
    turn(NOW)
    assert Task.objects.filter(status="open").count() == 1


@pytest.mark.parametrize(
    ("channel", "recipient"),
    [("letter", "Via Roma 1\nMilano"), ("in_app", ""), ("webhook", ""), ("sms", "+393331234567")],
)
def test_a_step_by_any_channel_finds_its_addressee(channel: str, recipient: str, settings: Any) -> None:
    settings.CHANNELS = {channel: "tests.campaigns.test_fallback.Way"}
    factories.text(factories.template(), "sms")
    customer = factories.customer(phone="+393331234567", postal_address="Via Roma 1\nMilano")
    factories.case(customer, ladder_version=factories.ladder(steps=[{"offset": 0, "channel": channel}]))
    turn(NOW)
    message = Message.objects.get()
    assert (message.channel, message.recipient, message.status) == (channel, recipient, "sent")
    turn(NOW + timedelta(days=1))
    assert len(Way.sent) == 1


def test_no_postal_address_no_letter() -> None:
    factories.case(factories.customer(), ladder_version=factories.ladder(steps=[{"offset": 0, "channel": "letter"}]))
    turn(NOW)
    assert Message.objects.count() == 0
    assert Task.objects.filter(status="open").count() == 1


def close(settings: Any, *channels: str) -> None:
    settings.CHANNELS = settings.CHANNELS | dict.fromkeys(channels, "tests.campaigns.test_fallback.NotSetUp")


def test_a_channel_that_is_not_set_up_is_passed_over_at_once_and_the_log_says_why(settings: Any) -> None:
    ladder_case()
    close(settings, "email")
    turn(NOW)
    assert ways() == [("sms", "sent")]
    (told,) = Interaction.objects.filter(kind="step.done").values_list("summary", flat=True)
    assert told.endswith("Not by E-mail: The channel is not set up here (EMAIL_URL).")


def test_one_whose_settings_are_taken_away_hands_its_queue_to_the_next_channel(settings: Any) -> None:
    ladder_case()
    Way.far = {"anna@example.com"}
    turn(NOW)
    assert ways() == [("email", "queued")]
    close(settings, "email")
    turn(NOW + OUTAGE_WAIT)
    turn(NOW + OUTAGE_WAIT)
    assert ways() == [("email", "cancelled"), ("sms", "sent")]
    assert Message.objects.get(channel="email").rule == "channel.not_configured"
    assert Task.objects.count() == 0


def test_without_any_usable_channel_one_task_is_made_however_often_the_case_is_looked_at(settings: Any) -> None:
    case = ladder_case(postal_address="")
    close(settings, "email", "sms", "letter")
    for hours in range(0, 96, 6):
        turn(NOW + timedelta(hours=hours))
    assert Message.objects.count() == 0
    task = Task.objects.get()
    assert "EMAIL_URL" in task.notes
    assert Interaction.objects.filter(kind="step.blocked").count() == 1
    task.status = Task.Status.DONE
    task.save()
    turn(NOW + timedelta(days=5))
    case.refresh_from_db()
    assert case.position == 1


def test_an_outage_is_waited_for_and_then_passed_over() -> None:
    ladder_case()
    Way.far = {"anna@example.com"}
    now = NOW
    while now < NOW + OUTAGE_PATIENCE:
        turn(now)
        now += OUTAGE_WAIT * 12
    message = Message.objects.get()
    assert (message.status, message.attempts, message.outage_since) == ("queued", 0, NOW)
    assert Interaction.objects.filter(kind="message.deferred", summary="ConnectionRefusedError").count() == 1
    turn(now)
    turn(now)
    assert ways() == [("email", "failed"), ("sms", "sent")]
    assert "Out of reach since 20" in Message.objects.get(channel="email").reason
    assert Task.objects.count() == 0


def test_an_outage_that_ends_costs_nothing() -> None:
    ladder_case()
    Way.far = {"anna@example.com"}
    turn(NOW)
    Way.far = set()
    turn(NOW + OUTAGE_PATIENCE - OUTAGE_WAIT)
    assert ways() == [("email", "sent")]


def test_the_others_of_a_batch_need_not_knock_and_are_passed_over_with_it() -> None:
    customers = [factories.customer(email="anna@example.com") for _number in range(3)]
    messages = [factories.message(factories.case(one)) for one in customers]
    Way.far = {"anna@example.com"}
    assert deliver_due(now=NOW).released == 2
    assert deliver_due(now=NOW + OUTAGE_PATIENCE).failed == 3
    for message in messages:
        message.refresh_from_db()
        assert message.status == "failed"
    assert Task.objects.count() == 3
