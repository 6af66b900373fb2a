"""The log as evidence: every line in its order, hashes that show any change, and the export itself in the log."""

import io
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pypdf import PdfReader

from campaigns import evidence
from campaigns.evidence import LINES_FILE, evidence_export, message_hash, verify
from customers.errors import SollecitoError
from customers.log import Entry, record_many
from customers.models import Customer
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna", first_name="Anna", last_name="Rossi", is_staff=True)


def told(customer: Customer, *summaries: str, subject: str = "") -> None:
    record_many(
        Entry(customer_id=customer.pk, at=NOW + timedelta(minutes=i), kind="message.sent", summary=s, subject=subject)
        for i, s in enumerate(summaries)
    )


def lines_of(pdf: bytes) -> list[str]:
    return PdfReader(io.BytesIO(pdf)).attachments[LINES_FILE][0].decode().splitlines()


def test_the_document_holds_every_line_in_order_and_its_hashes_can_be_checked(anna: User) -> None:
    customer = make.customer(name="Gęślą Jaźń 株式会社 😀")
    message = make.message(
        make.case(customer), subject="Your invoice", text="Please pay 4.900 ¥", html="<p>x</p>", status="opened"
    )
    told(customer, "First", "Second 😀", "Third", subject=f"message:{message.pk}")
    later = NOW + timedelta(hours=1)
    made = evidence_export(customer_id=customer.pk, actor_id=anna.pk, now=later)
    lines = lines_of(made.pdf)
    assert [json.loads(line)["summary"] for line in lines] == ["First", "Second 😀", "Third"]
    assert {json.loads(line)["message_sha256"] for line in lines} == {message_hash(message)}
    assert verify(lines) == made.log_hash
    for wrong in (lines[:-1], lines[::-1], [lines[0].replace("First", "Last"), *lines[1:]]):
        assert verify(wrong) != made.log_hash
    words = "".join(page.extract_text() for page in PdfReader(io.BytesIO(made.pdf)).pages)
    for part in (made.log_hash, message_hash(message), "Anna Rossi (anna)", "Please pay 4.900 ¥", "[U+1F600]"):
        assert part in words.replace("\n", ""), part
    assert "\x00" not in words
    line = customer.interactions.get(kind="log.exported")
    assert (line.actor, line.at, line.data["sha256"], line.data["lines"]) == (anna, later, made.log_hash, 3)


def test_the_same_log_has_the_same_hash_and_a_longer_one_another(anna: User) -> None:
    customer, other = make.customer(), make.customer()
    told(customer, "One", "Two")
    told(other, "Not theirs")
    period = {"customer_id": customer.pk, "actor_id": anna.pk, "until": NOW + timedelta(minutes=30)}
    first = evidence_export(now=NOW + timedelta(hours=1), **period)  # type: ignore[arg-type]
    second = evidence_export(now=NOW + timedelta(hours=2), **period)  # type: ignore[arg-type]
    assert first.log_hash == second.log_hash
    whole = evidence_export(customer_id=customer.pk, actor_id=anna.pk, now=NOW + timedelta(hours=3))
    assert [json.loads(line)["kind"] for line in lines_of(whole.pdf)][2:] == ["log.exported"] * 2
    assert whole.log_hash != first.log_hash
    one = evidence_export(
        customer_id=customer.pk, actor_id=anna.pk, now=NOW, since=NOW, until=NOW + timedelta(minutes=1)
    )
    assert one.lines == 1


def test_an_empty_log_and_one_that_is_too_long_are_refused(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = make.customer()
    with pytest.raises(SollecitoError, match="nothing in the log"):
        evidence_export(customer_id=customer.pk, actor_id=anna.pk, now=NOW)
    told(customer, "One", "Two")
    monkeypatch.setattr(evidence, "MOST_LINES", 1)
    with pytest.raises(SollecitoError, match="More than 1"):
        evidence_export(customer_id=customer.pk, actor_id=anna.pk, now=NOW)
    assert not customer.interactions.filter(kind="log.exported").exists()


def test_the_export_needs_its_permission_and_comes_as_a_download(anna: User, client: Client) -> None:
    customer = make.customer()
    told(customer, "One")
    url = reverse("admin:customers_customer_do", args=[customer.pk, "evidence"])
    client.force_login(anna)
    assert client.post(url).status_code == 403
    client.force_login(User.objects.create_superuser("boss"))
    answer = client.post(url, {"first": "2020-01-01", "last": "2100-01-01"})
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer.content.startswith(b"%PDF-")
