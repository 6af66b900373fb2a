"""Owns products and prices."""

from __future__ import annotations

from typing import Any

from .errors import bad_request
from .listing import list_objects, page
from .params import Params, merge_metadata
from .store import Obj
from .world import World, copy

INTERVALS = ("day", "week", "month", "year")


def create_product(world: World, params: Params) -> Obj:
    """Create a product, and its default price if ``default_price_data`` is given."""
    product: Obj = {
        "id": params.text("id") or world.new_id("prod", 14),
        "object": "product",
        "active": params.boolean("active", True),
        "created": world.now(),
        "default_price": None,
        "description": params.text("description"),
        "images": params.texts("images"),
        "livemode": False,
        "marketing_features": [],
        "metadata": merge_metadata({}, params),
        "name": params.need("name"),
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": params.text("statement_descriptor"),
        "tax_code": None,
        "type": "service",
        "unit_label": params.text("unit_label"),
        "updated": world.now(),
        "url": params.text("url"),
    }
    if product["id"] in world.tables["product"].objects:
        raise bad_request("Product already exists.", param="id", code="resource_already_exists")
    world.add(product)
    price_data = params.child("default_price_data")
    if price_data.data:
        product["default_price"] = new_price(world, price_data, product["id"])["id"]
    world.emit("product.created", product)
    return product


def update_product(world: World, params: Params, product_id: str) -> Obj:
    """Change a product."""
    product = world.get("product", product_id, in_path=True)
    before = copy(product)
    for name in ("name", "description", "url", "unit_label", "default_price"):
        if name in params:
            product[name] = params.text(name)
    if "active" in params:
        product["active"] = params.boolean("active")
    product["metadata"] = merge_metadata(product["metadata"], params)
    if product != before:
        product["updated"] = world.now()
    world.emit("product.updated", product, before)
    return product


def retrieve_product(world: World, params: Params, product_id: str) -> Obj:
    """One product."""
    return world.get("product", product_id, in_path=True)


def list_products(world: World, params: Params) -> Obj:
    """Products, newest first."""
    return list_objects(world, "product", params, "/v1/products", **_active(params))


def list_features(world: World, params: Params, product_id: str) -> Obj:
    """Entitlement features of a product; the sandbox sells none."""
    world.get("product", product_id, in_path=True)
    return page(f"/v1/products/{product_id}/features", [])


def create_price(world: World, params: Params) -> Obj:
    """Create a price for a product, or for a new one described by ``product_data``."""
    data = params.child("product_data")
    product_id = create_product(world, data)["id"] if data.data else params.need("product")
    world.get("product", product_id, "product")
    return new_price(world, params, product_id)


def new_price(world: World, params: Params, product_id: str, *, active: bool = True) -> Obj:
    """Add a price; amounts are integers in minor units."""
    recurring = params.child("recurring")
    interval = recurring.text("interval")
    if recurring.data and interval not in INTERVALS:
        raise bad_request(f"Invalid interval: must be one of {', '.join(INTERVALS)}", param="recurring[interval]")
    amount = params.integer("unit_amount")
    if amount is None:
        amount = int(float(params.need("unit_amount_decimal")))
    price: Obj = {
        "id": params.text("id") or world.new_id("price"),
        "object": "price",
        "active": bool(params.boolean("active", active)),
        "billing_scheme": "per_unit",
        "created": world.now(),
        "currency": params.need("currency").lower(),
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": params.text("lookup_key"),
        "metadata": merge_metadata({}, params),
        "nickname": params.text("nickname"),
        "product": product_id,
        "recurring": {
            "interval": interval,
            "interval_count": recurring.integer("interval_count", 1),
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        }
        if interval
        else None,
        "tax_behavior": params.text("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if interval else "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    world.add(price)
    world.emit("price.created", price)
    return price


def update_price(world: World, params: Params, price_id: str) -> Obj:
    """Change what may change of a price."""
    price = world.get("price", price_id, in_path=True)
    before = copy(price)
    for name in ("nickname", "lookup_key"):
        if name in params:
            price[name] = params.text(name)
    if "active" in params:
        price["active"] = params.boolean("active")
    price["metadata"] = merge_metadata(price["metadata"], params)
    world.emit("price.updated", price, before)
    return price


def retrieve_price(world: World, params: Params, price_id: str) -> Obj:
    """One price."""
    return world.get("price", price_id, in_path=True)


def list_prices(world: World, params: Params) -> Obj:
    """Prices, newest first."""
    return list_objects(world, "price", params, "/v1/prices", "product", "currency", "type", **_active(params))


def _active(params: Params) -> dict[str, Any]:
    active = params.boolean("active")
    return {} if active is None else {"active": active}


def plan_of(price: Obj) -> Obj:
    """The legacy plan that Stripe still shows inside subscription items."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }
