"""Every page of the back office opens, at a fixed number of queries, for whom the roles say."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from billing.models import (
    Allocation,
    AttemptStatus,
    Dispute,
    InboxEvent,
    Invoice,
    Payment,
    PaymentPlan,
    PlanInstalment,
    ProcessorCommand,
    Promise,
)  # fmt: skip
from campaigns.models import Case, DeliveryEvent, Message, StepRun, Task
from customers.log import Entry, record_many
from customers.models import Customer, Suppression
from portal.models import PortalLink
from tests import factories as make
from tests.factories import NOW

OURS = {"customers", "billing", "campaigns", "portal"}
MODELS = sorted(
    (model for model in admin.site._registry if model._meta.app_label in OURS), key=lambda m: m._meta.label_lower
)


def world(n: int, *, serial: int = 0) -> Customer:
    """One row of everything `n` times; returns a customer who has `n` of everything."""
    make.account()
    one = make.customer(name="Wąchock-Świętokrzyskie Przedsiębiorstwo Handlowo-Usługowe Szczęsny i Wspólnicy")
    make.contact(one)
    version = make.ladder()
    template = make.template()
    case = None
    for i in range(n):
        other = make.customer()
        sub = make.subscription(one)
        card = make.payment_method(one)
        invoice = make.invoice(one, subscription=sub, default_payment_method=card)
        make.attempt(invoice, payment_method=card)
        make.attempt(invoice, payment_method=card, status=AttemptStatus.PLANNED, at=None, scheduled_for=NOW)
        make.case(other, ladder_version=version)
        closed = {"state": "recovered", "closed_at": NOW, "close_reason": "paid", "next_action_at": None}
        row = make.case(one, invoices=[invoice], ladder_version=version, **({} if case is None else closed))
        case = case or row
        step = version.steps.order_by("position")[i % 3]
        run = StepRun.objects.create(case=row, step=step, scheduled_for=NOW, decided_at=NOW, decision="done")
        message = Message.objects.create(
            customer=one, brand=one.brand, case=row, step_run=run, channel="email", status="sent", language="en",
            template_version=template.versions.get(), recipient="x@example.com", key=f"m{serial}-{row.pk}",
            subject="Hello",
            html="<p>Hello</p><script>alert(1)</script>", text="Hello", queued_at=NOW, sent_at=NOW,
        )  # fmt: skip
        DeliveryEvent.objects.create(message=message, kind="delivered", at=NOW, external_id=f"e{i}")
        Task.objects.create(customer=one, case=row, kind="call", title=f"Call {i}", due_at=NOW, created_at=NOW)
        Promise.objects.create(
            customer=one, brand=one.brand, amount=100, currency="EUR", promised_on=NOW.date(), expires_at=NOW,
            status="kept", created_at=NOW,
        )  # fmt: skip
        plan = PaymentPlan.objects.create(
            customer=one, brand=one.brand, currency="EUR", status="completed", created_at=NOW
        )
        PlanInstalment.objects.create(plan=plan, number=1, due_on=NOW.date(), amount=100)
        Dispute.objects.create(invoice=invoice, amount=100, currency="EUR", opened_at=NOW, status="won")
        payment = Payment.objects.create(customer=one, amount=100, allocated=100, currency="EUR", received_at=NOW)
        Allocation.objects.create(payment=payment, invoice=invoice, amount=100)
        ProcessorCommand.objects.create(
            kind="mark_uncollectible", invoice=invoice, key=f"k{serial}-{invoice.pk}", due_at=NOW, created_at=NOW
        )
        InboxEvent.objects.create(
            source="stripe", event_id=f"evt{serial}-{invoice.pk}", type="invoice.paid", occurred_at=NOW,
            received_at=NOW, payload={"a": "<script>"}, status="failed", error="boom",
        )  # fmt: skip
        Suppression.objects.create(
            channel="email", address=f"a{serial}-{invoice.pk}@example.com", reason="manual", created_at=NOW
        )
        PortalLink.objects.create(
            customer=one, brand=one.brand, token_hash=f"{serial}-{invoice.pk}", created_at=NOW,
            expires_at=NOW + timedelta(days=9),
        )  # fmt: skip
        record_many(
            Entry(customer_id=one.pk, at=NOW - timedelta(minutes=i * 3 + k), kind=kind, summary=f"{kind} {i}",
                  subject=f"invoice:{invoice.pk}")
            for k, kind in enumerate(("attempt.declined", "message.sent", "case.opened"))
        )  # fmt: skip
    return one


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss-password"))
    return client


def changelist(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def change(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def queries(client: Client, url: str, django_assert_max_num_queries: Any) -> int:
    with django_assert_max_num_queries(60) as found:
        response = client.get(url)
        assert response.status_code == 200, url
    return len(found)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m._meta.label_lower)
def test_lists_open_empty(boss: Client, model: Any) -> None:
    assert boss.get(changelist(model)).status_code == 200


def test_lists_and_pages_cost_the_same_with_one_row_and_with_many(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    def measure(one: Customer) -> dict[str, int]:
        costs = {}
        for model in MODELS:
            costs[model._meta.label_lower] = queries(boss, changelist(model), django_assert_max_num_queries)
            row = (
                model._default_manager.filter(**({"customer": one} if model in (Case, Message) else {}))
                .order_by("pk")
                .first()
            )
            if model is Customer:
                row = one
            elif model is Invoice:
                row = one.invoices.order_by("pk").first()
            for section in sections(model):
                key = f"{model._meta.label_lower} {section}"
                costs[key] = queries(boss, f"{change(row)}?section={section}", django_assert_max_num_queries)
        return costs

    boss.get(reverse("admin:index"))
    small = measure(world(1))
    large = measure(world(12, serial=1))
    grown = {key: (small[key], cost) for key, cost in large.items() if cost > small[key]}
    assert grown == {}


def sections(model: Any) -> list[str]:
    page = admin.site._registry[model]
    return ["details", *(s.slug for s in getattr(page, "page_sections", []))]
