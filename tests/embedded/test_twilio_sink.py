from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from dunning_site.demo.mailbox import read
from dunning_site.embedded.twilio_sink import ACCOUNT_SID, AUTH_TOKEN, CLOCK, SMS_FROM, TwilioSink
from dunning_site.mail_store import MailReader, MailWriter

CALLBACK = "https://collect.example.com/webhooks/twilio/status/?key=step%3A123456%3A123456%3Asms"


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[TwilioSink]:
    writer = MailWriter(tmp_path)
    running = TwilioSink(writer).start()
    yield running
    running.stop()
    writer.close()


def client(sink: TwilioSink, token: str = AUTH_TOKEN) -> Client:
    made = Client(ACCOUNT_SID, token, environment={"none": ""})
    made.api.base_url = sink.url
    return made


def test_twilios_client_finds_its_texts_taken_and_kept(sink: TwilioSink, tmp_path: Path) -> None:
    requests.post(sink.url + CLOCK, data={"now": "2026-03-10T12:00:00+00:00"}, timeout=5)
    taken = [
        client(sink).messages.create(to="+393475500001", from_=SMS_FROM, body=body, status_callback=CALLBACK)
        for body in ("Zażółć: 19,00 €", "Second")
    ]
    assert taken[0].date_created == datetime(2026, 3, 10, 12, tzinfo=UTC)
    reader = MailReader(tmp_path)
    first, second = reader.mails()
    assert (first.recipients, first.subject) == (("+393475500001",), "Zażółć: 19,00 €")
    # A long address is folded on its way into the file; what comes out is the one that went in.
    text = read(first.recipients[0], reader.content(first))
    assert (text.callback, text.message_id, text.text.strip()) == (CALLBACK, taken[0].sid, "Zażółć: 19,00 €")
    assert text.is_text
    assert (
        taken[0].sid
        != taken[1].sid
        == message_from_bytes(reader.content(second), policy=policy.default)["X-Message-Sid"]
    )


def test_a_stranger_is_refused(sink: TwilioSink, tmp_path: Path) -> None:
    with pytest.raises(TwilioRestException) as refused:
        client(sink, "guess").messages.create(to="+393475500001", from_=SMS_FROM, body="Hello")
    assert refused.value.code == 20003
    assert MailReader(tmp_path).mails() == []
