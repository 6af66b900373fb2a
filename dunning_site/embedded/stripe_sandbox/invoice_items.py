"""Owns invoice items: amounts that wait for an invoice, or sit on a draft."""

from __future__ import annotations

from typing import Any

from .errors import bad_request
from .lines import add_line, total_up
from .listing import list_objects
from .params import Params, merge_metadata
from .store import Obj
from .world import World


def create_item(world: World, params: Params) -> Obj:
    """Create an invoice item, on a draft invoice or pending for the next one."""
    customer = world.get("customer", params.need("customer"), "customer")
    pricing = params.child("pricing")
    price_id = pricing.text("price") or params.text("price")
    price = world.get("price", price_id, "pricing[price]") if price_id else None
    quantity = params.integer("quantity", 1) or 1
    unit = price["unit_amount"] if price else params.integer("unit_amount")
    amount = unit * quantity if unit is not None else params.need_integer("amount")
    invoice_id = params.text("invoice")
    invoice = world.get("invoice", invoice_id, "invoice") if invoice_id else None
    currency = (params.text("currency") or (price or invoice or {}).get("currency") or "usd").lower()
    if invoice and (invoice["status"] != "draft" or invoice["currency"] != currency):
        raise bad_request("This invoice is no longer editable.", code="invoice_not_editable", param="invoice")
    subscription = params.text("subscription")
    item: Obj = {
        "id": world.new_id("ii"),
        "object": "invoiceitem",
        "amount": amount,
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "date": world.now(),
        "description": params.text("description"),
        "discountable": True,
        "discounts": [],
        "invoice": invoice["id"] if invoice else None,
        "livemode": False,
        "metadata": merge_metadata({}, params),
        "net_amount": amount,
        "parent": {"subscription_details": {"subscription": subscription}, "type": "subscription_details"}
        if subscription
        else None,
        "period": {"end": world.now(), "start": world.now()},
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]} if price else None,
            "type": "price_details",
            "unit_amount_decimal": str(unit if unit is not None else amount),
        },
        "proration": False,
        "proration_details": None,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "tax_rates": [],
        "test_clock": None,
    }
    world.add(item)
    world.emit("invoiceitem.created", item)
    if invoice:
        take_item(world, invoice, item)
    return item


def take_item(world: World, invoice: Obj, item: Obj) -> None:
    """Put a pending item on an invoice."""
    item["invoice"] = invoice["id"]
    world.tables["invoiceitem"].reindex(item)
    details: dict[str, Any] = item["pricing"]["price_details"] or {}
    add_line(
        world,
        invoice,
        item["amount"],
        item["description"],
        quantity=item["quantity"],
        price=world.find(details["price"]) if details else None,
        item=item["id"],
        subscription=item["parent"]["subscription_details"]["subscription"] if item["parent"] else None,
    )


def pending_items(world: World, customer_id: str, currency: str, subscription: str | None) -> list[Obj]:
    """Items that wait for an invoice of this customer, currency and subscription."""
    out = []
    for item in world.tables["invoiceitem"].all(customer=customer_id):
        meant = item["parent"]["subscription_details"]["subscription"] if item["parent"] else None
        if item["invoice"] is None and item["currency"] == currency and meant in (None, subscription):
            out.append(item)
    return out


def delete_item(world: World, params: Params, item_id: str) -> Obj:
    """Delete an item that is on no finalized invoice."""
    item = world.get("invoiceitem", item_id, in_path=True)
    invoice = world.find(item["invoice"]) if item["invoice"] else None
    if invoice:
        if invoice["status"] != "draft":
            raise bad_request("This invoice is no longer editable.", code="invoice_not_editable")
        lines = invoice["lines"]["data"]
        lines[:] = [
            line for line in lines if (line["parent"]["invoice_item_details"] or {}).get("invoice_item") != item_id
        ]
        total_up(invoice)
    world.tables["invoiceitem"].remove(item_id)
    world.emit("invoiceitem.deleted", item)
    return {"id": item_id, "object": "invoiceitem", "deleted": True}


def retrieve_item(world: World, params: Params, item_id: str) -> Obj:
    """One invoice item."""
    return world.get("invoiceitem", item_id, in_path=True)


def list_items(world: World, params: Params) -> Obj:
    """Invoice items; ``pending`` keeps those that wait for an invoice."""
    pending = params.boolean("pending")
    return list_objects(
        world,
        "invoiceitem",
        params,
        "/v1/invoiceitems",
        "customer",
        "invoice",
        where=None if pending is None else lambda item: (item["invoice"] is None) == pending,
    )
