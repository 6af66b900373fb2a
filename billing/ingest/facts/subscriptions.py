"""Owns the facts of customer.subscription.*: what the customer loses when an invoice stays unpaid."""

from typing import Any

from django.utils.translation import gettext as _

from billing.gateways import JSON
from billing.gateways.base import CANCELLED_UNPAID
from billing.ingest.facts.customers import lock_customer
from billing.ingest.facts.methods import default_changed, method_row
from billing.ingest.facts.unit import Unit, moment, newest, ref, write
from billing.merging import held_as
from billing.models import Subscription, SubscriptionStatus
from customers.models import Customer
from customers.rows import row as find_row
from customers.rows import row_insert

#: A subscription in one of these never comes back, whatever stamp an event carries.
ENDED = frozenset({SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED})


def subscription_id(unit: Unit, external_id: str, customer: Customer) -> int | None:
    """Primary key of a subscription somebody mentions; one not heard of is read. None: the processor has none."""
    row = _find(unit, external_id)
    if row is not None:
        return row.pk
    obj = unit.read("subscription", external_id, optional=True)
    return write_subscription(unit, obj).pk if obj is not None else None


def write_subscription(unit: Unit, obj: JSON, *, previous: JSON | None = None) -> Subscription:
    """Applies a subscription: an ended one stays ended, else the newest wins."""
    customer = lock_customer(unit, ref(obj["customer"]) or "")
    row = _find(unit, obj["id"])
    if row is None:
        row = Subscription(source=unit.source, external_id=obj["id"], customer=customer)
        for name, value in (_values(unit, customer, obj) | {"facts_as_of": unit.stamp}).items():
            setattr(row, name, value)
        row_insert(row)
        unit.subscriptions[obj["id"]] = row
        _log(unit, row, obj, previous)
        return row
    _log(unit, row, obj, previous)
    ended_before, ended_now = row.status in ENDED, obj["status"] in ENDED
    if ended_before and not ended_now:
        return row
    if ended_now and not ended_before:
        row.facts_as_of = None
    values = newest(unit, "subscription", row, obj, lambda seen: _values(unit, customer, seen))
    names = write(row, values) if values is not None else []
    if "status" in names:
        unit.reassess.add(customer.pk)
    if "default_payment_method_id" in names and row.default_payment_method_id:
        default_changed(unit, customer)
    return row


def _find(unit: Unit, external_id: str) -> Subscription | None:
    row = unit.subscriptions.get(external_id)
    if row is None:
        row = find_row(Subscription, "source = %s AND external_id = %s", [unit.source, external_id])
        if row is not None:
            unit.subscriptions[external_id] = row
    return row


def _values(unit: Unit, customer: Customer, obj: JSON) -> dict[str, Any]:
    items = (obj.get("items") or {}).get("data") or []
    first: JSON = items[0] if items else {}
    price: JSON = first.get("price") or {}
    method = ref(obj.get("default_payment_method"))
    amounts = [(item.get("price") or {}).get("unit_amount") or 0 for item in items]
    return {
        "held_as": held_as(customer, ref(obj["customer"]) or ""),
        "status": obj["status"],
        "plan_name": _plan(unit, price, obj)[:255],
        "amount": sum(a * (item.get("quantity") or 1) for a, item in zip(amounts, items, strict=True)),
        "currency": (obj.get("currency") or price.get("currency") or "").upper(),
        "interval": (price.get("recurring") or {}).get("interval") or "",
        "default_payment_method_id": method_row(unit, method, customer, ref(obj["customer"])).pk if method else None,
        "started_at": moment(obj.get("start_date") or obj.get("created")),
        "current_period_end": moment(first.get("current_period_end") or obj.get("current_period_end")),
        "cancel_at_period_end": bool(obj.get("cancel_at_period_end")),
        "ended_at": moment(obj.get("ended_at")),
        "ended_reason": _ended_reason(obj.get("cancellation_details") or {}),
    }


def _ended_reason(details: JSON) -> str:
    """The processor's word for it; "payment_failed" also for what we ordered cancelled for want of payment."""
    if details.get("comment") == CANCELLED_UNPAID:
        return "payment_failed"
    return str(details.get("reason") or "")[:50]


def _plan(unit: Unit, price: JSON, obj: JSON) -> str:
    named = price.get("nickname") or obj.get("description") or price.get("lookup_key")
    if named:
        return str(named)
    product = price.get("product")
    if isinstance(product, str):
        product = unit.read("product", product, optional=True)
    return str((product or {}).get("name") or "")


def _log(unit: Unit, row: Subscription, obj: JSON, previous: JSON | None) -> None:
    """One line per change of status, from what the event itself says of before: true in any order of arrival."""
    before = (previous or {}).get("status")
    if not before or before == obj["status"]:
        return
    names = dict(SubscriptionStatus.choices)
    unit.log(
        row.customer_id,
        "subscription.status_changed",
        _("Subscription {name}: {before} → {after}.").format(
            name=row, before=names.get(before, before), after=names.get(obj["status"], obj["status"])
        ),
        at=unit.stamp,
        key=f"{obj['id']}:{before}:{obj['status']}:{int(unit.stamp.timestamp())}",
        outcome=obj["status"],
        subject=f"subscription:{row.pk}",
        data={"from": before, "to": obj["status"]},
    )
