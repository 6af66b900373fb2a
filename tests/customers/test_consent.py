import itertools
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from campaigns.guard.keywords import Wish
from campaigns.services.consent import reply_consent
from customers.consent import Evidence, Source, opt_in_record, opt_out_record, states
from customers.errors import SollecitoError
from customers.models import ConsentEvent, Customer, Interaction, Suppression
from customers.services import suppression_add
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
PHONE = "+393331234567"


def said(**fields: Any) -> Evidence:
    return Evidence(**({"source": Source.REPLY, "text": "STOP", "keyword": "stop", "message_ref": "SM1"} | fields))


def in_force(channel: str = "sms", address: str = PHONE) -> str:
    row = Suppression.objects.filter(channel=channel, address=address, lifted_at=None).first()
    return str(row.reason) if row else ""


def test_an_opt_out_is_registered_with_its_evidence_suppresses_and_is_in_the_log() -> None:
    customer = factories.customer()
    event = opt_out_record(
        channel="sms",
        address="333 123 4567",
        country="IT",
        customer_id=customer.pk,
        evidence=said(ip="192.0.2.7", wording="sms-2026-01", language="en", key="twilio:SM1"),
        now=NOW,
        at=NOW - timedelta(minutes=2),
    )
    assert (event.address, event.keyword, event.ip, event.wording_version) == (
        PHONE,
        "stop",
        "192.0.2.7",
        "sms-2026-01",
    )
    assert (event.at, event.recorded_at) == (NOW - timedelta(minutes=2), NOW)
    assert in_force() == "opt_out"
    line = Interaction.objects.get(kind="consent.withdrawn")
    assert (line.customer_id, line.direction, line.channel, line.body) == (customer.pk, "in", "sms", "STOP")
    assert Customer.objects.get(pk=customer.pk).reassess_at == NOW


def test_told_twice_it_is_one_event() -> None:
    customer = factories.customer()
    first, second = (
        opt_out_record(channel="sms", address=PHONE, customer_id=customer.pk, evidence=said(key="k"), now=at)
        for at in (NOW, NOW + timedelta(days=1))
    )
    assert first.pk == second.pk
    assert ConsentEvent.objects.count() == Interaction.objects.filter(kind="consent.withdrawn").count() == 1


def test_a_later_permission_lifts_an_opt_out_but_no_bounce_and_no_word_of_staff() -> None:
    opt_out_record(channel="sms", address=PHONE, evidence=said(), now=NOW)
    opt_in_record(channel="sms", address=PHONE, evidence=said(text="START"), now=NOW + timedelta(hours=1))
    assert in_force() == ""
    for reason in ("manual", "complaint", "hard_bounce"):
        Suppression.objects.all().delete()
        suppression_add(channel="sms", address=PHONE, reason=reason, evidence="x", now=NOW)
        opt_in_record(channel="sms", address=PHONE, evidence=said(text="START"), now=NOW + timedelta(hours=2))
        assert in_force() == reason


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_what_holds_does_not_depend_on_the_order_in_which_it_becomes_known(order: tuple[int, ...]) -> None:
    facts = [
        (opt_out_record, NOW),
        (opt_in_record, NOW + timedelta(hours=1)),
        (opt_out_record, NOW + timedelta(hours=2)),
    ]
    for index in order:
        write, at = facts[index]
        write(channel="sms", address=PHONE, evidence=said(key=f"k{index}"), at=at, now=NOW + timedelta(days=1))
    assert in_force() == "opt_out"
    assert states([("sms", PHONE)])[("sms", PHONE)].allowed is False
    opt_in_record(channel="sms", address=PHONE, evidence=said(key="last"), now=NOW + timedelta(days=2))
    assert in_force() == ""
    assert states([("sms", PHONE), ("email", "a@b.example")])[("sms", PHONE)].allowed is True


def test_a_moment_in_the_future_counts_as_now() -> None:
    opt_out_record(channel="sms", address=PHONE, evidence=said(), now=NOW, at=NOW + timedelta(days=3))
    opt_in_record(channel="sms", address=PHONE, evidence=said(), now=NOW + timedelta(hours=1))
    assert in_force() == ""


def test_the_register_is_only_added_to() -> None:
    event = opt_out_record(channel="email", address="A@B.example", evidence=said(), now=NOW)
    event.decision = "granted"
    with pytest.raises(SollecitoError):
        event.save()
    with pytest.raises(SollecitoError):
        event.delete()


@pytest.mark.parametrize(("channel", "address"), [("sms", "  "), ("fax", "1")])
def test_nobody_consents_to_nothing(channel: str, address: str) -> None:
    with pytest.raises(SollecitoError):
        opt_out_record(channel=channel, address=address, evidence=said(), now=NOW)
    assert not ConsentEvent.objects.exists()


@pytest.mark.parametrize(
    ("channel", "text", "wish", "reason"),
    [
        ("sms", "Stop", Wish.OUT, "opt_out"),
        ("sms", "When is it due?", None, ""),
        ("email", "Please unsubscribe me\n\nOn Monday Acme wrote:\n> hello", Wish.OUT, "opt_out"),
        ("email", "Thanks, paid.\n> Unsubscribe", None, ""),
    ],
)
def test_a_reply_is_read_and_registered(channel: str, text: str, wish: Wish | None, reason: str) -> None:
    customer = factories.customer()
    address = PHONE if channel == "sms" else "anna@example.com"

    def receive(words: str, key: str, at: datetime) -> Wish | None:
        opt = reply_consent(
            channel=channel, address=address, text=words, message_ref=key, key=key, now=at, customer_id=customer.pk
        )
        return opt.wish if opt else None

    assert receive(text, "m1", NOW) is wish
    assert receive(text, "m1", NOW) is wish
    assert in_force(channel, address) == reason
    assert ConsentEvent.objects.count() == (1 if wish else 0)
    if wish and channel == "sms":
        assert receive("START", "m2", NOW + timedelta(hours=1)) is Wish.IN
        assert in_force(channel, address) == ""
        # The old message, delivered once more by the provider, takes nothing back.
        receive(text, "m1", NOW + timedelta(hours=2))
        assert in_force(channel, address) == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("last", [opt_out_record, opt_in_record])
def test_decisions_recorded_at_once_leave_the_newest_in_force(last: Any) -> None:
    """Each writer must see the others' entries before it suppresses or lifts: none may act on an old view."""
    writers, failed = 8, []
    together = threading.Barrier(writers)

    def write(number: int) -> None:
        record = last if number == writers - 1 else (opt_out_record, opt_in_record)[number % 2]
        try:
            together.wait(timeout=20)
            at = NOW + timedelta(minutes=number)
            record(channel="sms", address=PHONE, evidence=said(), at=at, now=NOW + timedelta(days=1))
        except Exception as error:  # told by the assertion below
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=[number]) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert ConsentEvent.objects.count() == writers
    assert in_force() == ("opt_out" if last is opt_out_record else "")
