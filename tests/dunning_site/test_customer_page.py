"""The customer page: tabs by their address, at the same cost for a customer with nothing and with ten years of log."""

import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.ageing import owed_by
from billing.models import Invoice, Payment
from customers.admin.customer import CustomerAdmin
from customers.clock import running_on
from customers.kinds import KINDS, label
from customers.log import Entry, record_many
from customers.models import Customer
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TABS = [section.slug for section in CustomerAdmin.page_sections]


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def page(client: Client, customer: Customer, query: str = "") -> str:
    answer = client.get(reverse("admin:customers_customer_change", args=[customer.pk]) + query)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def lived(entries: int, invoices: int) -> Customer:
    """A customer with a live case, a message, and so many of everything that grows."""
    customer = make.customer()
    method, case = make.payment_method(customer), make.case(customer)
    sent = make.message(case, status="opened", text="x", first_opened_at=NOW)
    Invoice.objects.bulk_create(
        Invoice(
            customer=customer, brand=customer.brand, source="stripe", external_id=f"{customer.pk}-{n}", currency="EUR",
            amount_due=100, amount_paid=n % 2 * 100, status="paid" if n % 2 else "open", issued_at=NOW, due_at=NOW,
        )
        for n in range(invoices)
    )  # fmt: skip
    for invoice in customer.invoices.all()[:3]:
        make.attempt(invoice, payment_method=method)
    record_many(
        Entry(
            customer_id=customer.pk, at=NOW - timedelta(minutes=n), kind=("message.sent", "note.added")[n % 2],
            summary=f"Entry {n}", subject="" if n % 2 else f"message:{sent.pk}",
        )
        for n in range(entries)
    )  # fmt: skip
    return customer


def test_every_tab_costs_the_same_with_ten_thousand_entries_and_three_hundred_invoices(boss: Client) -> None:
    make.account()
    small, large = lived(2, 2), lived(10_000, 300)
    page(boss, small)  # what a process reads once

    def cost(customer: Customer, tab: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            page(boss, customer, f"?tab={tab}")
        return len(queries)

    costs = {tab: (cost(small, tab), cost(large, tab)) for tab in (*TABS, "details")}
    assert {tab: pair for tab, pair in costs.items() if pair[1] > pair[0]} == {}
    assert max(most for _few, most in costs.values()) <= 60
    assert cost(large, "timeline&find=entry+99&kind=notes") <= costs["timeline"][1]


def test_tabs_have_addresses_and_the_old_ones_go_on_working(boss: Client) -> None:
    customer = make.customer()
    for tab in TABS:
        shown = page(boss, customer, f"?tab={tab}")
        current = re.findall(r'href="\?tab=(\w+)" class="active" aria-current="page"', shown)
        assert current == [tab]
    assert 'href="?tab=notes" class="active"' in page(boss, customer, "?section=notes")
    missing = boss.get(reverse("admin:customers_customer_change", args=[customer.pk]) + "?tab=nonsense")
    assert missing.status_code == 404


def test_a_customer_of_whom_nothing_is_known_is_shown(boss: Client) -> None:
    customer = make.customer(
        name="", email="", external_id=None, source="manual", country="", timezone="", language=""
    )
    for tab in (*TABS, "details"):
        page(boss, customer, f"?tab={tab}")
    assert "Nothing has happened here yet" in page(boss, customer)


def test_the_header_says_how_late_and_how_much_by_currency(boss: Client) -> None:
    customer = make.customer()
    for currency, amount, days in (("EUR", 1000, -1), ("EUR", 200, 0), ("EUR", 30, 30), ("JPY", 500, 91)):
        make.invoice(customer, currency=currency, amount_due=amount, due_at=NOW - timedelta(days=days))
    make.invoice(customer, amount_due=7, amount_paid=7, status="paid")
    Payment.objects.create(
        customer=customer, amount=900, refunded=100, currency="EUR", received_at=NOW, external_id="ch_1"
    )
    owed = owed_by(customer_id=customer.pk, now=NOW)
    assert [(o.currency, o.invoices, o.total, o.buckets, o.overdue) for o in owed] == [
        ("EUR", 3, 1230, (1200, 30, 0, 0, 0), 30),
        ("JPY", 1, 500, (0, 0, 0, 0, 500), 500),
    ]
    with running_on(lambda: NOW):
        shown = page(boss, customer)
    for words in ("€12.30", "¥500", "€12.00 not due yet", "€0.30 1–30 days late", "¥500 over 90 days late", "€8.00"):
        assert words in shown, words


def test_the_log_is_searched_and_its_kinds_have_words(boss: Client) -> None:
    customer, other = make.customer(), make.customer()
    for who, kind, summary, body in (
        (customer, "call.logged", "Call: spoke", "Pays on 50% Friday"),
        (customer, "attempt.declined", "Declined", ""),
        (other, "call.logged", "Friday at another", ""),
    ):
        record_many([Entry(customer_id=who.pk, at=NOW, kind=kind, summary=summary, body=body)])

    def found(query: str) -> list[str]:
        answer = boss.get(reverse("admin:customers_customer_change", args=[customer.pk]) + query)
        return [line.entry.summary for line in answer.context["timeline"]]

    assert found("?find=friday+pays") == ["Call: spoke"]
    assert found("?find=50%25") == ["Call: spoke"]
    assert found("?find=friday&kind=money") == []
    assert found("?kind=money") == found("?kind=attempt.declined") == ["Declined"]
    assert found("?kind=no.such") == ["Declined", "Call: spoke"]
    shown = page(boss, customer)
    assert "Charge declined ·" in shown
    assert "attempt.declined ·" not in shown


def test_every_kind_of_the_log_has_words() -> None:
    documented = set(
        re.findall(r"`([a-z_]+\.[a-z_]+)`", (Path(__file__).resolve().parents[2] / "docs/events.md").read_text())
    )
    assert documented - KINDS.keys() == set()
    assert label("plug_in.thing") == "plug in: thing"


def test_the_audit_tab_tells_each_edit_with_its_author(boss: Client) -> None:
    customer = make.customer(name="Before", do_not_contact=False)
    contact = make.contact(customer, phone="+391")
    anna: Any = User.objects.create_user("anna")
    customer.name, customer.do_not_contact = "After <b>", True
    customer._history_user = anna  # type: ignore[attr-defined]
    customer.save()
    contact.phone = "+392"
    contact.save()
    shown = page(boss, customer, "?tab=audit")
    for words in ("<del>Before</del>", "<ins>After <b></ins>", "<ins>yes</ins>", "<del>+391</del>", "anna"):
        assert words in shown, words
    user = User.objects.create_user("narrow", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_customer", content_type__app_label="customers"))
    narrow = make.desk(user)
    assert "+391" not in page(narrow, customer, "?tab=audit")
