"""Charges written a thousand at a time leave the same facts behind as one after the other, in constant statements."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.imports import charges as module
from billing.imports.charges import Charges
from billing.imports.items import Charge
from billing.imports.parties import Context
from billing.imports.presets import PRESETS
from billing.models import Allocation, Invoice, Payment, PaymentAttempt, UnknownCode
from customers.models import Customer, Interaction
from tests import factories as make

pytestmark = pytest.mark.django_db
NOW = make.NOW
SOURCE = "import:stripe"


class Undone(Exception):
    """Takes a trial back."""


def ledger() -> Charges:
    return Charges(Context(preset=PRESETS["stripe_payments"], brand=make.brand(), as_of=date(2026, 3, 10), now=NOW))


def invoice(number: int, **more: Any) -> Invoice:
    customer = Customer.objects.filter(source=SOURCE, external_id=f"cus_{number % 4}").first() or make.customer(
        source=SOURCE, external_id=f"cus_{number % 4}"
    )
    told = {"source": SOURCE, "external_id": f"in_{number}", "number": f"I-{number}", "amount_due": 1000}
    return make.invoice(customer, **{**told, "collection_method": "manual", "currency": "EUR", **more})


def paid_by_a_file(row: Invoice, amount: int) -> None:
    payment = Payment.objects.create(source=SOURCE, external_id=f"{row.external_id}:settled", customer=row.customer,
                                     amount=amount, allocated=amount, currency="EUR", received_at=NOW,
                                     method="import")  # fmt: skip
    Allocation.objects.create(payment=payment, invoice=row, amount=amount)
    status = {"status": "paid", "paid_at": NOW, "closed_at": NOW} if amount == row.amount_due else {}
    Invoice.objects.filter(pk=row.pk).update(amount_paid=amount, **status)


def company() -> None:
    """Invoices in every state charges may meet."""
    for number in range(12):
        invoice(number)
    invoice(12, status="void", closed_at=NOW)
    invoice(13, status="draft")
    invoice(14, status="uncollectible", closed_at=NOW)
    paid_by_a_file(invoice(15), 1000)
    paid_by_a_file(invoice(16), 400)
    one = invoice(17)
    make.attempt(one, number=1, status="declined", external_id="ch_known", at=NOW - timedelta(days=9),
                 decline_code="expired_card", decline_category="expired")  # fmt: skip
    two = invoice(18, in_plan=True)
    three = invoice(19)
    make.attempt(three, number=1, status="unknown", claimed_at=NOW, external_id=None)
    assert two.in_plan


def charge(number: int, dice: random.Random) -> Charge:
    ok = dice.random() < 0.5
    codes = ["insufficient_funds", "generic_decline", "never_heard_of", "strange_code", ""]
    return Charge(
        row=number,
        number=f"ch_{number}",
        customer=f"cus_{dice.randrange(6)}",
        amount=dice.choice([300, 700, 1000, 1500]),
        currency="EUR",
        at=datetime(2026, 2, 1, tzinfo=UTC) + timedelta(hours=dice.randrange(40)),
        succeeded=ok,
        refunded=100 if ok and dice.random() < 0.2 else 0,
        reason=dice.choice(codes),
        message="No.",
        method="card",
        invoice=f"in_{dice.randrange(20)}" if dice.random() < 0.95 else "",
    )


def facts() -> dict[str, list[tuple[Any, ...]]]:
    """Everything charges write, named by what it is about."""
    return {
        "attempts": sorted(PaymentAttempt.objects.values_list(
            "invoice__external_id", "number", "external_id", "status", "origin", "amount", "currency", "at",
            "finished_at", "decline_code", "decline_category", "failure_message"), key=repr),
        "payments": sorted(Payment.objects.values_list(
            "external_id", "customer__external_id", "amount", "allocated", "refunded", "currency", "received_at",
            "method"), key=repr),
        "allocations": sorted(Allocation.objects.values_list("payment__external_id", "invoice__external_id", "amount"),
                              key=repr),
        "invoices": list(Invoice.objects.order_by("external_id").values_list(
            "external_id", "status", "amount_paid", "paid_at", "closed_at", "first_failed_at", "last_decline_code",
            "last_decline_category", "retry_state", "recovered_by")),
        "codes": list(UnknownCode.objects.order_by("code").values_list(
            "field", "code", "seen", "first_seen_at", "last_seen_at", "example__external_id")),
        "log": list(Interaction.objects.order_by("key", "pk").values_list(
            "key", "customer__external_id", "at", "kind", "summary", "actor_kind", "outcome")),
        "customers": list(Customer.objects.order_by("external_id").values_list("external_id", "reassess_at")),
    }  # fmt: skip


def tried(write: Callable[[], None]) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    try:
        with transaction.atomic():
            write()
            found = facts()
            raise Undone
    except Undone:
        return found


@pytest.mark.parametrize("seed", range(6))
def test_batches_write_what_one_charge_after_the_other_would(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    company()
    dice = random.Random(seed)
    items = [charge(number, dice) for number in range(80)]

    def in_batches(size: int) -> None:
        for start in range(0, len(items), size):
            ledger().write(items[start : start + size])

    at_once = tried(lambda: in_batches(80))
    assert tried(lambda: in_batches(7)) == at_once
    monkeypatch.setattr(module, "plain_invoices", lambda _invoices: {})
    one_by_one = tried(lambda: in_batches(80))
    assert at_once == one_by_one
    assert len(one_by_one["attempts"]) > 60


def test_the_number_of_statements_does_not_grow_with_the_batch() -> None:
    for number in range(6):
        make.customer(source=SOURCE, external_id=f"cus_{number}")
    counts = []
    for first, size in ((100, 10), (1000, 200)):
        for number in range(first, first + size):
            invoice(number)
        dice = random.Random(first)
        items = [
            Charge(**{**_plain(charge(number, dice)), "invoice": f"in_{number}", "reason": "insufficient_funds"})
            for number in range(first, first + size)
        ]
        with CaptureQueriesContext(connection) as captured, transaction.atomic():
            planned, _made = ledger().write(items)
        assert {one.outcome for one in planned} == {"new"}
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 25


def _plain(one: Charge) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def test_the_payment_a_file_made_up_gives_way_to_the_charge_that_was_made() -> None:
    paid_by_a_file(invoice(1), 1000)
    paid_by_a_file(invoice(2), 400)
    dice = random.Random(1)

    def paid(number: int, amount: int, of: int) -> Charge:
        told = {"invoice": f"in_{of}", "amount": amount, "succeeded": True, "refunded": 0}
        return Charge(**{**_plain(charge(number, dice)), **told})

    ledger().write([paid(1, 1000, 1), paid(2, 300, 2), paid(3, 700, 2)])
    assert sorted(Payment.objects.values_list("external_id", "amount", "allocated")) == [
        ("ch_1", 1000, 1000),
        ("ch_2", 300, 300),
        ("ch_3", 700, 700),
    ]
    assert list(Invoice.objects.order_by("pk").values_list("status", "amount_paid")) == [("paid", 1000)] * 2
