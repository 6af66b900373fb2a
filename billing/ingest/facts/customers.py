"""Owns the facts of customer.*: who owes, how they are reached, in which language and zone."""

from typing import Any

from babel import Locale
from django.db import connection
from django.utils.translation import gettext as _

from billing.gateways import JSON
from billing.ingest.facts.unit import Unit, newest, ref, write
from customers.geography import is_timezone, language_of, timezone_of
from customers.models import Contact, Customer, CustomerKind
from customers.rows import row as find_row
from customers.rows import rows

# Plain SQL: asked of every customer that is told of.
_DEFAULT = """
    SELECT external_id FROM billing_paymentmethod WHERE customer_id = %s AND held_as = %s AND is_default
     ORDER BY attached_at DESC, id DESC LIMIT 1
"""
_MAKE_DEFAULT = """
    UPDATE billing_paymentmethod SET is_default = COALESCE(external_id = %s, false)
     WHERE customer_id = %s AND held_as = %s AND (is_default OR external_id = %s)
"""


def lock_customer(unit: Unit, external_id: str) -> Customer:
    """The customer's row, locked: always the first lock of a unit. A customer not yet heard of is read and made; for
    a duplicate that was merged it is the customer kept."""
    row = _row(unit, external_id)
    if row.facts_as_of is None and row.deleted_at is None:
        obj = unit.read("customer", external_id, optional=True)
        if obj is not None:
            write_customer(unit, obj, deleted=bool(obj.get("deleted")))
    return row if row.merged_into_id is None else _by_id(unit, row.merged_into_id)


def lock_owner(unit: Unit, customer: Customer) -> Customer:
    """The row of a customer something is filed with, locked; after a merge they may be of another account, or of
    none."""
    if customer.source == unit.source and customer.external_id:
        return lock_customer(unit, customer.external_id)
    return _by_id(unit, customer.pk)


def _by_id(unit: Unit, pk: int) -> Customer:
    known = unit.owners.get(pk) or next((row for row in unit.customers.values() if row.pk == pk), None)
    if known is None:
        known = find_row(Customer, "id = %s FOR NO KEY UPDATE", [pk])
        assert known is not None
    unit.owners[pk] = known
    return known


def _row(unit: Unit, external_id: str) -> Customer:
    known = unit.customers.get(external_id)
    if known is None:
        known = _locked(unit, external_id)
        if known is None:
            # Two workers may hear of a new customer at once: one of them inserts, both lock.
            Customer.objects.bulk_create(
                [Customer(source=unit.source, external_id=external_id, brand_id=unit.account.brand_id)],
                ignore_conflicts=True,
            )
            known = _locked(unit, external_id)
            assert known is not None
        unit.customers[external_id] = known
    return known


def _locked(unit: Unit, external_id: str) -> Customer | None:
    return find_row(Customer, "source = %s AND external_id = %s FOR NO KEY UPDATE", [unit.source, external_id])


def write_customer(unit: Unit, obj: JSON, *, deleted: bool = False) -> None:
    """Applies a customer object: the newest wins, deleted is for good."""
    row = _row(unit, obj["id"])
    # A deleted object that was read carries no data; one that came with an event does, however late it comes.
    if "created" in obj:
        _apply(unit, row, obj)
    if deleted and (row.deleted_at is None or unit.stamp < row.deleted_at):
        write(row, {"deleted_at": unit.stamp})
        unit.reassess.add(row.pk)
    if deleted and "created" in obj:
        summary = _("Deleted at the processor.")
        unit.log(row.pk, "customer.deleted", summary, at=unit.stamp, key=f"{obj['id']}:deleted")


def _apply(unit: Unit, row: Customer, obj: JSON) -> None:
    # The default method lives on the methods' rows; here it counts as one more value of the customer.
    held = _methods_of(row)
    with connection.cursor() as cursor:
        cursor.execute(_DEFAULT, held)
        row._default = next((external_id for (external_id,) in cursor.fetchall()), None)  # type: ignore[attr-defined]
    values = newest(unit, "customer", row, obj, lambda seen: _values(row, seen))
    if values is None:
        return
    before = (row.email, row.name, row.phone)
    default = values.pop("_default")
    names = write(row, values)
    if row.merged_into_id is None:
        _contact(row, before)
    # methods.py locks customers, so it imports this module.
    from billing.ingest.facts.methods import default_changed, method_row

    if default:
        method_row(unit, default, lock_customer(unit, obj["id"]), obj["id"])
    if default != row._default:  # type: ignore[attr-defined]
        with connection.cursor() as cursor:
            cursor.execute(_MAKE_DEFAULT, [default, *held, default])
        if default:
            default_changed(unit, lock_customer(unit, obj["id"]))
    if {"email", "country", "language", "timezone"} & set(names):
        unit.reassess.add(row.pk)


def _methods_of(row: Customer) -> tuple[int, str]:
    """Under which customer and as whose the methods this customer of the processor holds are filed."""
    if row.merged_into_id is None:
        return row.pk, ""
    return row.merged_into_id, row.external_id or ""


def _values(row: Customer, obj: JSON) -> dict[str, Any]:
    metadata = obj.get("metadata") or {}
    address = obj.get("address") or (obj.get("shipping") or {}).get("address") or {}
    country = (address.get("country") or "").upper()[:2]
    locales = obj.get("preferred_locales") or []
    language = language_of(locales[0]) if locales else ""
    business = metadata.get("kind") == CustomerKind.BUSINESS or bool(obj.get("business_name"))
    default = ref((obj.get("invoice_settings") or {}).get("default_payment_method")) or ref(obj.get("default_source"))
    return {
        "name": (obj.get("name") or obj.get("business_name") or "")[:255],
        "email": (obj.get("email") or "")[:320],
        "phone": (obj.get("phone") or "")[:32],
        "postal_address": _envelope(address) or row.postal_address,
        "country": country,
        "kind": CustomerKind.BUSINESS if business else row.kind or CustomerKind.CONSUMER,
        # What staff set by hand stays; only what we had derived ourselves is derived anew.
        "language": language or row.language,
        "timezone": _zone(metadata, country)
        if row.timezone in {"", _zone(row.metadata, row.country)}
        else row.timezone,
        "metadata": metadata,
        "_default": default,
    }


def _envelope(address: JSON) -> str:
    """The lines of an envelope; "" without a street, which no letter reaches."""
    if not address.get("line1"):
        return ""
    town = [address.get("postal_code"), address.get("city"), address.get("state")]
    country = Locale("en").territories.get((address.get("country") or "").upper(), "").upper()
    lines = [address["line1"], address.get("line2"), " ".join(part for part in town if part), country]
    return "\n".join(line.strip() for line in lines if line)[:300]


def _zone(metadata: JSON, country: str) -> str:
    named = str(metadata.get("timezone") or "")
    return named if is_timezone(named) else timezone_of(country)


def _contact(row: Customer, before: tuple[str, str, str]) -> None:
    """Keeps the primary contact at the customer's address, unless staff have put another person there."""
    if not row.email:
        return
    contacts = {c.email.lower(): c for c in rows(Contact, "customer_id = %s ORDER BY is_primary DESC, id", [row.pk])}
    primary = next((c for c in contacts.values() if c.is_primary), None)
    if primary is None:
        known = contacts.get(row.email.lower())
        if known is not None:
            write(known, {"is_primary": True})
        else:
            Contact.objects.create(
                customer=row,
                name=row.name,
                email=row.email,
                phone=row.phone,
                is_primary=True,
            )
        return
    was = dict(zip(("email", "name", "phone"), before, strict=True))
    values: dict[str, Any] = {n: getattr(row, n) for n in was if getattr(primary, n) in {was[n], ""}}
    taken = contacts.get(row.email.lower())
    if taken is not None and taken is not primary:
        values.pop("email", None)
    write(primary, values)
