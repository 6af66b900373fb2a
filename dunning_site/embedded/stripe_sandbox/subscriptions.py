"""Owns subscriptions: creation, billing, renewals."""

from __future__ import annotations

from . import collection
from .catalog import new_price, plan_of
from .clock import boundary
from .errors import ApiError, bad_request
from .invoice_items import pending_items, take_item
from .invoices import (
    announce,
    close,
    finalize,
    new_invoice,
)
from .issuers import DAY
from .lines import add_line
from .listing import page
from .methods import require_own
from .params import Params, merge_metadata
from .store import Obj
from .world import World, copy

LIVE = {"active", "past_due", "unpaid", "trialing", "incomplete"}
INCOMPLETE_FOR = 23 * 3_600


def create(world: World, params: Params) -> Obj:
    """Create a subscription and bill its first period.

    ``backdate_start_date`` with ``proration_behavior=none`` starts in the past without billing what went by.
    """
    customer = world.get("customer", params.need("customer"), "customer")
    chosen = params.children("items")
    if not chosen:
        raise bad_request("Missing required param: items.", param="items", code="parameter_missing")
    method = params.text("default_payment_method")
    if method:
        require_own(
            world.get("payment_method", method, "default_payment_method"),
            customer["id"],
            "default_payment_method",
        )
    now = world.now()
    start = params.integer("backdate_start_date", now) or now
    trial_days, trial_end = params.integer("trial_period_days"), params.integer("trial_end")
    if trial_days and trial_end is None:
        trial_end = now + trial_days * DAY
    anchor = trial_end or params.integer("billing_cycle_anchor") or start
    prices = [price_of(world, item) for item in chosen]
    currency = prices[0]["currency"]
    if any(price["recurring"] is None for price in prices):
        raise bad_request("The price specified is set to `type=one_time`.", param="items[0][price]")
    recurring = prices[0]["recurring"]
    interval, count = recurring["interval"], recurring["interval_count"]
    free = trial_end is not None or anchor > now or "backdate_start_date" in params
    period_end = anchor if anchor > now else boundary(anchor, interval, count, now)
    period_start = start if anchor > now else boundary(anchor, interval, count, now, before=True)
    subscription_id_ = world.new_id("sub")
    subscription: Obj = {
        "id": subscription_id_,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": anchor,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": None, "type": "classic"},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": params.text("collection_method", "charge_automatically"),
        "created": now,
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "days_until_due": params.integer("days_until_due"),
        "default_payment_method": method,
        "default_source": None,
        "default_tax_rates": [],
        "description": params.text("description"),
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": page(
            f"/v1/subscription_items?subscription={subscription_id_}",
            [
                new_item(world, subscription_id_, price, item, period_start, period_end)
                for price, item in zip(prices, chosen, strict=True)
            ],
        ),
        "latest_invoice": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": merge_metadata({}, params),
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "presentment_details": None,
        "schedule": None,
        "start_date": start,
        "status": "trialing" if trial_end else "active",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": now if trial_end else None,
    }
    if subscription["collection_method"] == "send_invoice" and subscription["days_until_due"] is None:
        raise bad_request("Missing required param: days_until_due.", param="days_until_due", code="parameter_missing")
    world.add(subscription)
    world.at(period_end, "period", subscription_id_)
    set_cancel(world, subscription, params)
    if free:
        world.emit("customer.subscription.created", subscription)
    else:
        _first_invoice(world, customer, subscription, params)
    return subscription


def price_of(world: World, item: Params) -> Obj:
    data = item.child("price_data")
    if data.data:
        return new_price(world, data, data.need("product"), active=False)
    return world.get("price", item.need("price"), item.path("price"))


def new_item(world: World, owner: str, price: Obj, params: Params, start: int, end: int) -> Obj:
    return {
        "id": world.new_id("si", 14),
        "object": "subscription_item",
        "billed_until": None,
        "billing_thresholds": None,
        "created": world.now(),
        "current_period_end": end,
        "current_period_start": start,
        "discounts": [],
        "metadata": merge_metadata({}, params),
        "plan": plan_of(price),
        "price": copy(price),
        "quantity": params.integer("quantity", 1),
        "subscription": owner,
        "tax_rates": [],
    }


def _first_invoice(world: World, customer: Obj, subscription: Obj, params: Params) -> None:
    manual = subscription["collection_method"] == "send_invoice"
    behavior = params.text("payment_behavior", "allow_incomplete")
    if not manual:
        subscription["status"] = "incomplete"
    invoice = _bill(world, customer, subscription, "subscription_create")
    world.emit("invoice.created", invoice)
    world.emit("customer.subscription.created", subscription)
    finalize(world, invoice)
    if manual:
        world.emit("invoice.sent", invoice)
        return
    world.at(world.now() + INCOMPLETE_FOR, "incomplete", subscription["id"])
    if behavior == "error_if_incomplete":
        try:
            collection.pay(world, invoice, None)
        except ApiError:
            close(world, invoice, "void")
            collection.follow(world, invoice)
            raise
    elif behavior != "default_incomplete" or invoice["amount_due"] == 0:
        collection.automatic(world, invoice)


def _bill(world: World, customer: Obj, subscription: Obj, reason: str) -> Obj:
    items = subscription["items"]["data"]
    start, end = items[0]["current_period_start"], items[0]["current_period_end"]
    invoice = new_invoice(
        world,
        customer,
        currency=subscription["currency"],
        reason=reason,
        collection_method=subscription["collection_method"],
        subscription=subscription,
        days_until_due=subscription["days_until_due"],
        auto_advance=subscription["status"] != "unpaid",
        period=(start, start),
    )
    for item in items:
        price = item["price"]
        product = world.find(price["product"]) or {"name": "Subscription"}
        add_line(
            world,
            invoice,
            price["unit_amount"] * item["quantity"],
            f"{item['quantity']} × {product['name']}",
            quantity=item["quantity"],
            price=price,
            period=(start, end),
            subscription=subscription["id"],
            subscription_item=item["id"],
        )
    for pending in pending_items(world, customer["id"], subscription["currency"], subscription["id"]):
        take_item(world, invoice, pending)
    subscription["latest_invoice"] = invoice["id"]
    return invoice


def renew(world: World, subscription: Obj) -> None:
    """End the current period: bill the next one, or cancel if that was asked for."""
    if subscription["status"] not in LIVE or subscription["status"] == "incomplete":
        return
    if subscription["cancel_at_period_end"]:
        collection.end(world, subscription, "cancellation_requested")
        return
    before = copy(subscription)
    customer = world.get("customer", subscription["customer"])
    for item in subscription["items"]["data"]:
        start, recurring = item["current_period_end"], item["price"]["recurring"]
        item["current_period_start"] = start
        item["current_period_end"] = boundary(
            subscription["billing_cycle_anchor"], recurring["interval"], recurring["interval_count"], start
        )
    world.at(subscription["items"]["data"][0]["current_period_end"], "period", subscription["id"])
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    invoice = _bill(world, customer, subscription, "subscription_cycle")
    pause = subscription["pause_collection"]
    if pause and pause["resumes_at"] and pause["resumes_at"] <= world.now():
        pause = subscription["pause_collection"] = None
    if pause:
        invoice["auto_advance"] = False
    announce(world, invoice)
    world.emit("customer.subscription.updated", subscription, before)
    if pause and pause["behavior"] in {"void", "mark_uncollectible"}:
        finalize(world, invoice)
        close(world, invoice, "void" if pause["behavior"] == "void" else "uncollectible")


def expire_incomplete(world: World, subscription: Obj) -> None:
    """Give up on a subscription whose first invoice was not paid within 23 hours."""
    if subscription["status"] == "incomplete":
        invoice = world.get("invoice", subscription["latest_invoice"])
        close(world, invoice, "void")
        collection.follow(world, invoice)


def set_cancel(world: World, subscription: Obj, params: Params) -> None:
    details = params.child("cancellation_details")
    for name in ("comment", "feedback"):
        if name in details:
            subscription["cancellation_details"][name] = details.text(name)
    if "cancel_at_period_end" in params:
        wanted = bool(params.boolean("cancel_at_period_end"))
        subscription["cancel_at_period_end"] = wanted
        subscription["cancel_at"] = subscription["items"]["data"][0]["current_period_end"] if wanted else None
        subscription["canceled_at"] = world.now() if wanted else None
        subscription["cancellation_details"]["reason"] = "cancellation_requested" if wanted else None
    elif "cancel_at" in params:
        when = params.integer("cancel_at")
        subscription["cancel_at"] = when
        subscription["canceled_at"] = world.now() if when else None
        if when:
            world.at(when, "cancel_at", subscription["id"])
