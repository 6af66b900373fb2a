"""Owns creating many objects in one call: products, prices, customers with cards and subscriptions."""

from __future__ import annotations

from collections import deque
from typing import Any

from . import catalog, customers, methods, subscriptions
from .cards import TOKENS
from .errors import bad_request
from .params import Params
from .store import Obj
from .world import World


def seed(world: World, data: dict[str, Any]) -> dict[str, Any]:
    """Create what ``data`` lists and return the identities made, in the order given.

    Each entry takes the parameters of the API's create call. A customer may also have ``cards`` (``number`` or
    ``token``, ``exp_month``, ``exp_year``, ``metadata``; the first one becomes the default) and ``subscriptions``
    (``price``, ``quantity``, ``metadata``, ``card`` as index, and ``started``: the second from which the current
    period counts; nothing is billed for the past). ``events: false`` makes it silently.
    """
    unknown = set(data) - {"products", "prices", "customers", "events"}
    if unknown:
        raise bad_request(f"Unknown part of a seed: {min(unknown)}", param=min(unknown))
    quiet = data.get("events") is False
    kept = (dict(world.events), deque(world.event_order), deque(world.outbox))
    out = {
        "products": [catalog.create_product(world, Params(entry))["id"] for entry in data.get("products", [])],
        "prices": [catalog.create_price(world, Params(entry))["id"] for entry in data.get("prices", [])],
        "customers": [_customer(world, entry) for entry in data.get("customers", [])],
    }
    if quiet:
        world.events, world.event_order, world.outbox = kept
    return out


def _customer(world: World, entry: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in entry.items() if name not in {"cards", "subscriptions"}}
    customer = customers.create(world, Params(given))
    cards = [add_card(world, customer, card) for card in entry.get("cards", [])]
    if cards:
        methods.set_default(world, customer, cards[0])
    made = [_subscription(world, customer, cards, each) for each in entry.get("subscriptions", [])]
    return {"id": customer["id"], "payment_methods": cards, "subscriptions": made}


def add_card(world: World, customer: Obj, card: dict[str, Any]) -> str:
    """Attach a card (or, by ``type``, an account that can be debited) described as in a seed; returns its identity."""
    metadata = {name: str(value) for name, value in card.get("metadata", {}).items()}
    if card.get("type", "card") != "card":
        account = methods.create_method(world, Params(card | {"metadata": metadata}))
        return str(methods.attach_method(world, account["id"], customer)["id"])
    number = str(card.get("number") or TOKENS[card.get("token", "pm_card_visa")])
    method = methods.new_method(
        world, number, metadata, Params(card), exp_month=card.get("exp_month"), exp_year=card.get("exp_year")
    )
    return str(methods.attach_method(world, method["id"], customer)["id"])


def _subscription(world: World, customer: Obj, cards: list[str], entry: dict[str, Any]) -> str:
    given = {name: value for name, value in entry.items() if name not in {"price", "quantity", "card", "started"}}
    given["customer"] = customer["id"]
    given["items"] = [{"price": entry["price"], "quantity": entry.get("quantity", 1)}]
    if "card" in entry:
        given["default_payment_method"] = cards[entry["card"]]
    if "started" in entry:
        given.update(backdate_start_date=entry["started"], proration_behavior="none")
    return str(subscriptions.create(world, Params(given))["id"])
