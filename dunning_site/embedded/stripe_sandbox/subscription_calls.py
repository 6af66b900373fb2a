"""Owns the API calls that change, cancel and list subscriptions."""

from __future__ import annotations

from . import collection
from .catalog import plan_of
from .errors import bad_request
from .listing import list_objects, page
from .methods import require_own
from .params import Params, merge_metadata
from .store import Obj
from .subscriptions import new_item, price_of, set_cancel
from .world import World, copy


def update(world: World, params: Params, object_id: str) -> Obj:
    """Change a subscription; quantities and prices take effect at the next renewal (no prorations)."""
    subscription = world.get("subscription", object_id, in_path=True)
    if subscription["status"] in {"canceled", "incomplete_expired"} and set(params.data) - {
        "metadata",
        "expand",
    }:
        raise bad_request("A canceled subscription can only update its cancellation_details and metadata.")
    before = copy(subscription)
    if "default_payment_method" in params:
        method = params.text("default_payment_method")
        if method:
            found = world.get("payment_method", method, "default_payment_method")
            require_own(found, subscription["customer"], "default_payment_method")
        subscription["default_payment_method"] = method
    for name in ("collection_method", "description"):
        if name in params:
            subscription[name] = params.text(name)
    if "days_until_due" in params:
        subscription["days_until_due"] = params.integer("days_until_due")
    if "pause_collection" in params:
        pause = params.child("pause_collection")
        subscription["pause_collection"] = (
            {"behavior": pause.need("behavior"), "resumes_at": pause.integer("resumes_at")} if pause.data else None
        )
    subscription["metadata"] = merge_metadata(subscription["metadata"], params)
    set_cancel(world, subscription, params)
    _change_items(world, subscription, params)
    world.emit("customer.subscription.updated", subscription, before)
    return subscription


def _change_items(world: World, subscription: Obj, params: Params) -> None:
    for change in params.children("items"):
        wanted = change.text("id")
        items = subscription["items"]["data"]
        found = next((item for item in items if item["id"] == wanted), None)
        if found is None:
            first = items[0]
            start, end = first["current_period_start"], first["current_period_end"]
            items.append(new_item(world, subscription["id"], price_of(world, change), change, start, end))
            continue
        if change.boolean("deleted"):
            items.remove(found)
            continue
        if "price" in change:
            price = price_of(world, change)
            found["price"], found["plan"] = copy(price), plan_of(price)
        if "quantity" in change:
            found["quantity"] = change.need_integer("quantity")


def cancel(world: World, params: Params, object_id: str) -> Obj:
    """Cancel at once; ``invoice_now`` and ``prorate`` are accepted and make no invoice."""
    subscription = world.get("subscription", object_id, in_path=True)
    if subscription["status"] == "canceled":
        raise bad_request(f"No such subscription: '{object_id}'", param="id", code="resource_missing")
    set_cancel(world, subscription, params)
    collection.end(world, subscription, "cancellation_requested")
    return subscription


def retrieve(world: World, params: Params, object_id: str) -> Obj:
    """One subscription."""
    return world.get("subscription", object_id, in_path=True)


def list_subscriptions(world: World, params: Params) -> Obj:
    """Subscriptions that are not canceled, or those of ``status`` (``all`` for every one)."""
    status, price, method = params.text("status"), params.text("price"), params.text("collection_method")

    def wanted(subscription: Obj) -> bool:
        if status == "ended":
            fits = subscription["status"] in {"canceled", "incomplete_expired"}
        elif status is None:
            fits = subscription["status"] != "canceled"
        else:
            fits = status in ("all", subscription["status"])
        if price is not None:
            fits = fits and any(item["price"]["id"] == price for item in subscription["items"]["data"])
        return fits and method in (None, subscription["collection_method"])

    return list_objects(world, "subscription", params, "/v1/subscriptions", "customer", where=wanted)


def list_subscription_items(world: World, params: Params) -> Obj:
    """The items of one subscription."""
    subscription = world.get("subscription", params.need("subscription"), "subscription")
    return page("/v1/subscription_items", list(subscription["items"]["data"]))


def retrieve_item(world: World, params: Params, item_id: str) -> Obj:
    """One subscription item."""
    for subscription in world.tables["subscription"].objects.values():
        for item in subscription["items"]["data"]:
            if item["id"] == item_id:
                return item  # type: ignore[no-any-return]
    raise bad_request(f"No such subscription_item: '{item_id}'", param="id", code="resource_missing")
