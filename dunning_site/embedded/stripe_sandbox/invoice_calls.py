"""Owns the API calls on invoices."""

from __future__ import annotations

from . import collection
from .errors import bad_request
from .invoice_items import pending_items, take_item
from .invoices import (
    add_payment,
    announce,
    close,
    finalize,
    new_invoice,
    subscription_id,
)
from .lines import add_line
from .listing import list_objects, page
from .methods import require_own, resolve_method
from .params import Params, merge_metadata
from .store import Obj
from .world import World, copy


def create(world: World, params: Params) -> Obj:
    """Create a draft invoice; ``pending_invoice_items_behavior=include`` takes the customer's pending items."""
    subscription_given = params.text("subscription")
    subscription = world.get("subscription", subscription_given, "subscription") if subscription_given else None
    customer_given = params.text("customer") or (subscription["customer"] if subscription else None)
    if customer_given is None:
        params.need("customer")
    customer = world.get("customer", customer_given or "", "customer")
    method = params.text("default_payment_method")
    if method:
        found = world.get("payment_method", method, "default_payment_method")
        require_own(found, customer["id"], "default_payment_method")
    manual = params.text("collection_method", "charge_automatically")
    due_date, days = params.integer("due_date"), params.integer("days_until_due")
    if manual == "send_invoice" and due_date is None and days is None:
        raise bad_request("You must pass either `due_date` or `days_until_due`.", param="days_until_due")
    currency = (params.text("currency") or customer["currency"] or "usd").lower()
    invoice = new_invoice(
        world,
        customer,
        currency=currency,
        reason="manual",
        collection_method=manual or "charge_automatically",
        subscription=subscription,
        auto_advance=bool(params.boolean("auto_advance", False)),
        days_until_due=days,
        due_date=due_date,
        description=params.text("description"),
        metadata=merge_metadata({}, params),
        default_payment_method=method,
    )
    if params.text("pending_invoice_items_behavior") == "include":
        for item in pending_items(world, customer["id"], currency, subscription_given):
            take_item(world, invoice, item)
    announce(world, invoice)
    return invoice


def update(world: World, params: Params, invoice_id: str) -> Obj:
    """Change a draft, or what may change later (metadata, auto_advance, default_payment_method)."""
    invoice = world.get("invoice", invoice_id, in_path=True)
    before = copy(invoice)
    frozen = {"description", "collection_method", "days_until_due", "due_date"} & set(params.data)
    if frozen and invoice["status"] != "draft":
        raise bad_request("Finalized invoices can't be updated in this way", param=min(frozen))
    for name in ("description", "collection_method", "footer"):
        if name in params:
            invoice[name] = params.text(name)
    if "due_date" in params:
        invoice["due_date"] = params.integer("due_date")
    if "days_until_due" in params:
        world.secret(invoice_id)["days_until_due"] = params.integer("days_until_due")
    if "auto_advance" in params:
        invoice["auto_advance"] = bool(params.boolean("auto_advance"))
        if not invoice["auto_advance"]:
            invoice["next_payment_attempt"] = invoice["automatically_finalizes_at"] = None
    if "default_payment_method" in params:
        method = params.text("default_payment_method")
        if method:
            found = world.get("payment_method", method, "default_payment_method")
            require_own(found, invoice["customer"], "default_payment_method")
        invoice["default_payment_method"] = method
    invoice["metadata"] = merge_metadata(invoice["metadata"], params)
    world.emit("invoice.updated", invoice, before)
    return invoice


def add_lines(world: World, params: Params, invoice_id: str) -> Obj:
    """Add lines to a draft."""
    invoice = world.get("invoice", invoice_id, in_path=True)
    if invoice["status"] != "draft":
        raise bad_request("This invoice is no longer editable.", code="invoice_not_editable")
    before = copy(invoice)
    for line in params.children("lines"):
        given = line.child("pricing").text("price")
        price = world.get("price", given, "lines[pricing][price]") if given else None
        quantity = line.integer("quantity", 1) or 1
        amount = price["unit_amount"] * quantity if price else line.need_integer("amount")
        metadata = merge_metadata({}, line)
        add_line(
            world,
            invoice,
            amount,
            line.text("description"),
            quantity=quantity,
            price=price,
            metadata=metadata,
        )
    world.emit("invoice.updated", invoice, before)
    return invoice


def finalize_call(world: World, params: Params, invoice_id: str) -> Obj:
    """Finalize a draft; one that advances by itself is collected at once."""
    invoice = world.get("invoice", invoice_id, in_path=True)
    if "auto_advance" in params:
        invoice["auto_advance"] = bool(params.boolean("auto_advance"))
    finalize(world, invoice)
    if invoice["amount_due"] == 0:
        collection.settle(world, invoice)
    elif invoice["auto_advance"] and invoice["collection_method"] == "charge_automatically":
        collection.automatic(world, invoice)
    return invoice


def pay_call(world: World, params: Params, invoice_id: str) -> Obj:
    """Pay now with the given or the default card; ``paid_out_of_band`` books money that came elsewhere."""
    invoice = world.get("invoice", invoice_id, in_path=True)
    if params.boolean("paid_out_of_band"):
        collection.check_payable(invoice)
        if invoice["status"] == "draft":
            finalize(world, invoice)
        collection.settle(world, invoice, out_of_band=True)
        return invoice
    collection.check_payable(invoice)
    given = params.text("payment_method")
    method = None
    if given:
        method = resolve_method(world, given)
        if method["customer"] not in (None, invoice["customer"]) or (
            method["customer"] is None and given == method["id"]
        ):
            require_own(method, invoice["customer"], "payment_method")
    collection.pay(world, invoice, method, off_session=bool(params.boolean("off_session", True)))
    return invoice


def attach_payment(world: World, params: Params, invoice_id: str) -> Obj:
    """Let a payment intent of its own pay a part of an open invoice, now or when it succeeds."""
    invoice = world.get("invoice", invoice_id, in_path=True)
    intent = world.get("payment_intent", params.need("payment_intent"), "payment_intent")
    if invoice["status"] != "open":
        raise bad_request("Payments can only be attached to open invoices.", code="invoice_not_payable")
    if intent["customer"] != invoice["customer"] or intent["currency"] != invoice["currency"]:
        raise bad_request("The PaymentIntent's customer and currency must be the invoice's.", param="payment_intent")
    known = world.secret(intent["id"])
    if known.get("invoice") or known.get("attached") or intent["status"] == "canceled":
        raise bad_request("This PaymentIntent cannot be attached to an invoice.", param="payment_intent")
    if intent["amount"] > invoice["amount_remaining"]:
        raise bad_request(
            "The PaymentIntent is over more than the invoice's remaining amount.", param="payment_intent"
        )
    known.update(attached=invoice["id"], invoice_payment=add_payment(world, invoice, intent, default=False)["id"])
    if intent["status"] == "succeeded":
        collection.credit(world, intent)
    return invoice


def send(world: World, params: Params, invoice_id: str) -> Obj:
    """Send an invoice to the customer (the sandbox only tells of it), finalizing a draft first."""
    invoice = world.get("invoice", invoice_id, in_path=True)
    if invoice["status"] == "draft":
        finalize(world, invoice)
    if invoice["collection_method"] != "send_invoice":
        raise bad_request("You can only manually send an invoice if its collection method is 'send_invoice'.")
    world.emit("invoice.sent", invoice)
    return invoice


def void(world: World, params: Params, invoice_id: str) -> Obj:
    """Void an open or uncollectible invoice."""
    return _close(world, invoice_id, "void", {"open", "uncollectible"})


def mark_uncollectible(world: World, params: Params, invoice_id: str) -> Obj:
    """Write an open invoice off; it can still be paid."""
    return _close(world, invoice_id, "uncollectible", {"open"})


def _close(world: World, invoice_id: str, status: str, allowed: set[str]) -> Obj:
    invoice = world.get("invoice", invoice_id, in_path=True)
    if invoice["status"] not in allowed:
        raise bad_request(
            f"This invoice can't be changed to `{status}`: its status is `{invoice['status']}`.",
            code="invoice_not_editable",
        )
    close(world, invoice, status)
    collection.follow(world, invoice)
    return invoice


def delete(world: World, params: Params, invoice_id: str) -> Obj:
    """Delete a draft that belongs to no subscription."""
    invoice = world.get("invoice", invoice_id, in_path=True)
    if invoice["status"] != "draft" or subscription_id(invoice):
        raise bad_request("You can only delete draft invoices.", code="invoice_not_editable")
    world.tables["invoice"].remove(invoice_id)
    world.emit("invoice.deleted", invoice)
    return {"id": invoice_id, "object": "invoice", "deleted": True}


def retrieve(world: World, params: Params, invoice_id: str) -> Obj:
    """One invoice."""
    return world.get("invoice", invoice_id, in_path=True)


def lines(world: World, params: Params, invoice_id: str) -> Obj:
    """The lines of an invoice, all on one page."""
    invoice = world.get("invoice", invoice_id, in_path=True)
    return page(f"/v1/invoices/{invoice_id}/lines", list(invoice["lines"]["data"]))


def list_invoices(world: World, params: Params) -> Obj:
    """Invoices, newest first; filters: status, customer, subscription, collection_method, created, due_date."""
    wanted = params.text("subscription")
    fixed = {}
    if wanted is not None:
        subscription = world.get("subscription", wanted, "subscription")
        fixed["customer"] = subscription["customer"]
    return list_objects(
        world,
        "invoice",
        params,
        "/v1/invoices",
        "status",
        "customer",
        "collection_method",
        where=None if wanted is None else lambda invoice: subscription_id(invoice) == wanted,
        **fixed,
    )


def list_payments(world: World, params: Params) -> Obj:
    """The payments of invoices; filters: invoice, status, payment[payment_intent]."""
    wanted = params.child("payment").text("payment_intent")
    return list_objects(
        world,
        "invoice_payment",
        params,
        "/v1/invoice_payments",
        "invoice",
        "status",
        where=None if wanted is None else lambda entry: entry["payment"]["payment_intent"] == wanted,
    )


def retrieve_payment(world: World, params: Params, object_id: str) -> Obj:
    """One invoice payment."""
    return world.get("invoice_payment", object_id, in_path=True)
