"""Owns the facts of invoice.*: invoices merge by a lattice, so that the order of arrival does not matter.

An invoice's status, tries and money paid only ever grow at the processor. Whatever is further along on
(status, tries, paid, stamp) is the later state; of two equal ones that differ neither is known to be, and the
invoice is read again.
"""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from billing.gateways import JSON
from billing.ingest.facts.customers import lock_customer, lock_owner
from billing.ingest.facts.methods import default_changed, method_row
from billing.ingest.facts.subscriptions import subscription_id
from billing.ingest.facts.unit import Unit, changed, moment, ref, write
from billing.merging import held_as
from billing.models import CollectionMethod, Invoice, InvoicePaymentLink, InvoiceStatus
from billing.money import display
from customers.models import Customer
from customers.rows import row as find_row
from customers.rows import row_insert

RANK = {
    InvoiceStatus.DRAFT: 0,
    InvoiceStatus.OPEN: 1,
    InvoiceStatus.UNCOLLECTIBLE: 2,
    InvoiceStatus.VOID: 3,
    InvoiceStatus.PAID: 3,
}
_FINAL = {InvoiceStatus.VOID, InvoiceStatus.PAID}


def invoice_row(unit: Unit, external_id: str) -> Invoice | None:
    """The invoice somebody mentions, its customer locked; one not heard of is read. None: the processor has none."""
    row = _find(unit, external_id)
    if row is None:
        obj = unit.read("invoice", external_id)
        return write_invoice(unit, obj) if obj is not None else None
    lock_owner(unit, row.customer)
    return row


def _find(unit: Unit, external_id: str) -> Invoice | None:
    row = unit.invoices.get(external_id)
    if row is None:
        row = find_row(Invoice, "source = %s AND external_id = %s", [unit.source, external_id])
        if row is not None:
            unit.invoices[external_id] = row
            owner = next((known for known in unit.customers.values() if known.pk == row.customer_id), None)
            if owner is not None:
                row.customer = owner  # or the next mention of it costs a query
    return row


def write_invoice(unit: Unit, obj: JSON, *, failed_at: datetime | None = None) -> Invoice | None:
    """Merges an invoice object. `failed_at` is the stamp of an event that says a try at paying it failed."""
    holder = ref(obj.get("customer"))
    if not holder:
        return None
    customer = lock_customer(unit, holder)
    row = _find(unit, obj["id"])
    values = _values(unit, customer, obj)
    if row is None:
        row = Invoice(
            source=unit.source,
            external_id=obj["id"],
            customer=customer,
            held_as=held_as(customer, holder),
            brand_id=customer.brand_id,
            **values,
        )
        row_insert(row)
        unit.invoices[obj["id"]] = row
    elif _is_later(unit, row, obj, values):
        if obj is not unit.fetched.get(("invoice", obj["id"])) and _key(row) == _key_of(values):
            fresh = unit.read("invoice", obj["id"])
            if fresh is not None:
                obj, values = fresh, _values(unit, customer, fresh)
        # What we credited ourselves never makes a balance negative.
        values["amount_credited"] = min(row.amount_credited, values["amount_due"] - values["amount_paid"])
        if "default_payment_method_id" in write(row, values) and row.default_payment_method_id:
            default_changed(unit, customer)
    if failed_at is not None and (row.first_failed_at is None or failed_at < row.first_failed_at):
        write(row, {"first_failed_at": failed_at})
    _log(unit, row, obj)
    unit.touched.add(row.pk)
    return row


def _is_later(unit: Unit, row: Invoice, obj: JSON, values: dict[str, Any]) -> bool:
    """Whether `values` must be written: further along, or just as far and not the same."""
    if row.status in _FINAL and values["status"] in _FINAL and row.status != values["status"]:
        return False
    mine, theirs = _key(row), _key_of(values)
    return theirs > mine or (theirs == mine and bool(changed(row, values)))


def _key(row: Invoice) -> tuple[int, int, int, float]:
    stamp = row.facts_as_of.timestamp() if row.facts_as_of else 0.0
    return (RANK[InvoiceStatus(row.status)], row.processor_attempts, row.amount_paid, stamp)


def _key_of(values: dict[str, Any]) -> tuple[int, int, int, float]:
    return (
        RANK[values["status"]],
        values["processor_attempts"],
        values["amount_paid"],
        values["facts_as_of"].timestamp(),
    )


def _values(unit: Unit, customer: Customer, obj: JSON) -> dict[str, Any]:
    moved = obj.get("status_transitions") or {}
    status = InvoiceStatus(obj.get("status") or InvoiceStatus.DRAFT)
    if status == InvoiceStatus.PAID and not obj.get("amount_paid") and obj.get("pre_payment_credit_notes_amount"):
        # Credited in full it is "paid" there; here nobody is thanked for a payment that never came.
        status = InvoiceStatus.VOID
    issued = moment(moved.get("finalized_at") or (obj.get("effective_at") if status != InvoiceStatus.DRAFT else None))
    due = obj["amount_due"]
    method = ref(obj.get("default_payment_method"))
    details = ((obj.get("parent") or {}).get("subscription_details")) or {}
    subscription = ref(details.get("subscription"))
    automatic = obj.get("collection_method") != "send_invoice"
    paid_at = moment(moved.get("paid_at"))
    return {
        "subscription_id": subscription_id(unit, subscription, customer) if subscription else None,
        "number": obj.get("number") or "",
        "description": (obj.get("description") or _first_line(obj))[:500],
        "currency": obj["currency"].upper(),
        "amount_due": max(due, 0),
        "amount_paid": max(0, min(obj.get("amount_paid") or 0, due)),
        "status": status,
        "collection_method": CollectionMethod.AUTOMATIC if automatic else CollectionMethod.MANUAL,
        "issued_at": issued,
        "due_at": moment(obj.get("due_date")) or issued,
        "paid_at": paid_at if status == InvoiceStatus.PAID else None,
        "closed_at": paid_at or moment(moved.get("voided_at")) or moment(moved.get("marked_uncollectible_at")),
        "default_payment_method_id": method_row(unit, method, customer, ref(obj.get("customer"))).pk
        if method
        else None,
        "processor_attempts": obj.get("attempt_count") or 0,
        "processor_next_attempt_at": moment(obj.get("next_payment_attempt")),
        "hosted_url": obj.get("hosted_invoice_url") or "",
        "pdf_url": obj.get("invoice_pdf") or "",
        "metadata": obj.get("metadata") or {},
        "facts_as_of": unit.stamp,
    }


def _first_line(obj: JSON) -> str:
    lines = (obj.get("lines") or {}).get("data") or []
    return (lines[0].get("description") or "") if lines else ""


def _log(unit: Unit, row: Invoice, obj: JSON) -> None:
    """A line per step the object itself says it has taken, whatever order the events came in."""
    moved = obj.get("status_transitions") or {}
    if row.amount_due <= 0:
        return
    amount = display(row.amount_due, row.currency)
    lines = (
        ("paid_at", "invoice.paid", _("Invoice {number} paid: {amount}.")),
        ("voided_at", "invoice.voided", _("Invoice {number} voided: {amount}.")),
        ("marked_uncollectible_at", "invoice.uncollectible", _("Invoice {number} given up: {amount}.")),
    )
    for field, kind, text in lines:
        at = moment(moved.get(field))
        if at is not None:
            unit.log(
                row.customer_id,
                kind,
                text.format(number=row, amount=amount),
                at=at,
                key=f"{obj['id']}:{kind}",
                subject=f"invoice:{row.pk}",
            )


def payment_link(unit: Unit, payment_id: str) -> str:
    """External id of the invoice a payment intent pays, "" for none; asked of the processor once, then remembered."""
    if payment_id not in unit.links:
        link = InvoicePaymentLink.objects.filter(source=unit.source, payment_id=payment_id).first()
        if link is None:
            paid = unit.read("payments_of_intent", payment_id)
            remember_link(unit, payment_id, ref(paid[0]["invoice"]) if paid else "")
        else:
            unit.links[payment_id] = link.invoice_id
    return unit.links[payment_id]


def remember_link(unit: Unit, payment_id: str, invoice_id: str | None) -> None:
    """Notes which invoice a payment intent pays, to be written with the unit; it never pays another."""
    if unit.links.get(payment_id) != (invoice_id or ""):
        unit.links[payment_id] = unit.new_links[payment_id] = invoice_id or ""


def write_links(unit: Unit) -> None:
    """Stores what the unit learned of payment intents, in their order so that two units never wait in a circle."""
    if unit.new_links:
        InvoicePaymentLink.objects.bulk_create(
            [
                InvoicePaymentLink(source=unit.source, payment_id=payment_id, invoice_id=invoice_id)
                for payment_id, invoice_id in sorted(unit.new_links.items())
            ],
            update_conflicts=True,
            unique_fields=["source", "payment_id"],
            update_fields=["invoice_id"],
        )


def write_invoice_payment(unit: Unit, obj: JSON) -> None:
    """invoice_payment.*: tells which invoice a payment intent pays."""
    intent = ref((obj.get("payment") or {}).get("payment_intent"))
    invoice = ref(obj.get("invoice"))
    if intent and invoice:
        remember_link(unit, intent, invoice)
