"""Owns lists with cursors and filters, and the expansion of references."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from .errors import bad_request
from .params import Params
from .store import Obj
from .world import World

_BOUNDS = ("gt", "gte", "lt", "lte")


def page(url: str, data: list[Any], *, has_more: bool = False) -> Obj:
    """Stripe's list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def list_objects(
    world: World,
    kind: str,
    params: Params,
    url: str,
    *fields: str,
    where: Callable[[Obj], bool] | None = None,
    **fixed: Any,
) -> Obj:
    """One page, newest first; ``fields`` are the filters taken from the parameters by name."""
    filters: dict[str, Any] = {name: value for name in fields if (value := params.text(name)) is not None}
    filters.update(fixed)
    limit = params.integer("limit", 10) or 10
    if not 1 <= limit <= 100:
        raise bad_request("This value must be between 1 and 100 (inclusive).", param="limit")
    lowest, highest = created_bounds(params)
    table = world.tables[kind]
    ending, starting = params.text("ending_before"), params.text("starting_after")
    found: Iterator[Obj]
    if ending is not None:
        world.get(kind, ending, "ending_before")
        found = table.oldest(filters, table.key(ending))
    else:
        if starting is not None:
            world.get(kind, starting, "starting_after")
        found = table.newest(filters, table.key(starting) if starting else None)
    if lowest is not None or highest is not None:
        found = (obj for obj in found if _within(obj, lowest, highest))
    if where is not None:
        found = filter(where, found)
    taken = list(islice(found, limit + 1))
    data = taken[:limit]
    if ending is not None:
        data.reverse()
    return page(url, data, has_more=len(taken) > limit)


def created_bounds(params: Params) -> tuple[int | None, int | None]:
    """Inclusive lower and upper bound of ``created`` in seconds, from ``created`` or ``created[gte]`` and kin."""
    if "created" not in params:
        return None, None
    if not isinstance(params.data["created"], dict):
        exact = params.need_integer("created")
        return exact, exact
    child = params.child("created")
    unknown = set(child.data) - set(_BOUNDS)
    if unknown:
        raise bad_request(f"Received unknown parameter: created[{min(unknown)}]", code="parameter_unknown")
    lows = [value for value in (child.integer("gte"),) if value is not None]
    lows += [value + 1 for value in (child.integer("gt"),) if value is not None]
    highs = [value for value in (child.integer("lte"),) if value is not None]
    highs += [value - 1 for value in (child.integer("lt"),) if value is not None]
    return max(lows, default=None), min(highs, default=None)


def _within(obj: Obj, lowest: int | None, highest: int | None) -> bool:
    created = int(obj.get("created") or obj.get("date") or 0)
    return (lowest is None or created >= lowest) and (highest is None or created <= highest)


def expand(world: World, obj: Any, paths: list[str]) -> Any:
    """A copy of the answer with the named references replaced by what they refer to (four levels at most)."""
    tree: dict[str, Any] = {}
    for path in paths:
        parts = path.split(".")
        if len([part for part in parts if part != "data"]) > 4:
            raise bad_request("You cannot expand more than 4 levels of a property.", param="expand")
        here = tree
        for part in parts:
            here = here.setdefault(part, {})
    return _expand(world, obj, tree, "") if tree else obj


def _expand(world: World, value: Any, tree: dict[str, Any], path: str) -> Any:
    if isinstance(value, str):
        found = world.find(value)
        if found is None:
            return value
        return _expand(world, found, tree, path) if tree else found
    if isinstance(value, list):
        return [_expand(world, entry, tree, path) for entry in value]
    if not isinstance(value, dict):
        return value
    out = dict(value)
    for name, below in tree.items():
        inside = f"{path}.{name}".lstrip(".")
        if name not in out:
            extra = _included(world, value, name)
            if extra is None:
                if value.get("object") in {"line_item", "list"} or name in OPTIONAL:
                    continue
                raise bad_request(f"This property cannot be expanded ({inside}).", param="expand")
            out[name] = extra
        out[name] = _expand(world, out[name], below, inside)
    return out


OPTIONAL = {"sources", "tiers", "currency_options", "tax", "discounts", "destination"}


def _included(world: World, obj: Obj, name: str) -> Any:
    """Properties that Stripe leaves out unless asked for."""
    kind, object_id = obj.get("object"), obj.get("id")
    if (kind, name) == ("invoice", "payments"):
        payments = world.tables["invoice_payment"].all(invoice=object_id)
        return page(f"/v1/invoice_payments?invoice={object_id}", payments[::-1])
    if (kind, name) == ("invoice", "confirmation_secret"):
        intent = world.find(world.secret(str(object_id)).get("payment_intent", ""))
        return {"client_secret": intent["client_secret"], "type": "payment_intent"} if intent else {}
    if (kind, name) == ("charge", "refunds"):
        refunds = world.tables["refund"].all(charge=object_id)
        return page(f"/v1/charges/{object_id}/refunds", refunds[::-1])
    if (kind, name) == ("customer", "subscriptions"):
        live = [s for s in world.tables["subscription"].all(customer=object_id) if s["status"] != "canceled"]
        return page(f"/v1/customers/{object_id}/subscriptions", live[::-1])
    if (kind, name) == ("customer", "sources"):
        return page(f"/v1/customers/{object_id}/sources", [])
    return None


def to_json(obj: Any) -> bytes:
    """The bytes of an answer."""
    return json.dumps(obj, separators=(",", ":")).encode()
