"""Rows read by plain SQL are the same instances the ORM reads."""

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError
from django.forms.models import model_to_dict

from billing.models import Invoice, InvoiceStatus
from campaigns.models import Step
from customers.models import Contact, Customer
from customers.rows import row, row_insert, row_update, rows
from tests import factories

pytestmark = pytest.mark.django_db


def test_every_column_is_converted_as_the_orm_does() -> None:
    made = factories.invoice(
        customer=factories.customer(metadata={"kind": "business"}, tags=["a", "b"]),
        metadata={"order": [1, {"two": None}]},
        due_at=datetime(2026, 11, 1, 12, tzinfo=UTC),
    )
    read = row(Invoice, "id = %s", [made.pk])
    assert read is not None
    there = Invoice.objects.get(pk=made.pk)
    for field in Invoice._meta.concrete_fields:
        assert getattr(read, field.attname) == getattr(there, field.attname), field.name
    owner = row(Customer, "id = %s", [made.customer_id])
    assert owner is not None
    assert model_to_dict(owner) == model_to_dict(made.customer)


def test_columns_named_by_a_word_of_sql_and_arrays_are_read() -> None:
    fields = {"offset": 3, "window_days": [1, 2], "condition": {"retries_left": True}}
    step = factories.ladder(steps=[fields]).steps.get()
    read = row(Step, "id = %s", [step.pk])
    assert read is not None
    assert (read.offset, read.window_days, read.condition) == (3, [1, 2], {"retries_left": True})


def test_a_row_read_is_saved_as_the_same_row() -> None:
    made = factories.invoice(factories.customer(), status=InvoiceStatus.OPEN)
    read = row(Invoice, "id = %s FOR NO KEY UPDATE", [made.pk])
    assert read is not None
    read.number = "R-2026-7"
    read.save(update_fields=["number"])
    made.refresh_from_db()
    assert made.number == "R-2026-7"
    assert Invoice.objects.count() == 1


def test_none_where_nothing_fits_and_the_order_asked_for() -> None:
    first, second = factories.customer(), factories.customer()
    assert row(Customer, "id = %s", [second.pk + 1]) is None
    found = rows(Customer, "id = ANY(%s) ORDER BY id DESC", [[first.pk, second.pk]])
    assert [found_one.pk for found_one in found] == [second.pk, first.pk]


def test_a_row_written_is_the_row_the_orm_writes() -> None:
    owner = factories.customer()
    fields = {
        "customer": owner, "brand_id": owner.brand_id, "source": "stripe", "currency": "EUR", "amount_due": 4_800,
        "amount_paid": 300, "metadata": {"order": [1, None]}, "due_at": datetime(2026, 11, 1, 12, tzinfo=UTC),
    }  # fmt: skip
    ours, theirs = Invoice(external_id="in_1", **fields), Invoice(external_id="in_2", **fields)
    row_insert(ours)
    theirs.save(force_insert=True)
    assert ours.balance == theirs.balance == 4_500
    assert not ours._state.adding
    _assert_same(ours, theirs)
    for invoice in (ours, theirs):
        invoice.status, invoice.metadata, invoice.retry_reason = InvoiceStatus.VOID, {"order": []}, "not written"
    row_update(ours, ["status", "metadata", "updated_at"])
    theirs.save(update_fields=["status", "metadata", "updated_at"])
    _assert_same(ours, theirs)
    assert Invoice.objects.get(pk=ours.pk).retry_reason == ""


def _assert_same(ours: Invoice, theirs: Invoice) -> None:
    mine, others = (Invoice.objects.get(pk=invoice.pk) for invoice in (ours, theirs))
    for field in Invoice._meta.concrete_fields:
        if field.name not in {"id", "external_id", "created_at", "updated_at"}:
            assert getattr(mine, field.attname) == getattr(others, field.attname), field.name


def test_a_row_that_has_gone_is_not_updated_in_silence() -> None:
    invoice = factories.invoice(customer=factories.customer())
    Invoice.objects.filter(pk=invoice.pk).delete()
    with pytest.raises(DatabaseError):
        row_update(invoice, ["status"])


def test_rows_whose_history_is_kept_keep_it() -> None:
    owner = factories.customer()
    contact = Contact(customer=owner, name="Anna", email="anna@example.com")
    row_insert(contact)
    contact.name = "Anna B."
    row_update(contact, ["name"])
    assert [entry.name for entry in Contact.history.filter(id=contact.pk).order_by("history_id")] == [
        "Anna",
        "Anna B.",
    ]
