"""Tracking and inbound webhooks of six providers through Anymail's own views."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from campaigns.models import Case, DeliveryEvent, InboundMessage, Message, Task
from campaigns.reply_tokens import reply_address, token
from customers import clock
from customers.models import Interaction, Suppression
from tests import factories
from tests.campaigns.esp_payloads import ESPS, MAILGUN_KEY, Mail, Post
from tests.factories import NOW

pytestmark = [
    pytest.mark.django_db,
    # Anymail still carries SendGrid, without promising to.
    pytest.mark.filterwarnings("ignore::anymail.exceptions.AnymailNotSupportedWarning"),
]
EVERY = pytest.mark.parametrize("esp", ESPS.values(), ids=ESPS)


@pytest.fixture(autouse=True)
def _anymail(settings: Any) -> Any:
    settings.ANYMAIL = {**settings.ANYMAIL, "MAILGUN_WEBHOOK_SIGNING_KEY": MAILGUN_KEY, "BREVO_API_KEY": "xkeysib"}
    settings.INBOUND_ADDRESS = "reply@in.acme.example"
    with clock.running_on(lambda: NOW + timedelta(hours=2)):
        yield


def sent(**fields: Any) -> Message:
    values = {"status": "sent", "sent_at": NOW, "claimed_at": NOW, "send_at": None, "provider_id": "<esp-1@esp>"}
    customer = factories.customer(email="anna@example.com", name="Anna Bianchi")
    return factories.message(factories.case(customer), **(values | fields))


def post(call: Post) -> int:
    path, arguments = call
    return Client(raise_request_exception=False).post(path, **arguments).status_code


def state() -> list[Any]:
    models = (Message, DeliveryEvent, InboundMessage, Suppression, Interaction, Task, Case)
    return [list(model.objects.order_by("pk").values()) for model in models]


@EVERY
@pytest.mark.parametrize(
    ("kind", "status", "suppressed"),
    [
        ("delivered", "delivered", None),
        ("opened", "opened", None),
        ("clicked", "clicked", None),
        ("bounced", "bounced", "hard_bounce"),
        ("complained", "complained", "complaint"),
    ],
)
def test_tracking_leads_to_status_log_and_suppression_once(
    esp: Any, kind: str, status: str, suppressed: str | None
) -> None:
    message = sent()
    assert post(esp.tracking(kind, message)) == 200
    message.refresh_from_db()
    assert message.status == status
    assert list(Suppression.objects.values_list("address", "reason")) == (
        [("anna@example.com", suppressed)] if suppressed else []
    )
    line = Interaction.objects.get(kind=f"message.{status}")
    assert (line.subject, line.channel) == (f"message:{message.pk}", "email")
    assert Task.objects.count() == (suppressed is not None)
    before = state()
    assert post(esp.tracking(kind, message)) == 200
    assert state() == before


@EVERY
def test_a_passing_bounce_says_nothing_against_the_address(esp: Any) -> None:
    message = sent()
    assert post(esp.tracking("soft", message)) == 200
    message.refresh_from_db()
    assert message.status in ("sent", "bounced")  # some tell of it as of a deferral
    assert not Suppression.objects.exists()


def _other_password(call: Post) -> Post:
    call[1]["headers"]["Authorization"] = "Basic bmFtZTpndWVzc2Vk"
    return call


def _no_password(call: Post) -> Post:
    del call[1]["headers"]["Authorization"]
    return call


@EVERY
@pytest.mark.parametrize("forge", [_other_password, _no_password])
def test_what_is_forged_is_refused(esp: Any, forge: Any) -> None:
    message = sent()
    before = state()
    assert post(forge(esp.tracking("bounced", message))) == 400
    assert post(forge(esp.inbound(Mail("Stop")))) == 400
    assert state() == before


def test_a_wrong_signature_is_refused_even_with_the_right_password() -> None:
    message = sent()
    before = state()
    path, arguments = ESPS["Mailgun"].tracking("bounced", message)
    arguments["data"] = arguments["data"].replace('"signature": "', '"signature": "0', 1)
    assert post((path, arguments)) == 400
    path, arguments = ESPS["Mailgun"].inbound(Mail("Stop"))
    arguments["data"]["signature"] = "0" * 64
    assert post((path, arguments)) == 400
    assert state() == before


@EVERY
def test_a_reply_lands_in_the_log_opens_a_task_and_pauses_the_ladder(esp: Any) -> None:
    message = sent()
    mail = Mail("I pay on Friday.\n\nAnna", to=reply_address(message.pk, message.key), sender="anna@elsewhere.example")
    assert post(esp.inbound(mail)) == 200
    inbound = InboundMessage.objects.get()
    assert (inbound.matched_by, inbound.customer_id, inbound.kind) == ("token", message.customer_id, "human")
    line = Interaction.objects.get(kind="reply.received")
    assert line.body.startswith("I pay on Friday.")
    assert line.direction == "in"
    assert Task.objects.get().case_id == message.case_id
    case = Case.objects.get()
    assert (case.state, case.rests_until) == ("paused", NOW + timedelta(hours=2, days=3))
    before = state()
    assert post(esp.inbound(mail)) == 200
    assert state() == before


@EVERY
def test_an_automatic_reply_is_not_a_person(esp: Any) -> None:
    message = sent()
    mail = Mail(
        "Ich bin bis 20. März nicht im Büro. STOP",
        to=reply_address(message.pk, message.key),
        subject="Automatische Antwort: Ihre Zahlung",
        headers={"Auto-Submitted": "auto-replied"},
    )
    assert post(esp.inbound(mail)) == 200
    assert InboundMessage.objects.get().kind in ("auto_reply", "out_of_office")
    assert Interaction.objects.get(kind="reply.automatic").actor_kind == "system"
    assert Task.objects.count() == 0
    assert Case.objects.get().state == "open"
    assert not Suppression.objects.exists()


@EVERY
def test_a_stop_word_above_the_quote_suppresses(esp: Any) -> None:
    message = sent()
    mail = Mail(
        "Unsubscribe\n\nOn Tue, Mar 10, 2026 Acme wrote:\n> Dear Anna",
        headers={"In-Reply-To": f"<{token(message.pk, message.key)}@acme.example>"},
    )
    assert post(esp.inbound(mail)) == 200
    assert InboundMessage.objects.get().matched_by == "thread"
    assert list(Suppression.objects.values_list("channel", "address", "reason")) == [
        ("email", "anna@example.com", "opt_out")
    ]
    before = state()
    assert post(esp.inbound(mail)) == 200
    assert state() == before
