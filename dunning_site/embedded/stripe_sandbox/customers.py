"""Owns customers."""

from __future__ import annotations

from .cards import TOKENS
from .errors import bad_request
from .listing import list_objects, page
from .methods import address, attach_method, resolve_method, set_default
from .params import Params, merge_metadata
from .store import Obj
from .world import World, copy


def create(world: World, params: Params) -> Obj:
    """Create a customer; ``payment_method`` is attached, as Stripe does."""
    customer_id = params.text("id") or world.new_id("cus", 14)
    if customer_id in world.tables["customer"].objects:
        raise bad_request("Customer already exists.", param="id", code="resource_already_exists")
    settings = params.child("invoice_settings")
    customer: Obj = {
        "id": customer_id,
        "object": "customer",
        "address": address(params),
        "balance": params.integer("balance", 0),
        "created": world.now(),
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": params.text("description"),
        "discount": None,
        "email": params.text("email"),
        "invoice_prefix": (params.text("invoice_prefix") or world.token(customer_id, length=8)).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": merge_metadata({}, params),
        "name": params.text("name"),
        "next_invoice_sequence": 1,
        "phone": params.text("phone"),
        "preferred_locales": params.texts("preferred_locales"),
        "shipping": None,
        "tax_exempt": params.text("tax_exempt", "none"),
        "test_clock": None,
    }
    chosen = params.text("payment_method")
    if chosen:
        chosen = resolve_method(world, chosen)["id"]
    world.add(customer)
    world.emit("customer.created", customer)
    if chosen:
        attach_method(world, chosen, customer)
    default = settings.text("default_payment_method")
    if default:
        set_default(world, customer, chosen if default in TOKENS and chosen else default)
    return customer


def update(world: World, params: Params, customer_id: str) -> Obj:
    """Change a customer."""
    customer = world.get("customer", customer_id, in_path=True)
    before = copy(customer)
    for name in ("description", "email", "name", "phone", "tax_exempt"):
        if name in params:
            customer[name] = params.text(name)
    if "address" in params:
        customer["address"] = address(params)
    if "balance" in params:
        customer["balance"] = params.integer("balance", 0)
    if "preferred_locales" in params:
        customer["preferred_locales"] = params.texts("preferred_locales")
    customer["metadata"] = merge_metadata(customer["metadata"], params)
    settings = params.child("invoice_settings")
    if "default_payment_method" in settings:
        set_default(world, customer, settings.text("default_payment_method"), emit=False)
    world.tables["customer"].reindex(customer)
    world.emit("customer.updated", customer, before)
    return customer


def retrieve(world: World, params: Params, customer_id: str) -> Obj:
    """A customer, or the stub of a deleted one."""
    if customer_id in world.deleted:
        return {"id": customer_id, "object": "customer", "deleted": True}
    return world.get("customer", customer_id, in_path=True)


def list_customers(world: World, params: Params) -> Obj:
    """Customers, newest first."""
    return list_objects(world, "customer", params, "/v1/customers", "email")


def methods_of(world: World, params: Params, customer_id: str) -> Obj:
    """A customer's payment methods."""
    world.get("customer", customer_id, in_path=True)
    url = f"/v1/customers/{customer_id}/payment_methods"
    return list_objects(world, "payment_method", params, url, "type", customer=customer_id)


def no_sources(world: World, params: Params, customer_id: str) -> Obj:
    """Legacy sources, which the sandbox has none of."""
    return page(f"/v1/customers/{customer_id}/sources", [])
