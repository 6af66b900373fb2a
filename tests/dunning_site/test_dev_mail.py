import json
from dataclasses import asdict
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dunning_site.mail_store import INDEX, MailWriter, StoredMail


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.DEV_MAIL_DIR = tmp_path
    return tmp_path


def store(folder: Path, to: str, subject: str = "Hello", html: str = "") -> None:
    message = EmailMessage()
    message["Subject"] = subject
    message["To"] = to
    message.set_content("Ciao, città <b>")
    if html:
        message.add_alternative(html, subtype="html")
    from tests.factories import NOW

    writer = MailWriter(folder)
    writer.store(message.as_bytes(), sender="a@b.example", recipients=[to], subject=subject, date="", at=NOW)
    writer.close()


def test_nothing_yet(client: Client, folder: Path) -> None:
    page = client.get(reverse("dev_mail:list"))
    assert page.status_code == 200
    assert "Nothing has been sent yet" in page.content.decode()


def test_newest_first_and_found_by_recipient(client: Client, folder: Path) -> None:
    store(folder, "anna@example.com", "First")
    store(folder, "bruno@example.com", "Second <script>")
    text = client.get(reverse("dev_mail:list")).content.decode()
    assert text.index("Second &lt;script&gt;") < text.index("First")
    found = client.get(reverse("dev_mail:list"), {"q": "ANNA"}).content.decode()
    assert "First" in found
    assert "Second" not in found
    assert "No mail matches" in client.get(reverse("dev_mail:list"), {"q": "zzz"}).content.decode()


def test_one_mail_in_every_form(client: Client, folder: Path) -> None:
    store(folder, "anna@example.com", html="<html><head></head><body><script>x()</script>Ciao</body></html>")
    page = client.get(reverse("dev_mail:mail", args=[1]))
    text = page.content.decode()
    assert "Ciao, città &lt;b&gt;" in text
    assert 'sandbox="allow-popups' in text
    framed = client.get(reverse("dev_mail:html", args=[1]))
    assert framed["X-Frame-Options"] == "SAMEORIGIN"
    assert framed["Content-Security-Policy"].startswith("sandbox ")
    assert "allow-scripts" not in framed["Content-Security-Policy"] + text
    assert client.get(reverse("dev_mail:mail", args=[2])).status_code == 404


def test_ten_thousand_mails_come_by_page(client: Client, folder: Path) -> None:
    rows = (
        StoredMail(n, "2026-03-10T12:00:00+00:00", "", "a@b", (f"c{n}@example.com",), f"Mail {n}", 10)
        for n in range(1, 10_001)
    )
    (folder / INDEX).write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    first = client.get(reverse("dev_mail:list")).content.decode()
    assert "Page 1 of 200" in first
    assert "Mail 10000<" in first
    assert "10,000 mails" in first
    last = client.get(reverse("dev_mail:list"), {"page": "200"}).content.decode()
    assert "Mail 1<" in last
    assert client.get(reverse("dev_mail:list"), {"page": "999999"}).status_code == 200
