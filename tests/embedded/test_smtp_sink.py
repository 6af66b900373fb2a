import smtplib
import subprocess
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import pytest

from dunning_site.embedded.smtp_sink import Sink
from dunning_site.mail_store import INDEX, MailReader


def mail(to: str, subject: str = "Città e żółć") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "a@example.com"
    message["To"] = to
    message["Subject"] = subject
    message.set_content("zażółć gęślą jaźń")
    message.add_alternative("<p>zażółć</p>", subtype="html")
    return message


def test_a_mail_is_kept_as_it_came(smtp_sink: Sink) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_sink.port, timeout=5) as client:
        client.send_message(mail("anna@example.com"))
    (kept,) = smtp_sink.mails()
    assert (kept.number, kept.recipients, kept.subject) == (1, ("anna@example.com",), "Città e żółć")
    assert b"multipart/alternative" in smtp_sink.reader.content(kept)


@pytest.mark.parametrize(
    ("to", "code"), [("bounce@x.example", 550), ("bounce-7@x.example", 550), ("full@x.example", 552)]
)
def test_recipients_that_are_refused(smtp_sink: Sink, to: str, code: int) -> None:
    with (
        smtplib.SMTP("127.0.0.1", smtp_sink.port, timeout=5) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused) as refused,
    ):
        client.send_message(mail(to))
    assert refused.value.recipients[to][0] == code
    assert smtp_sink.mails() == []


def test_a_name_that_only_begins_alike_is_taken(smtp_sink: Sink) -> None:
    smtp_sink.handler.refuse["@blocked.example"] = "550 5.7.1 Not you"
    with smtplib.SMTP("127.0.0.1", smtp_sink.port, timeout=5) as client:
        client.send_message(mail("bouncer@example.com"))
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.send_message(mail("anna@blocked.example"))
    assert len(smtp_sink.mails()) == 1


def test_a_half_written_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    line = '{"number": 1, "at": "", "date": "", "sender": "", "recipients": ["a"], "subject": "x", "size": 1}\n'
    reader = MailReader(tmp_path)
    assert reader.mails() == []
    (tmp_path / INDEX).write_text(line + line[:20])
    assert len(reader.mails()) == 1
    with (tmp_path / INDEX).open("a") as index:
        index.write(line[20:])
    assert len(reader.mails()) == 2


def test_it_runs_as_a_process_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    command = [
        *(sys.executable, "-m", "dunning_site.embedded.smtp_sink", "--port", "0"),
        *("--port-file", str(port_file), "--dir", str(tmp_path / "mail")),
    ]
    for expected in (1, 2):
        port_file.unlink(missing_ok=True)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 20
            while not port_file.exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            with smtplib.SMTP("127.0.0.1", int(port_file.read_text()), timeout=5) as client:
                client.send_message(mail("anna@example.com"))
            process.terminate()
            assert process.wait(10) == 0
        assert [row.number for row in MailReader(tmp_path / "mail").mails()] == list(range(1, expected + 1))
