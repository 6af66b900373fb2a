"""Owns what invoices of a file change: the same rows twice change nothing, and what is settled here stays settled.

An invoice is seen as of a day: settled by then it is paid, with its payment; else it is open; one issued only later
is a draft. A file as of an earlier day than the one an invoice was last seen on changes nothing of it.
"""

import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

from django.utils.translation import gettext as _

from billing.imports.items import Item, Receivable, RowError
from billing.imports.parties import Context, customers_known, customers_made, told_elsewhere
from billing.imports.receivable_rows import (
    disputes_of,
    disputes_write,
    invoices_insert,
    payments_write,
    receivables_log,
    receivables_update,
)
from billing.models import CollectionMethod, Dispute, ImportRow, Invoice, InvoiceStatus
from billing.money import display
from billing.signals import announce_facts_changed
from customers.services import customers_reassess

#: An invoice falls due at this time of its due day.
LAST_MOMENT = time(23, 59, 59)
_SETTLED = {InvoiceStatus.PAID, InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE}
Outcome = ImportRow.Outcome


@dataclass(slots=True)
class Planned:
    """What a row would do: its outcome, [field, old, new] of each change, or why it cannot be taken."""

    item: Item
    outcome: str
    changes: list[list[str]] = field(default_factory=list)
    error: RowError | None = None


class Receivables:
    """Plans and writes invoices of one file. A constant number of queries per batch."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.zone = zoneinfo.ZoneInfo(context.brand.timezone)
        self.disputes: Mapping[int, list[Dispute]] = {}

    def plan(self, items: Sequence[Receivable]) -> list[Planned]:
        """What the rows would do as things stand; writes and locks nothing."""
        return [planned for planned, _row in self._plan(items, self._known(items, lock=False))]

    def write(self, items: Sequence[Receivable]) -> tuple[list[Planned], int]:
        """Writes a batch in the caller's transaction; what became of each row, and how many customers are new."""
        # Customers are locked before their invoices: see billing.locks.
        customers, made = customers_made(self.context, items)
        found = self._plan(items, self._known(items, lock=True))
        new: list[Invoice] = []
        moved: list[tuple[Invoice, int]] = []
        seen: list[Invoice] = []
        for planned, row in found:
            item = planned.item
            assert isinstance(item, Receivable)
            if planned.outcome == Outcome.NEW:
                new.append(
                    Invoice(
                        source=self.context.source,
                        external_id=item.number,
                        customer=customers[item.customer],
                        brand=self.context.brand,
                        **self._values(item),
                    )
                )
                seen.append(new[-1])
            elif row is not None and planned.outcome == Outcome.CHANGED:
                paid_before = row.amount_paid
                for name, value in self._values(item, row).items():
                    setattr(row, name, value)
                moved.append((row, row.amount_paid - paid_before))
                seen.append(row)
        invoices_insert(new)
        receivables_update([row for row, _paid in moved])
        now, actor_id = self.context.now, self.context.actor_id
        payments_write([(row, row.amount_paid) for row in new] + moved, now)
        disputes_write(seen, now)
        receivables_log(new, [row for row, _paid in moved], now=now, actor_id=actor_id)
        concerned = {row.customer_id for row in seen}
        customers_reassess(concerned, now)
        announce_facts_changed(concerned)
        return [planned for planned, _row in found], made

    def _known(self, items: Sequence[Receivable], *, lock: bool) -> dict[str, Invoice]:
        rows = Invoice.objects.filter(
            source=self.context.source, external_id__in=[item.number for item in items]
        ).order_by("pk")
        if lock:
            rows = rows.select_for_update(no_key=True)
        return {row.external_id or "": row for row in rows}

    def _plan(self, items: Sequence[Receivable], known: Mapping[str, Invoice]) -> list[tuple[Planned, Invoice | None]]:
        elsewhere = told_elsewhere(self.context, Invoice, items)
        holders = customers_known(self.context, items)
        self.disputes = disputes_of(known.values())
        planned = []
        for item in items:
            row = known.get(item.number)
            if item.number in elsewhere:
                planned.append((self._refused(item, "number", item.number, *elsewhere[item.number]), row))
            elif row is None:
                planned.append((Planned(item, Outcome.NEW), None))
            else:
                planned.append((self._change(item, row, holders), row))
        return planned

    def _refused(self, item: Receivable, name: str, value: str, reason: str, remedy: str) -> Planned:
        error = RowError(item.row, self.context.preset.columns.get(name, name), value, reason, remedy)
        return Planned(item, Outcome.REJECTED, error=error)

    def _change(self, item: Receivable, row: Invoice, holders: Mapping[str, int]) -> Planned:
        if holders.get(item.customer) != row.customer_id:
            return self._refused(
                item,
                "customer",
                item.customer,
                _("is not whom this invoice was written to before"),
                _("Correct the number of the invoice or of the customer."),
            )
        if item.currency != row.currency:
            return self._refused(
                item,
                "currency",
                item.currency,
                _("is not the currency this invoice had before ({currency})").format(currency=row.currency),
                _("Invoices do not change their currency: correct the row."),
            )
        values = self._values(item, row)
        if values["facts_as_of"] < (row.facts_as_of or values["facts_as_of"]) or row.status in _SETTLED:
            # Settled is settled, also when it was settled here and the file does not know yet.
            return Planned(item, Outcome.UNCHANGED)
        if values["amount_due"] < row.amount_paid + row.amount_credited:
            return self._refused(
                item,
                "amount",
                display(item.amount, item.currency),
                _("is less than what was paid and credited already"),
                _("Give the amount of the whole invoice, not what is left of it."),
            )
        changes = [
            [name, _words(getattr(row, name), row.currency), _words(value, row.currency)]
            for name, value in values.items()
            if name not in ("facts_as_of", "closed_at") and getattr(row, name) != value
        ]
        return Planned(item, Outcome.CHANGED if changes else Outcome.UNCHANGED, changes)

    def _moment(self, day: date, at: time = time.min) -> datetime:
        return datetime.combine(day, at, tzinfo=self.zone)

    def _values(self, item: Receivable, row: Invoice | None = None) -> dict[str, Any]:
        as_of = self.context.as_of
        settled = item.settled if item.settled is not None and item.settled <= as_of else None
        credited = row.amount_credited if row is not None else 0
        paid = max(item.paid, row.amount_paid if row is not None else 0)
        status = item.status or (InvoiceStatus.OPEN if item.issued <= as_of else InvoiceStatus.DRAFT)
        # Paid in full is settled, whatever the file calls it; and settled is paid in full.
        if settled is not None or status == InvoiceStatus.PAID or paid + credited >= item.amount:
            status = InvoiceStatus.PAID
            paid = max(item.amount - credited, paid)
        closed = None
        if status == InvoiceStatus.PAID:
            closed = self._moment(settled or min(as_of, max(item.due, item.issued)))
        elif status in _SETTLED:
            closed = self._moment(as_of)
        return {
            "number": item.number if not item.extra.get("Number") else item.extra["Number"][:100],
            "amount_due": item.amount,
            "currency": item.currency,
            "amount_paid": paid,
            "status": status,
            "collection_method": CollectionMethod.MANUAL,
            "issued_at": self._moment(item.issued),
            # Paid at any hour of its due day an invoice is in time.
            "due_at": self._moment(item.due, LAST_MOMENT),
            "paid_at": closed if status == InvoiceStatus.PAID else None,
            "closed_at": closed,
            "disputed_at": self._disputed(item, row) if status == InvoiceStatus.OPEN else None,
            "facts_as_of": self._moment(as_of, LAST_MOMENT),
            "metadata": (row.metadata if row is not None else {}) | dict(item.extra) | {"disputed": item.disputed},
        }

    def _disputed(self, item: Receivable, row: Invoice | None) -> datetime | None:
        """Since when it is disputed. A dispute opened here is not ended by a file that does not know of it, and one
        that was decided here is not opened again by a file that still says yes."""
        own = self.disputes.get(row.pk, []) if row is not None else []
        told = [one for one in own if one.source == self.context.source]
        if row is not None and (
            any(one.status == Dispute.Status.OPEN for one in own if one not in told)
            or any(one.status != Dispute.Status.OPEN for one in told)
        ):
            return row.disputed_at
        # The file does not tell when it was disputed; no earlier than it was issued.
        return self._moment(item.issued) if item.disputed else None


def _words(value: Any, currency: str) -> str:
    """A value of an invoice as the page of an import shows it."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int):
        return display(value, currency)
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, dict):
        return ", ".join(f"{name}: {told}" for name, told in sorted(value.items()))
    return str(value)
