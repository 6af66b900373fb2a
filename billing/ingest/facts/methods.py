"""Owns the facts of payment_method.* and setup_intent.succeeded: what a customer can be charged on."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from billing.gateways import JSON
from billing.ingest.facts.banks import issuer_of
from billing.ingest.facts.customers import lock_customer
from billing.ingest.facts.unit import Unit, moment, newest, ref, write
from billing.merging import held_as
from billing.models import PaymentMethod
from billing.retries.marks import card_mark_inherit, card_mark_lift
from customers.models import Customer, Direction
from customers.rows import row as find_row


def method_row(unit: Unit, external_id: str, customer: Customer | None, holder: str | None) -> PaymentMethod:
    """The row of a method somebody mentions; one not heard of is made with its name only, for later facts to fill.
    `holder` is the customer's id at the processor."""
    held = held_as(customer, holder) if customer is not None and holder else ""
    row = unit.methods.get(external_id)
    if row is None:
        row = find_row(PaymentMethod, "source = %s AND external_id = %s", [unit.source, external_id])
        if row is None:
            # Two workers may hear of a method at once, of different customers.
            new = PaymentMethod(source=unit.source, external_id=external_id, customer=customer, held_as=held)
            PaymentMethod.objects.bulk_create([new], ignore_conflicts=True)
            row = find_row(PaymentMethod, "source = %s AND external_id = %s", [unit.source, external_id])
            assert row is not None
        unit.methods[external_id] = row
    if row.customer_id is None and customer is not None:
        write(row, {"customer": customer, "held_as": held})
    return row


def write_method(unit: Unit, obj: JSON, *, kind: str = "", previous: JSON | None = None) -> None:
    """Applies a payment method. `kind` is the event's type without its prefix, "" for an object that was read."""
    previous = previous or {}
    holder = ref(obj.get("customer")) or ref(previous.get("customer"))
    customer = lock_customer(unit, holder) if holder else None
    row = method_row(unit, obj["id"], customer, holder)
    customer = customer or row.customer
    _details(unit, row, obj)
    at = unit.stamp
    if kind == "detached" or (not kind and not holder and row.detached_at is None):
        if row.detached_at is None or at < row.detached_at:
            write(row, {"detached_at": at})
        if kind:
            _log(unit, customer, row, "payment_method.detached", _("Payment method removed."), at)
        return
    if kind == "attached":
        if write(row, {"attached_at": at}):
            _after_new_credential(unit, customer)
        _log(unit, customer, row, "payment_method.attached", _("New payment method: {method}."), at)
    elif row.attached_at is None and holder:
        write(row, {"attached_at": moment(obj.get("created"))})
        _after_new_credential(unit, customer)
    # Only what changes the credential itself makes a new try worth while; a new billing address does not.
    if kind in {"updated", "automatically_updated"} and _credential_changed(obj, previous):
        if row.renewed_at is None or at > row.renewed_at:
            write(row, {"renewed_at": at})
            card_mark_lift(row, at)
            _after_new_credential(unit, customer)
        _log(unit, customer, row, "payment_method.updated", _("New details for {method}."), at)


def setup_succeeded(unit: Unit, obj: JSON) -> None:
    """A card was set up: its payment method is brought in if no event of its own has."""
    external_id, holder = ref(obj.get("payment_method")), ref(obj.get("customer"))
    if not external_id or not holder:
        return
    customer = lock_customer(unit, holder)
    row = method_row(unit, external_id, customer, holder)
    if row.facts_as_of is None:
        method = unit.read("payment_method", external_id, optional=True)
        if method is not None:
            write_method(unit, method)


def fill_from_charge(row: PaymentMethod, charge: JSON) -> None:
    """Details a charge tells of a method whose own facts have not come."""
    told = charge.get("payment_method_details") or {}
    if told.get(told.get("type") or "") and row.facts_as_of is None and not row.last4:
        write(row, method_values(told))
        card_mark_inherit(row)


def _details(unit: Unit, row: PaymentMethod, obj: JSON) -> None:
    values = newest(unit, "payment_method", row, obj, method_values)
    if values is not None:
        write(row, values)
        card_mark_inherit(row)


def method_values(obj: JSON) -> dict[str, Any]:
    """Columns of PaymentMethod that say what a payment method of the processor is, from its object or a charge's
    `payment_method_details`."""
    kind = obj.get("type") or "card"
    told = obj.get(kind) or {}
    return {
        "type": kind,
        "brand": told.get("brand") or told.get("bank_name") or "",
        "funding": told.get("funding") or "",
        "country": told.get("country") or "",
        "last4": told.get("last4") or "",
        "exp_month": told.get("exp_month"),
        "exp_year": told.get("exp_year"),
        "fingerprint": told.get("fingerprint") or "",
        "issuer": issuer_of(kind, told),
    }


def _credential_changed(obj: JSON, previous: JSON) -> bool:
    kind = obj.get("type") or "card"
    before = previous.get(kind)
    if not isinstance(before, dict):
        return False
    now = obj.get(kind) or {}
    names = ("exp_month", "exp_year", "fingerprint", "last4")
    return any(name in before and before[name] != now.get(name) for name in names)


def _after_new_credential(unit: Unit, customer: Customer | None) -> None:
    """Whatever this customer owes may be tried at once: see followup."""
    if customer is not None:
        unit.new_credentials.add(customer.pk)


def default_changed(unit: Unit, customer: Customer) -> None:
    """Another method is the default from now on: whoever changed it means it to be charged, see followup."""
    unit.new_defaults[customer.pk] = max(unit.stamp, unit.new_defaults.get(customer.pk, unit.stamp))


def _log(unit: Unit, customer: Customer | None, row: PaymentMethod, kind: str, text: str, at: datetime) -> None:
    if customer is not None:
        unit.log(
            customer.pk,
            kind,
            text.format(method=row),
            at=at,
            key=f"{row.external_id}:{kind}:{int(at.timestamp())}",
            direction=Direction.IN,
            subject=f"payment_method:{row.pk}",
        )
