"""The consent register in the admin: noted by staff, shown, exported, suppressions lifted with a reason."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from customers.models import ConsentEvent, Customer, Interaction, Suppression
from customers.services import suppression_add
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "x"))
    return client


def do(row: Any, slug: str) -> str:
    return reverse(f"admin:customers_{row._meta.model_name}_do", args=[row.pk, slug])


def section(client: Client, customer: Customer) -> str:
    url = reverse("admin:customers_customer_change", args=[customer.pk])
    return client.get(url, {"tab": "contacts"}).content.decode()


def test_staff_note_a_refusal_and_a_permission_with_evidence(boss: Client) -> None:
    customer = factories.customer(phone="333 1234567", email="Anna@example.com")
    assert "not asked" in section(boss, customer)
    form = {"decision": "granted", "channel": "whatsapp", "address": "", "evidence": "=HYPERLINK() said on the phone"}
    assert boss.get(do(customer, "consent")).status_code == 200
    assert boss.post(do(customer, "consent"), form).status_code == 302
    event = ConsentEvent.objects.get()
    assert (event.address, event.decision, event.source) == ("+393331234567", "granted", "staff")
    assert (event.actor.username, event.actor_kind) == ("boss", "user")
    form |= {"decision": "withdrawn", "channel": "email", "address": "anna@example.com"}
    boss.post(do(customer, "consent"), form)
    assert Suppression.objects.get().reason == "opt_out"
    text = section(boss, customer)
    assert "Allowed" in text
    assert "Refused" in text
    assert "said on the phone" in text

    response = boss.post(do(customer, "consent-export"))
    assert response["Content-Type"].startswith("text/csv")
    lines = response.content.decode().splitlines()
    assert len(lines) == 3
    assert "'=HYPERLINK()" in lines[1]
    assert Interaction.objects.get(kind="consent.exported").actor.username == "boss"


def test_evidence_is_not_optional_and_a_channel_without_address_notes_nothing(boss: Client) -> None:
    customer = factories.customer(phone="")
    form = {"decision": "granted", "channel": "email", "address": "", "evidence": ""}
    assert boss.post(do(customer, "consent"), form).status_code == 200
    form |= {"channel": "sms", "evidence": "said so"}
    assert boss.post(do(customer, "consent"), form).status_code == 302
    assert not ConsentEvent.objects.exists()


def test_lifting_an_opt_out_needs_grounds_which_go_into_the_register(boss: Client) -> None:
    boss.post(
        reverse("admin:customers_suppression_add"),
        {"channel": "email", "address": "A@b.example", "reason": "opt_out", "evidence": "wrote a letter"},
    )
    row = Suppression.objects.get()
    assert (row.address, ConsentEvent.objects.get().evidence) == ("a@b.example", "wrote a letter")
    assert boss.post(do(row, "lift"), {"reason": ""}).status_code == 200
    assert Suppression.objects.get().lifted_at is None
    assert boss.post(do(row, "lift"), {"reason": "rang us and agreed"}).status_code == 302
    assert Suppression.objects.get().lifted_at is not None
    newest = ConsentEvent.objects.first()
    assert newest is not None
    assert (newest.decision, newest.evidence) == ("granted", "rang us and agreed")


def test_lifting_a_bounce_is_no_consent(boss: Client) -> None:
    row = suppression_add(channel="email", address="a@b.example", reason="hard_bounce", evidence="550", now=NOW)
    assert boss.post(do(row, "lift"), {"reason": "mailbox is back"}).status_code == 302
    assert Suppression.objects.get().lifted_at is not None
    assert not ConsentEvent.objects.exists()
    assert Suppression.objects.get().history.first().history_change_reason == "mailbox is back"
