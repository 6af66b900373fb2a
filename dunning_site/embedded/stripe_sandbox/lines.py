"""Owns the lines of an invoice and the totals they add up to."""

from __future__ import annotations

from .store import Obj
from .world import World


def add_line(
    world: World,
    invoice: Obj,
    amount: int,
    description: str | None,
    *,
    quantity: int = 1,
    price: Obj | None = None,
    period: tuple[int, int] | None = None,
    item: str | None = None,
    subscription: str | None = None,
    subscription_item: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Obj:
    """Add a line of ``amount`` minor units and bring the totals up to date."""
    start, end = period or (world.now(), world.now())
    details: Obj = {
        "invoice_item": item,
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": subscription,
    }
    if subscription_item:
        details["subscription_item"] = subscription_item
    kind = "subscription_item_details" if subscription_item else "invoice_item_details"
    other = "invoice_item_details" if subscription_item else "subscription_item_details"
    unit = price["unit_amount"] if price else amount // quantity if quantity else amount
    line: Obj = {
        "id": world.new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": invoice["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": metadata or {},
        "parent": {kind: details, other: None, "type": kind},
        "period": {"end": end, "start": start},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]} if price else None,
            "type": "price_details",
            "unit_amount_decimal": str(unit),
        },
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": subscription,
        "subtotal": amount,
        "taxes": [],
    }
    invoice["lines"]["data"].append(line)
    total_up(invoice)
    return line


def total_up(invoice: Obj) -> None:
    """Derive every total from the lines."""
    total = sum(line["amount"] for line in invoice["lines"]["data"])
    due = max(total, 0)
    invoice.update(
        subtotal=total,
        subtotal_excluding_tax=total,
        total=total,
        total_excluding_tax=total,
        amount_due=due,
        amount_remaining=due - invoice["amount_paid"],
    )
