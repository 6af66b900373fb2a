import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from billing.models import AttemptStatus, InvoiceStatus, PaymentAttempt, Promise
from campaigns import delivery, outbox
from campaigns.channels.base import ChannelError, Fate, Outgoing, SendResult
from campaigns.context import BUSY
from campaigns.delivery import DeliverResult, deliver_due
from campaigns.engine.one_clock import SOON
from campaigns.models import Case, Message, MessageStatus, Task, TemplateText
from campaigns.outbox import BACKOFF, MAX_TRIES
from campaigns.refusals import OUTAGE_WAIT
from campaigns.services.messages import message_cancel, message_confirm_sent, message_resend
from campaigns.sweeping import STUCK_AFTER, sweep
from customers.consent import Evidence, Source, opt_out_record
from customers.errors import SollecitoError
from customers.models import Customer, Interaction, Suppression
from dunning_site.embedded.smtp_sink import Sink
from tests import factories
from tests.factories import NOW


@pytest.fixture(autouse=True)
def _links(settings: Any) -> None:
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"


class FakeChannel:
    """Keeps what it is given; `fail` raises instead."""

    sent: list[Outgoing] = []
    fail: Callable[[Outgoing], None] | None = None
    opened = 0

    @staticmethod
    def missing() -> str:
        return ""

    def __enter__(self) -> "FakeChannel":
        type(self).opened += 1
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def send(self, outgoing: Outgoing) -> SendResult:
        if FakeChannel.fail is not None:
            FakeChannel.fail(outgoing)
        FakeChannel.sent.append(outgoing)
        return SendResult(f"<{outgoing.message_id}@fake>")


@pytest.fixture
def channel(settings: Any) -> type[FakeChannel]:
    settings.CHANNELS = {"email": "tests.campaigns.test_delivery.FakeChannel"}
    FakeChannel.sent, FakeChannel.fail, FakeChannel.opened = [], None, 0
    return FakeChannel


def queued(**fields: Any) -> Message:
    customer_fields = {k: fields.pop(k) for k in list(fields) if k in ("name", "email", "kind", "timezone")}
    customer = factories.customer(**customer_fields)
    return factories.message(factories.case(customer), **fields)


def parsed(sink: Sink, number: int = 0) -> EmailMessage:
    message = message_from_bytes(sink.reader.content(sink.mails()[number]), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


pytestmark = pytest.mark.django_db


def test_a_mail_leaves_is_stored_without_its_secret_and_logged(smtp_sink: Sink) -> None:
    message = queued(name="Zażółć Gęślą S.p.A. d'Alò — «Città»", email="anna@example.com")
    factories.contact(message.customer, name="Łucja Dell'Àgata")
    message.contact = message.customer.contacts.get()
    message.save(update_fields=["contact"])
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, sent=1)

    mail = parsed(smtp_sink)
    assert mail["To"].addresses[0].display_name == "Łucja Dell'Àgata"
    assert mail["To"].addresses[0].addr_spec == "anna@example.com"
    assert mail["From"].addresses[0].addr_spec == "billing@acme.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Sollecito-Message"] == message.key
    assert mail["Date"].datetime == NOW
    text = mail.get_body(("plain",))
    html = mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert mail.get_content_type() == "multipart/alternative"
    assert "Dear Zażółć Gęślą S.p.A. d'Alò — «Città»" in text.get_content()
    assert f"https://pay.example.com/p/secret{message.pk}" in text.get_content()
    assert f'href="https://pay.example.com/p/secret{message.pk}"' in html.get_content()

    message.refresh_from_db()
    assert message.status == MessageStatus.SENT
    assert (message.sent_at, message.attempts, message.send_at) == (NOW, 1, None)
    assert message.provider_id == mail["Message-ID"]
    assert message.subject == mail["Subject"]
    assert message.subject.startswith("Your payment of ")
    for stored in (message.subject, message.html, message.text):
        assert "secret" not in stored
    assert "https://pay.example.com/p/…" in message.text
    case = Case.objects.get(pk=message.case_id)
    assert case.last_contact_at == NOW
    line = Interaction.objects.get(kind="message.sent")
    assert (line.direction, line.channel, line.subject) == ("out", "email", f"message:{message.pk}")


def test_long_names_and_line_breaks_survive_the_headers(smtp_sink: Sink) -> None:
    long = "Vereinigte Elektronikwerkstätten Mecklenburg-Vorpommern Beteiligungsgesellschaft mbH & Co. KG " * 2
    queued(name=long.strip(), email="a@example.com")
    queued(name="Bcc: all@example.com\r\nBcc: x@example.com", email="b@example.com")
    assert deliver_due(now=NOW).sent == 2
    # Not by the newer parser, which puts blanks between the encoded words of a name (RFC 2047, 6.2).
    header = message_from_bytes(smtp_sink.reader.content(smtp_sink.mails()[0]))["To"]
    assert str(make_header(decode_header(header))) == f"{long.strip()} <a@example.com>"
    assert parsed(smtp_sink, 1)["Bcc"] is None
    assert [mail.recipients for mail in smtp_sink.mails()] == [("a@example.com",), ("b@example.com",)]


def test_a_message_carries_what_the_rules_of_its_country_ask_for(channel: type[FakeChannel]) -> None:
    own = factories.message(factories.case(factories.customer(country="US", timezone="America/New_York")))
    brand = factories.brand(code="agency", name="Fair Collections", collects_for_others=True)
    customer = factories.customer(country="US", timezone="America/New_York", brand=brand, email="b@example.com")
    collected = factories.message(factories.case(customer))
    at = NOW + timedelta(hours=3)
    assert deliver_due(now=at).sent == 2
    sent = {outgoing.message_id: outgoing for outgoing in channel.sent}
    assert "debt collector" not in sent[own.pk].text
    for part in (sent[collected.pk].text, sent[collected.pk].html):
        assert "Fair Collections" in part
        assert "This communication is from a debt collector." in part
        assert f"https://pay.example.com/p/secret{collected.pk}" in part
    collected.refresh_from_db()
    assert "debt collector" in collected.text
    assert "secret" not in collected.text


def test_running_twice_sends_once(channel: type[FakeChannel]) -> None:
    queued()
    assert deliver_due(now=NOW).sent == 1
    assert deliver_due(now=NOW) == DeliverResult()
    assert deliver_due(now=NOW + timedelta(days=1)) == DeliverResult()
    assert len(channel.sent) == 1


def test_what_is_due_later_waits_and_due_is_at_or_before(channel: type[FakeChannel]) -> None:
    queued(send_at=NOW + timedelta(seconds=1))
    assert deliver_due(now=NOW) == DeliverResult()
    assert deliver_due(now=NOW + timedelta(seconds=1)).sent == 1


def pay(case: Case) -> None:
    for link in case.case_invoices.select_related("invoice"):
        link.invoice.amount_paid = link.invoice.amount_due
        link.invoice.status = InvoiceStatus.PAID
        link.invoice.save()


def promise(case: Case) -> None:
    Promise.objects.create(
        customer=case.customer, brand=case.brand, amount=100, currency="EUR", promised_on=NOW.date(),
        expires_at=NOW + timedelta(days=3), created_at=NOW,
    )  # fmt: skip


def dispute(case: Case) -> None:
    for link in case.case_invoices.all():
        link.invoice.disputed_at = NOW
        link.invoice.save()


def pause(case: Case) -> None:
    Case.objects.filter(pk=case.pk).update(state="paused")


def close(case: Case) -> None:
    Case.objects.filter(pk=case.pk).update(state="cancelled", closed_at=NOW, next_action_at=None)


def silence(case: Case) -> None:
    Customer.objects.filter(pk=case.customer_id).update(do_not_contact=True)


def delete(case: Case) -> None:
    Customer.objects.filter(pk=case.customer_id).update(deleted_at=NOW)


def refuse(case: Case) -> None:
    opt_out_record(channel="email", address=case.customer.email.upper(), evidence=Evidence(Source.ONE_CLICK), now=NOW)


CHANGES = [
    (pay, "balance.paid"),
    (promise, "case.promised"),
    (dispute, "case.disputed"),
    (pause, "case.paused"),
    (close, "case.closed"),
    (silence, "customer.do_not_contact"),
    (delete, "customer.deleted"),
    (refuse, "address.suppressed"),
]


@pytest.mark.parametrize(("change", "rule"), CHANGES)
def test_what_happens_between_queue_and_sending_cancels(
    channel: type[FakeChannel], change: Callable[[Case], None], rule: str
) -> None:
    message = queued()
    change(message.case)
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, cancelled=1)
    message.refresh_from_db()
    assert (message.status, message.rule, message.text) == (MessageStatus.CANCELLED, rule, "")
    assert message.reason
    assert Interaction.objects.get(kind="message.cancelled").data["rule"] == rule
    assert channel.sent == []


@pytest.mark.parametrize(("change", "rule"), CHANGES)
def test_what_happens_after_the_batch_was_read_stops_it_too(
    channel: type[FakeChannel],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Case], None],
    rule: str,
) -> None:
    message = queued()
    write = delivery.letter.write

    def paid_meanwhile(*args: Any) -> Any:
        change(message.case)
        return write(*args)

    monkeypatch.setattr(delivery.letter, "write", paid_meanwhile)
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, released=1)
    monkeypatch.undo()
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, cancelled=1)
    message.refresh_from_db()
    assert message.rule == rule
    assert channel.sent == []


@pytest.mark.parametrize("status", [AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN])
def test_a_charge_under_way_is_waited_for(
    channel: type[FakeChannel], monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """Queued at night, charged in the morning: who pays at this very moment is not asked to pay."""
    message = queued()
    write = delivery.letter.write
    invoice = message.case.case_invoices.get().invoice

    def charged_meanwhile(*args: Any) -> Any:
        factories.attempt(invoice, status=status)
        return write(*args)

    monkeypatch.setattr(delivery.letter, "write", charged_meanwhile)
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, released=1)
    monkeypatch.undo()
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, deferred=1)
    message.refresh_from_db()
    assert (message.rule, message.send_at) == ("one_clock.charging", NOW + SOON)
    assert deliver_due(now=NOW + SOON) == DeliverResult(claimed=1, deferred=1)
    assert Interaction.objects.filter(kind="message.deferred").count() == 1
    PaymentAttempt.objects.update(status=AttemptStatus.DECLINED)
    assert deliver_due(now=NOW + 2 * SOON).sent == 1


def test_a_customer_another_worker_writes_to_waits(channel: type[FakeChannel]) -> None:
    """Two brands, two workers, a claim each: what the other is about to say counts before it is said."""
    theirs = queued(email="anna@example.com")
    mine = factories.message(theirs.case)
    Message.objects.filter(pk=theirs.pk).update(status="sending", claimed_at=NOW - timedelta(seconds=1))
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, deferred=1)
    mine.refresh_from_db()
    assert (mine.rule, mine.send_at) == ("customer.busy", NOW + BUSY)
    Message.objects.filter(pk=theirs.pk).update(status="sent", sent_at=NOW)
    assert deliver_due(now=NOW + BUSY) == DeliverResult(claimed=1, deferred=1)
    mine.refresh_from_db()
    assert mine.rule != "customer.busy"


def test_a_day_that_has_come_is_announced_no_more(channel: type[FakeChannel]) -> None:
    case = factories.case(factories.customer(email="anna@example.com"), trigger="invoice_due", anchor_at=NOW)
    message = factories.message(case)
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, cancelled=1)
    message.refresh_from_db()
    assert (message.rule, channel.sent) == ("case.day_come", [])


def test_quiet_hours_put_it_back_with_the_reason(channel: type[FakeChannel]) -> None:
    night = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
    message = queued(send_at=night)
    assert deliver_due(now=night) == DeliverResult(claimed=1, deferred=1)
    message.refresh_from_db()
    assert (message.status, message.rule) == (MessageStatus.QUEUED, "quiet_hours.default")
    assert message.send_at == datetime(2026, 3, 10, 6, 0, tzinfo=UTC)
    assert message.attempts == 0
    assert "07:00" in message.reason
    assert deliver_due(now=message.send_at).sent == 1


def test_the_second_message_of_a_batch_sees_the_first(channel: type[FakeChannel]) -> None:
    first = queued()
    factories.message(first.case)
    assert deliver_due(now=NOW) == DeliverResult(claimed=2, sent=1, deferred=1)
    second = Message.objects.get(status=MessageStatus.QUEUED)
    assert (second.rule, second.send_at) == ("min_gap.ladder", NOW + timedelta(hours=20))
    assert deliver_due(now=NOW + timedelta(hours=19)) == DeliverResult()


def test_a_suppressed_address_is_a_persons_business(channel: type[FakeChannel]) -> None:
    message = queued(email="Anna@Example.com")
    Suppression.objects.create(channel="email", address="anna@example.com", reason="complaint", created_at=NOW)
    assert deliver_due(now=NOW).cancelled == 1
    assert Task.objects.get().customer_id == message.customer_id


def test_the_thank_you_goes_out_after_the_case_is_closed(channel: type[FakeChannel]) -> None:
    message = queued(purpose="receipt")
    version = message.template_version
    TemplateText.objects.filter(version=version).update(
        subject="Thank you for {{ payment.amount | money: payment.currency }}"
    )
    pay(message.case)
    close(message.case)
    delivery.letter._texts.clear()
    assert deliver_due(now=NOW).sent == 1
    assert channel.sent[0].subject.startswith("Thank you for ")
    assert "49" in channel.sent[0].subject


# --- What a channel may answer, played by a real mail server.


@pytest.mark.parametrize(
    ("recipient", "result", "status", "suppressed", "stored"),
    [
        ("bounce@example.com", {"failed": 1}, "failed", True, 0),
        ("full@example.com", {"failed": 1}, "failed", False, 0),
        ("spam@example.com", {"failed": 1}, "failed", False, 0),
        ("greylist@example.com", {"retried": 1}, "queued", False, 0),
        ("gone@example.com", {"retried": 1}, "queued", False, 0),
        ("drop@example.com", {"ambiguous": 1}, "ambiguous", False, 1),
    ],
)
def test_refusals(
    smtp_sink: Sink, recipient: str, result: dict[str, int], status: str, suppressed: bool, stored: int
) -> None:
    message = queued(email=recipient)
    other = queued(email="anna@example.com")
    assert deliver_due(now=NOW) == DeliverResult(claimed=2, sent=1, **result)
    message.refresh_from_db()
    other.refresh_from_db()
    assert other.status == MessageStatus.SENT  # on a new connection where the old one broke
    assert message.status == status
    assert message.reason
    assert Suppression.objects.filter(address=recipient).exists() is suppressed
    assert len(smtp_sink.mails()) == 1 + stored
    assert Task.objects.count() == (0 if status == "queued" else 1)
    if status == "queued":
        assert (message.send_at, message.text, message.attempts) == (NOW + BACKOFF[0], "", 1)
    if status == "ambiguous":
        later = NOW + timedelta(days=2)
        assert deliver_due(now=later) == DeliverResult()
        assert sweep(now=later).total == 0


def test_a_message_refused_for_now_is_tried_five_times_then_handed_to_a_person(smtp_sink: Sink) -> None:
    message = queued(email="greylist@example.com")
    now, tries = NOW, 0
    while message.status == MessageStatus.QUEUED:
        tries += deliver_due(now=now).claimed
        message.refresh_from_db()
        now = message.send_at or now
    assert tries == MAX_TRIES == 5
    assert message.status == MessageStatus.FAILED
    assert now - NOW == sum(BACKOFF, timedelta())
    assert Task.objects.get().notes.startswith("greylist@example.com")
    assert Customer.objects.get(pk=message.customer_id).reassess_at is not None


def test_a_server_out_of_reach_costs_no_tries(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    messages = [queued(), queued(), queued()]
    assert deliver_due(now=NOW) == DeliverResult(claimed=3, retried=1, released=2)
    for message in messages:
        message.refresh_from_db()
        assert (message.status, message.attempts) == (MessageStatus.QUEUED, 0)
        assert message.send_at == NOW + OUTAGE_WAIT


def test_an_unforeseen_error_while_sending_is_ambiguous(channel: type[FakeChannel]) -> None:
    def explode(outgoing: Outgoing) -> None:
        raise KeyError("x")

    channel.fail = explode
    queued()
    assert deliver_due(now=NOW) == DeliverResult(claimed=1, ambiguous=1)
    assert Task.objects.count() == 1


def test_one_poison_message_does_not_stop_the_others(channel: type[FakeChannel]) -> None:
    bad = factories.template("bad")
    TemplateText.objects.filter(version__template=bad).update(compiled_html="{{ payment.amount }}")
    poison = queued(template_version=bad.versions.get())
    queued()
    assert deliver_due(now=NOW) == DeliverResult(claimed=2, sent=1, failed=1)
    poison.refresh_from_db()
    assert poison.status == MessageStatus.FAILED
    assert "Payment.amount" in poison.reason
    assert Task.objects.filter(customer=poison.customer).count() == 1


def test_a_slow_batch_gives_the_rest_back(channel: type[FakeChannel], monkeypatch: pytest.MonkeyPatch) -> None:
    queued()
    queued()
    monkeypatch.setattr(delivery, "BATCH_SECONDS", -1)
    assert deliver_due(now=NOW) == DeliverResult(claimed=2, released=2)
    monkeypatch.undo()
    assert deliver_due(now=NOW).sent == 2


# --- Dead workers.


def test_a_claim_of_a_dead_worker_goes_back_if_nothing_was_handed_over(channel: type[FakeChannel]) -> None:
    message = queued()
    assert outbox.claim(NOW, 10) == [message.pk]
    assert sweep(now=NOW + STUCK_AFTER).total == 0
    later = NOW + STUCK_AFTER + timedelta(seconds=1)
    assert sweep(now=later).requeued == 1
    assert deliver_due(now=later).sent == 1


def test_a_message_that_had_its_text_is_never_sent_again_by_itself(channel: type[FakeChannel]) -> None:
    class Killed(BaseException):
        pass

    def kill(outgoing: Outgoing) -> None:
        raise Killed

    channel.fail = kill
    message = queued()
    with pytest.raises(Killed):
        deliver_due(now=NOW)
    channel.fail = None
    later = NOW + timedelta(hours=1)
    assert sweep(now=later).ambiguous == 1
    assert deliver_due(now=later + timedelta(days=1)) == DeliverResult()
    message.refresh_from_db()
    assert message.status == MessageStatus.AMBIGUOUS
    assert Task.objects.count() == 1
    assert Interaction.objects.filter(kind="message.ambiguous").count() == 1


def test_a_message_that_kills_its_worker_is_failed_in_the_end() -> None:
    message = queued()
    now = NOW
    for _try in range(MAX_TRIES):
        assert outbox.claim(now, 10) == [message.pk]
        now += STUCK_AFTER + timedelta(seconds=1)
        sweep(now=now)
    message.refresh_from_db()
    assert message.status == MessageStatus.FAILED
    assert Task.objects.count() == 1


def test_a_swept_worker_that_lives_after_all_sends_nothing(
    channel: type[FakeChannel], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = queued()
    write = delivery.letter.write

    def swept_meanwhile(*args: Any) -> Any:
        sweep(now=NOW + timedelta(hours=1))
        return write(*args)

    monkeypatch.setattr(delivery.letter, "write", swept_meanwhile)
    deliver_due(now=NOW)
    assert channel.sent == []
    message.refresh_from_db()
    assert message.status == MessageStatus.QUEUED


# --- Staff.


def test_staff_may_call_back_only_what_is_queued(channel: type[FakeChannel], django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("mara")
    message = queued()
    message_cancel(message_id=message.pk, actor_id=user.pk, reason="Spoke on the phone", now=NOW)
    assert deliver_due(now=NOW) == DeliverResult()
    assert Interaction.objects.get(kind="message.cancelled").actor_id == user.pk
    with pytest.raises(SollecitoError):
        message_cancel(message_id=message.pk, actor_id=user.pk, reason="", now=NOW)


def test_staff_settle_or_resend_what_is_uncertain(smtp_sink: Sink, django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("mara")
    first, second = queued(email="drop@example.com"), queued(email="drop@example.com")
    assert deliver_due(now=NOW).ambiguous == 2
    message_confirm_sent(message_id=first.pk, actor_id=user.pk, now=NOW)
    message_resend(message_id=second.pk, actor_id=user.pk, now=NOW + timedelta(hours=1))
    assert Task.objects.filter(status="open").count() == 0
    Customer.objects.filter(pk=second.customer_id).update(email="anna@example.com")
    assert deliver_due(now=NOW + timedelta(hours=1)).sent == 1
    ids = {parsed(smtp_sink, number)["Message-ID"] for number in (1, 2)}
    assert len(ids) == 1  # the same message, told apart by nobody
    for sent in (first, second):
        with pytest.raises(SollecitoError):
            message_resend(message_id=sent.pk, actor_id=user.pk, now=NOW)


# --- Cost.


def test_reading_a_batch_costs_the_same_for_one_and_for_fifty(channel: type[FakeChannel]) -> None:
    def queries(count: int) -> tuple[int, int]:
        for _n in range(count):
            queued()
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert deliver_due(now=NOW, limit=50).sent == count
        reads = [q for q in captured if q["sql"].startswith("SELECT") and "FOR UPDATE" not in q["sql"]]
        return len(reads), len(captured)

    delivery.letter._texts.clear()
    queries(1)
    one, all_for_one = queries(1)
    fifty, all_for_fifty = queries(50)
    assert one == fifty
    # Noting one message's outcome before the next is handed over is what keeps a crash from touching many.
    assert (all_for_fifty - all_for_one) % 49 == 0
    assert (all_for_fifty - all_for_one) // 49 <= 7


# --- Many workers.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("claimed", [True, False], ids=["with the claim", "control: without"])
def test_two_threads_send_each_message_once(
    channel: type[FakeChannel], monkeypatch: pytest.MonkeyPatch, claimed: bool
) -> None:
    for _n in range(12):
        queued()
    barrier = threading.Barrier(2)
    if not claimed:
        # What a check-then-send loop does: read what is due, mark it, send it.
        def read(now: datetime, limit: int) -> list[int]:
            ids = list(Message.objects.filter(status="queued", send_at__lte=now).values_list("pk", flat=True))
            barrier.wait(10)
            Message.objects.filter(pk__in=ids).update(status="sending", claimed_at=now)
            barrier.wait(10)
            return ids

        # Both stand before the wire with the same first message in hand, whatever the machine's pace.
        hand_over, met = outbox.hand_over, threading.local()

        def hand_over_together(message: Message, **texts: str) -> bool:
            handed = hand_over(message, **texts)
            if not getattr(met, "once", False):
                met.once = True
                barrier.wait(10)
            return handed

        monkeypatch.setattr(outbox, "claim", read)
        monkeypatch.setattr(outbox, "hand_over", hand_over_together)

    def work() -> None:
        try:
            if claimed:
                barrier.wait(10)
                while deliver_due(now=NOW, limit=2).claimed:
                    pass
            else:
                deliver_due(now=NOW)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    sent = [outgoing.key for outgoing in channel.sent]
    assert len(set(sent)) == 12
    assert (len(sent) == 12) is claimed


def test_a_temporary_failure_of_a_fake_channel_backs_off(channel: type[FakeChannel]) -> None:
    def busy(outgoing: Outgoing) -> None:
        raise ChannelError("busy", fate=Fate.TEMPORARY)

    channel.fail = busy
    message = queued()
    assert deliver_due(now=NOW).retried == 1
    message.refresh_from_db()
    assert message.reason == "busy"


def test_the_customers_real_link_leaves_and_only_its_hash_stays(smtp_sink: Sink, settings: Any, client: Any) -> None:
    settings.CUSTOMER_LINKS = "portal.links.links_for_mail"
    message = queued(email="anna@example.com")
    assert deliver_due(now=NOW).sent == 1
    text = parsed(smtp_sink).get_body(("plain",))
    assert text is not None
    link = next(word for word in text.get_content().split() if word.startswith(settings.BASE_URL))
    token = link.rstrip("/").rpartition("/")[2]
    assert len(token) > 30
    message.refresh_from_db()
    for stored in (message.text, message.html):
        assert token not in stored
        assert f"{settings.BASE_URL}/p/" in stored
