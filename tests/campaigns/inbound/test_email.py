import time
from datetime import timedelta
from email import message_from_string
from email.message import EmailMessage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from campaigns.channels.base import Outgoing
from campaigns.channels.email import compose
from campaigns.inbound.email import words_of
from campaigns.models import Case, InboundAttachment, InboundMessage, Message, Task
from campaigns.reply_tokens import message_of, reply_address, token
from customers import clock
from customers.files import MOST_BYTES
from customers.models import Customer, Interaction, Suppression
from tests import factories
from tests.campaigns.esp_payloads import Mail, Mailjet, SparkPost
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _inbound(settings: Any, tmp_path: Any) -> Any:
    settings.INBOUND_ADDRESS = "reply@in.acme.example"
    settings.MEDIA_ROOT = str(tmp_path)
    with clock.running_on(lambda: NOW + timedelta(hours=2)):
        yield


def sent(customer: Customer | None = None, **fields: Any) -> Message:
    values = {"status": "sent", "sent_at": NOW, "claimed_at": NOW, "send_at": None, "provider_id": "<esp-1@esp>"}
    row = customer or factories.customer(email="anna@example.com")
    return factories.message(factories.case(row), **(values | fields))


def arrive(mail: Mail, esp: Any = SparkPost) -> InboundMessage:
    path, arguments = esp.inbound(mail)
    assert Client().post(path, **arguments).status_code == 200
    return InboundMessage.objects.latest("pk")


def test_every_mail_carries_its_own_reply_address_and_sign() -> None:
    message = sent()
    mail = compose(
        Outgoing(
            message_id=message.pk, key=message.key, recipient="anna@example.com", recipient_name="Anna",
            from_email="billing@acme.example", from_name="Acme", reply_to="team@acme.example", subject="Hi",
            text="Hi", html="", language="en", at=NOW,
        )
    )  # fmt: skip
    assert mail.reply_to == [reply_address(message.pk, message.key)]
    assert message_of(mail.reply_to) == message
    assert message_of([mail.extra_headers["Message-ID"]]) == message


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1] + "0" if t[-1] != "0" else t[:-1] + "1", lambda t: "m1." + t[-20:]]
)
def test_a_sign_cannot_be_made_up(change: Any) -> None:
    sent()
    message = sent()
    assert message_of([token(message.pk, message.key)]) == message
    assert message_of([change(token(message.pk, message.key))]) is None


def test_a_thread_is_found_by_the_providers_own_message_id() -> None:
    message = sent(provider_id="b7bc2f4a-e38e-4336-af7d-e6c392c2f817")
    inbound = arrive(
        Mail("Hello", sender="x@y.example", headers={"In-Reply-To": f"<{message.provider_id}@mtasv.net>"})
    )
    assert (inbound.customer_id, inbound.matched_by) == (message.customer_id, "thread")


def test_a_contact_is_found_by_its_address_whatever_the_case() -> None:
    message = sent(factories.customer(email="office@example.com"))
    factories.contact(message.customer, email="Maria@Example.com")
    inbound = arrive(Mail("Hello", sender="maria@example.COM"))
    assert (inbound.customer_id, inbound.matched_by) == (message.customer_id, "address")


def test_of_several_customers_with_one_address_the_one_written_to_counts() -> None:
    other = factories.customer(email="books@accountant.example")
    factories.case(other)
    message = sent(factories.customer(email="books@accountant.example"), recipient="books@accountant.example")
    assert arrive(Mail("Hello", sender="books@accountant.example")).customer_id == message.customer_id


def test_two_who_both_owe_and_were_not_written_to_are_left_to_staff() -> None:
    for _n in range(2):
        factories.case(factories.customer(email="books@accountant.example"))
    assert arrive(Mail("Hello", sender="books@accountant.example")).customer_id is None
    assert Task.objects.count() == 0


def test_html_is_read_for_its_words_and_never_kept() -> None:
    message = sent()
    mail = Mail(
        "",
        to=reply_address(message.pk, message.key),
        html="<style>p{}</style><p>I <b>paid</b> already.</p><script>alert(1)</script><img src=x onerror=alert(2)>",
    )
    inbound = arrive(mail, Mailjet)
    assert inbound.text == "I paid already."
    assert "script" not in Interaction.objects.get(kind="reply.received").body


@pytest.mark.parametrize(("channel", "provider_id"), [("in_app", "notice:15"), ("letter", "letter:15")])
def test_a_stranger_cannot_file_a_mail_by_a_number_anybody_could_name(channel: str, provider_id: str) -> None:
    sent(channel=channel, provider_id=provider_id)
    inbound = arrive(Mail("Stop", sender="x@y.example", headers={"In-Reply-To": f"<{provider_id}>"}))
    assert inbound.customer is None
    assert Case.objects.get().state == "open"


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<html><head><title>no</title><body>Hello<p>you", "Hello\nyou"),
        ("<!-- <p>no</p> -->yes<!-- never closed <p>no", "yes"),
        ("<script>if (a<b) { no }</script><style>p > a {}</style>yes", "yes"),
        ("1 < 2 &amp; 3 &gt; 2", "1 < 2 & 3 > 2"),
        ("<!DOCTYPE html><![if !mso]>One<br/>two<![endif]>", "One\ntwo"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
    ],
)
def test_words_of_html_are_those_a_reader_sees(html: str, words: str) -> None:
    assert words_of(html) == words


@pytest.mark.parametrize("piece", ["<a ", "<!--", "<a b=", '<a b="', "</a ", "<", "<script", "<![CDATA[", "&#", "<?"])
def test_a_strangers_html_is_read_in_proportion_to_its_length(piece: str) -> None:
    """A hundred kilobytes of tags that are never closed held up the process for minutes."""
    began = time.process_time()
    words_of(piece * (200_000 // len(piece)))
    assert time.process_time() - began < 5


def test_words_of_html_keep_their_lines() -> None:
    assert (
        words_of("<head><title>x</title></head><div>One</div><br><ul><li>Two &amp; three</ul>") == "One\nTwo & three"
    )


def test_what_no_database_can_hold_does_not_stop_a_reply() -> None:
    message = sent()
    inbound = arrive(Mail("Zero \x00 and \x07 bells", to=reply_address(message.pk, message.key)), Mailjet)
    assert inbound.text == "Zero  and  bells"
    assert Task.objects.count() == 1


def test_attachments_are_kept_by_content_or_refused_with_the_reason() -> None:
    message = sent()
    mail = Mail(
        "See attached",
        to=reply_address(message.pk, message.key),
        attachments=[
            ("../../proof.pdf", "application/pdf", b"%PDF-1.7 paid"),
            ("run.exe", "application/octet-stream", b"MZ"),
            ("photo.jpg", "image/jpeg", b"<html><script>"),
            ("page.html", "text/html", b"<script>"),
            ("big.pdf", "application/pdf", b"%PDF-" + b"x" * MOST_BYTES),
        ],
    )
    inbound = arrive(mail, Mailjet)
    rows = {row.name: row for row in InboundAttachment.objects.filter(inbound=inbound)}
    assert {name for name, row in rows.items() if row.file} == {"proof.pdf"}
    kept = rows["proof.pdf"]
    assert kept.file.name == f"inbound/{kept.sha256[:2]}/{kept.sha256}"
    with default_storage.open(kept.file.name) as stored:
        assert stored.read() == b"%PDF-1.7 paid"
    assert all(rows[name].refused for name in ("run.exe", "photo.jpg", "page.html", "big.pdf"))
    body = Interaction.objects.get(kind="reply.received").body
    assert "Attachment: proof.pdf" in body
    assert "Attachment not kept: run.exe" in body
    assert "proof.pdf" in Task.objects.get().notes


def report(message: Message, *, status: str = "5.1.1", sign: str | None = None) -> Mail:
    """A delivery report (RFC 3464) as Postfix writes it."""
    whole = MIMEMultipart("report", report_type="delivery-status")
    whole.attach(MIMEText("I'm sorry to have to inform you that your message could not be delivered."))
    status_part = EmailMessage()
    status_part["Content-Type"] = "message/delivery-status"
    status_part.set_payload(
        [
            _fields("Reporting-MTA: dns; mx.example.com"),
            _fields(
                f"Final-Recipient: rfc822; {message.recipient}\nAction: failed\nStatus: {status}\n"
                f"Diagnostic-Code: smtp; 550 {status} <{message.recipient}>: no such user"
            ),
        ]
    )
    whole.attach(status_part)
    original = EmailMessage()
    original["Message-ID"] = f"<{sign or token(message.pk, message.key)}@acme.example>"
    original["Subject"] = "Your payment"
    original.set_content("Dear Anna")
    whole.attach(MIMEMessage(original))

    class Raw(Mail):
        def raw(self) -> str:
            for name, value in self.all_headers():
                whole[name] = value
            return whole.as_string()

    return Raw("", sender="MAILER-DAEMON@mx.example.com", subject="Undelivered Mail Returned to Sender")


def _fields(text: str) -> Any:
    return message_from_string(text + "\n\n")


def test_a_bounce_report_by_mail_suppresses_the_address_once() -> None:
    message = sent()
    arrive(report(message))
    message.refresh_from_db()
    assert message.status == "bounced"
    assert list(Suppression.objects.values_list("address", "reason")) == [(message.recipient, "hard_bounce")]
    assert Interaction.objects.get(kind="message.bounced").body.startswith("smtp; 550 5.1.1")
    assert Case.objects.get().state == "open"
    tasks = Task.objects.count()
    arrive(report(message))
    assert (Task.objects.count(), Interaction.objects.filter(kind="message.bounced").count()) == (tasks, 1)


def test_a_full_mailbox_is_no_dead_address() -> None:
    message = sent()
    arrive(report(message, status="5.2.2"))
    message.refresh_from_db()
    assert message.status == "bounced"
    assert not Suppression.objects.exists()


def test_a_bounce_report_with_a_made_up_sign_changes_nothing() -> None:
    message = sent()
    arrive(report(message, sign=f"m{message.pk}.{'0' * 20}"))
    message.refresh_from_db()
    assert message.status == "sent"
    assert not Suppression.objects.exists()


def test_the_ladders_own_number_of_days_counts() -> None:
    version = factories.ladder()
    version.pause_after_reply_days = 7
    version.save()
    customer = factories.customer(email="anna@example.com")
    case = factories.case(customer, ladder_version=version)
    arrive(Mail("I will pay"))
    case.refresh_from_db()
    assert case.rests_until == NOW + timedelta(hours=2, days=7)


def test_a_rest_that_staff_set_is_theirs() -> None:
    message = sent()
    Case.objects.update(state="paused", rests_until=None, rest_reason="Legal asks us to wait", next_action_at=None)
    arrive(Mail("Hello"))
    case = Case.objects.get(pk=message.case_id)
    assert (case.rests_until, case.rest_reason) == (None, "Legal asks us to wait")
