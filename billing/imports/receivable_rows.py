"""Owns the rows that follow from an imported invoice: its payment, its dispute, its lines of the log.

All inside the caller's transaction, each in a constant number of queries.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from billing.models import Allocation, Dispute, Invoice, InvoiceStatus, Payment
from billing.money import display
from customers.log import Entry, record_many
from customers.models import ActorKind


def receivables_update(rows: Sequence[Invoice]) -> None:
    """Writes changed invoices in one statement; bulk_update builds a CASE per column and row."""
    if not rows:
        return
    columns = {
        "number": "text",
        "amount_due": "bigint",
        "amount_paid": "bigint",
        "status": "text",
        "issued_at": "timestamptz",
        "due_at": "timestamptz",
        "paid_at": "timestamptz",
        "closed_at": "timestamptz",
        "disputed_at": "timestamptz",
        "facts_as_of": "timestamptz",
        "metadata": "jsonb",
    }
    sets = ", ".join(f"{name} = new.{name}" for name in columns)
    arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE billing_invoice AS old SET {sets}, updated_at = now() "  # noqa: S608 (names are ours)
            f"FROM unnest(%s::bigint[], {arrays}) AS new(id, {', '.join(columns)}) WHERE old.id = new.id",
            [[row.pk for row in rows], *([_value(row, name) for row in rows] for name in columns)],
        )


def _value(row: Invoice, name: str) -> Any:
    value = getattr(row, name)
    return json.dumps(value) if name == "metadata" else value


def invoices_insert(rows: Sequence[Invoice]) -> None:
    """Writes new invoices, in as few statements as their columns allow."""
    Invoice.objects.bulk_create(rows)


def payments_write(paid: Iterable[tuple[Invoice, int]], now: datetime) -> None:
    """A payment of what an invoice was paid more than was known, in its minor units, allocated to it: on the day the
    file says it was settled, else now."""
    rows = [(row, amount) for row, amount in paid if amount > 0]
    payments = [
        Payment(
            source=row.source,
            external_id=f"{row.external_id}:{'settled' if row.paid_at else f'paid:{row.amount_paid}'}",
            customer_id=row.customer_id,
            amount=amount,
            allocated=amount,
            currency=row.currency,
            received_at=row.paid_at or now,
            method="import",
        )
        for row, amount in rows
    ]
    Payment.objects.bulk_create(payments)
    Allocation.objects.bulk_create(
        Allocation(payment=payment, invoice=row, amount=amount)
        for payment, (row, amount) in zip(payments, rows, strict=True)
    )


def disputes_of(invoices: Iterable[Invoice]) -> dict[int, list[Dispute]]:
    """All disputes of these invoices, by the invoice's id."""
    found: dict[int, list[Dispute]] = {}
    for dispute in Dispute.objects.filter(invoice__in=[row.pk for row in invoices]).order_by("pk"):
        found.setdefault(dispute.invoice_id, []).append(dispute)
    return found


def disputes_write(invoices: Sequence[Invoice], now: datetime) -> None:
    """A dispute for each that the file says is disputed; its own of those that are not any more are withdrawn."""
    Dispute.objects.bulk_create(
        (
            Dispute(
                source=row.source,
                external_id=row.external_id,
                invoice=row,
                amount=row.amount_due,
                currency=row.currency,
                opened_at=row.disputed_at or now,
            )
            for row in invoices
            if row.disputed_at is not None and row.metadata.get("disputed")
        ),
        ignore_conflicts=True,
    )
    over = {row.pk: row.source for row in invoices if row.disputed_at is None}
    Dispute.objects.filter(source__in=set(over.values()), invoice__in=over, status=Dispute.Status.OPEN).update(
        status=Dispute.Status.WITHDRAWN, closed_at=now
    )


def receivables_log(
    new: Iterable[Invoice], moved: Iterable[Invoice], *, now: datetime, actor_id: int | None = None
) -> None:
    """Tells the log of imported invoices, and of those that are paid on the day they were."""
    record_many(_entries(list(new), list(moved), now, actor_id))


def _entries(new: Sequence[Invoice], moved: Sequence[Invoice], now: datetime, actor_id: int | None) -> Iterator[Entry]:
    actor: dict[str, Any] = {"actor_kind": ActorKind.USER if actor_id else ActorKind.SYSTEM, "actor_id": actor_id}
    for row in new:
        yield Entry(
            customer_id=row.customer_id,
            at=now,
            kind="invoice.imported",
            summary=_("Invoice {number} imported: {amount}.").format(
                number=row.number, amount=display(row.amount_due, row.currency)
            ),
            subject=f"invoice:{row.pk}",
            key=f"{row.source}:{row.external_id}:imported",
            **actor,
        )
    for row in (*new, *moved):
        if row.status == InvoiceStatus.PAID:
            yield Entry(
                customer_id=row.customer_id,
                at=row.paid_at or now,
                kind="invoice.paid",
                summary=_("Invoice {number} paid: {amount}.").format(
                    number=row.number, amount=display(row.amount_due, row.currency)
                ),
                subject=f"invoice:{row.pk}",
                key=f"{row.source}:{row.external_id}:invoice.paid",
                **actor,
            )
