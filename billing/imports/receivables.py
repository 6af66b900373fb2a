"""Owns writing receivables of a file as facts: in batches, all or nothing, and the same file twice changes nothing.

An invoice is seen as of a day: settled by then it is paid, with its payment; else it is open; one issued only later
is a draft. A file as of an earlier day than the one an invoice was last seen on changes nothing of it.
"""

import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice
from typing import Any

from django.db import transaction

from billing.imports.presets import Preset, Receivable, RowError, read_row
from billing.imports.receivable_rows import disputes_write, payments_write, receivables_log, receivables_update
from billing.models import CollectionMethod, Invoice, InvoiceStatus
from billing.signals import announce_facts_changed
from customers.geography import timezone_of
from customers.models import Brand, Contact, Customer, CustomerKind
from customers.services import customers_reassess

BATCH = 1000
#: An invoice falls due at this time of its due day.
LAST_MOMENT = time(23, 59, 59)


@dataclass(slots=True)
class ImportReport:
    """Counts of an import, what became of each row ("new", "update", "skip"), and every error."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    customers: int = 0
    errors: list[RowError] = field(default_factory=list)
    outcomes: dict[int, str] = field(default_factory=dict)
    written: bool = False


def receivables_import(
    *,
    rows: Iterable[Mapping[str, Any]],
    preset: Preset,
    brand: Brand,
    as_of: date,
    now: datetime,
    email_domain: str = "",
    actor_id: int | None = None,
    dry_run: bool = False,
    batch_size: int = BATCH,
) -> ImportReport:
    """Imports rows as seen on `as_of` at the brand's place; `now` is aware UTC.

    With a single bad row nothing is written, and all bad ones are told. `email_domain` gives customers without an
    address one under it (demonstrations only). Constant number of queries per batch.
    """
    report = ImportReport()
    good = receivables_read(rows, preset, report)
    if report.errors:
        return report
    with transaction.atomic():
        writer = _Writer(preset, brand, as_of, now, email_domain, actor_id, report)
        remaining = iter(good)
        while batch := list(islice(remaining, batch_size)):
            writer.write(batch)
        if dry_run:
            transaction.set_rollback(True)
    report.written = not dry_run
    return report


def receivables_read(rows: Iterable[Mapping[str, Any]], preset: Preset, report: ImportReport) -> list[Receivable]:
    """The rows that can be taken; those that cannot, and how many there were, are told in `report`."""
    good: list[Receivable] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        report.rows += 1
        item = read_row(preset, number, row)
        if isinstance(item, list):
            report.errors += item
        elif item.number in seen:
            reason = f"is in row {seen[item.number]} already"
            report.errors.append(RowError(number, preset.columns["number"], item.number, reason))
        else:
            seen[item.number] = number
            good.append(item)
    return good


@dataclass(slots=True)
class _Writer:
    """Writes batches inside the caller's transaction."""

    preset: Preset
    brand: Brand
    as_of: date
    now: datetime
    email_domain: str
    actor_id: int | None
    report: ImportReport

    def write(self, batch: Sequence[Receivable]) -> None:
        """One batch: customers, invoices, payments, disputes, log."""
        customers = self._customers(batch)
        where = {"source": self.preset.source, "external_id__in": [item.number for item in batch]}
        known = {row.external_id: row for row in Invoice.objects.select_for_update(no_key=True).filter(**where)}
        new: list[Invoice] = []
        moved: list[Invoice] = []
        for item in batch:
            row = known.get(item.number)
            values = self._values(item)
            if row is None:
                customer = customers[item.customer]
                row = Invoice(
                    source=self.preset.source,
                    external_id=item.number,
                    customer=customer,
                    brand=self.brand,
                    **values,
                )
                new.append(row)
                known[item.number] = row
                outcome = "new"
            elif self._outdated(row, values):
                for name, value in values.items():
                    setattr(row, name, value)
                moved.append(row)
                outcome = "update"
            else:
                outcome = "skip"
            self.report.outcomes[item.row] = outcome
        Invoice.objects.bulk_create(new)
        receivables_update(moved)
        payments_write([row for row in (*new, *moved) if row.status == InvoiceStatus.PAID], self.now)
        disputes_write([known[item.number] for item in batch], self.now)
        receivables_log(new, moved, now=self.now, actor_id=self.actor_id)
        concerned = {row.customer_id for row in (*new, *moved)}
        customers_reassess(concerned, self.now)
        announce_facts_changed(concerned)
        self.report.created += len(new)
        self.report.updated += len(moved)
        self.report.unchanged += len(batch) - len(new) - len(moved)

    def _moment(self, day: date, at: time = time.min) -> datetime:
        return datetime.combine(day, at, tzinfo=zoneinfo.ZoneInfo(self.brand.timezone))

    def _values(self, item: Receivable) -> dict[str, Any]:
        settled = item.settled if item.settled is not None and item.settled <= self.as_of else None
        status = InvoiceStatus.OPEN if item.issued <= self.as_of else InvoiceStatus.DRAFT
        if settled is not None:
            status = InvoiceStatus.PAID
        paid_at = self._moment(settled) if settled is not None else None
        disputed = item.disputed and status == InvoiceStatus.OPEN
        return {
            "number": item.number,
            "currency": item.currency,
            "amount_due": item.amount,
            "amount_paid": item.amount if settled is not None else 0,
            "status": status,
            "collection_method": CollectionMethod.MANUAL,
            "issued_at": self._moment(item.issued),
            # Paid at any hour of its due day an invoice is in time.
            "due_at": self._moment(item.due, LAST_MOMENT),
            "paid_at": paid_at,
            "closed_at": paid_at,
            # The file does not tell when it was disputed; no earlier than it was issued.
            "disputed_at": self._moment(item.issued) if disputed else None,
            "facts_as_of": self._moment(self.as_of, LAST_MOMENT),
            "metadata": dict(item.extra) | {"disputed": item.disputed},
        }

    def _outdated(self, row: Invoice, values: Mapping[str, Any]) -> bool:
        if row.facts_as_of is not None and values["facts_as_of"] < row.facts_as_of:
            return False
        if row.status in {InvoiceStatus.PAID, InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE}:
            # Settled is settled, also when it was settled here and the file does not know yet.
            return False
        if row.amount_paid and values["status"] != InvoiceStatus.PAID:
            return False
        return any(getattr(row, name) != value for name, value in values.items() if name != "facts_as_of")

    def _customers(self, batch: Sequence[Receivable]) -> dict[str, Customer]:
        first = {item.customer: item for item in reversed(batch)}
        where = {"source": self.preset.source, "external_id__in": list(first)}
        # Customers are locked before their invoices: see billing.locks.
        rows = list(Customer.with_merged.select_for_update(no_key=True).filter(**where).order_by("pk"))
        merged = {row.merged_into_id for row in rows} - {None}
        kept = Customer.objects.select_for_update(no_key=True).filter(pk__in=merged).order_by("pk").in_bulk()
        known = {row.external_id or "": kept.get(row.merged_into_id or 0, row) for row in rows}
        new = [self._customer(item) for name, item in first.items() if name not in known]
        if new:
            Customer.objects.bulk_create(new)
            Contact.objects.bulk_create(
                Contact(customer=row, name=row.name, email=row.email, is_primary=True) for row in new if row.email
            )
            known |= {row.external_id or "": row for row in new}
            self.report.customers += len(new)
        return known

    def _customer(self, item: Receivable) -> Customer:
        email = item.email or (f"{item.customer.lower()}@{self.email_domain}" if self.email_domain else "")
        return Customer(
            source=self.preset.source,
            external_id=item.customer,
            brand=self.brand,
            name=item.customer_name or item.customer,
            email=email,
            kind=CustomerKind.BUSINESS,
            country=item.country,
            timezone=timezone_of(item.country) if item.country else "",
            language=self.brand.default_language,
            metadata=dict(item.extra),
        )
