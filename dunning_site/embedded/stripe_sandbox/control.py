"""Owns the control calls under ``/_sandbox/``: clock, delivery, faults, ledger, seeding."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import clock, collection, methods, money_back, seeding, updater
from .errors import ApiError, bad_request
from .ledger import report
from .listing import to_json
from .world import DEFAULT_SETTINGS

if TYPE_CHECKING:
    from .server import SandboxServer

Data = dict[str, Any]


def handle(server: SandboxServer, method: str, path: str, query: dict[str, str], data: Data) -> bytes:
    """Carry out one control call and return its JSON. Raises ApiError 404 for an unknown one."""
    parts = path.strip("/").split("/")[1:]
    name = parts[0] if parts else ""
    if name == "deliver" and method == "POST":
        # Without the world's lock: whoever receives an event may call the API before it answers.
        types = data.get("types")
        count, limit = int(data.get("concurrency", 1)), data.get("limit")
        return to_json(server.deliverer.flush(concurrency=count, limit=limit, types=types))
    call = CALLS.get((method, name))
    if call is None:
        raise ApiError(404, f"Unrecognized control call ({method}: {path}).")
    with server.world.lock:
        server.world.request = {"id": None, "idempotency_key": None}
        answer = call(server, parts[1:], query, data)
    server.deliverer.wake()
    return answer if isinstance(answer, bytes) else to_json(answer)


def _seconds(value: Any) -> int:
    if isinstance(value, str) and not value.lstrip("-").isdigit():
        return int(datetime.fromisoformat(value).timestamp())
    return int(value)


def _clock(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    world = server.world
    done = 0
    if data.get("wall"):
        world.virtual_now = None
    elif "now" in data or "advance" in data:
        target = _seconds(data["now"]) if "now" in data else world.now() + int(data["advance"])
        done = clock.set_clock(world, target)
    elif parts == ["next"]:
        pass
    following = world.due[0][0] if world.due else None
    return {"now": world.now(), "virtual": world.virtual_now is not None, "done": done, "next_due": following}


def _events(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> bytes:
    world, kind = server.world, query.get("type")
    wanted = [
        world.events[event_id]["raw"]
        for event_id in world.event_order
        if kind is None or world.events[event_id]["type"] == kind
    ]
    return ('{"object":"list","data":[' + ",".join(wanted) + "]}").encode()


def _settings(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    for name, value in data.items():
        if name not in DEFAULT_SETTINGS:
            raise bad_request(f"Unknown setting: {name}", param=name)
        server.world.settings[name] = value
    server.world.dirty = True
    return server.world.settings


def _reset(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    server.reset(seed=data.get("seed"), keep_endpoints=bool(data.get("keep_endpoints", True)))
    return {"ok": True}


def _ledger(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    out = report(server.world)
    if query.get("brief"):
        out.pop("entries")
        out.pop("invoices")
    return out


def _status(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    world = server.world
    return {
        "now": world.now(),
        "virtual": world.virtual_now is not None,
        "objects": {kind: len(table) for kind, table in world.tables.items()},
        "events": len(world.events),
        "pending_deliveries": len(world.outbox),
        "delivered": server.deliverer.delivered,
        "failed_deliveries": server.deliverer.failed,
        "last_delivery_error": server.deliverer.last_error,
        "requests": server.requests,
        "settings": world.settings,
    }


def _faults(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    if data:
        return server.faults.add(data)
    return {"data": server.faults.show()}


def _clear_faults(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    server.faults.clear()
    return {"ok": True}


def _disputes(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    if parts:
        return money_back.close_dispute(server.world, parts[0], won=data.get("outcome") == "won")
    return money_back.open_dispute(server.world, data)


def _methods(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    if not parts:
        raise bad_request("Name the payment method in the path.")
    return updater.changed_by_network(server.world, parts[0], data)


def _emit(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    obj = server.world.find(str(data.get("id", "")))
    if obj is None or "type" not in data:
        raise bad_request("Give `type` and the `id` of an object.")
    server.world.emit(str(data["type"]), obj)
    return {"ok": True}


def _renew(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    """Step the clock to the end of a subscription's period."""
    subscription = server.world.get("subscription", parts[0] if parts else "", in_path=True)
    end = subscription["items"]["data"][0]["current_period_end"]
    clock.set_clock(server.world, max(end, server.world.now()))
    return subscription


def _pay(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    """A customer pays on the hosted page: an on-session try with a card number of their own."""
    world = server.world
    invoice = world.get("invoice", parts[0] if parts else "", in_path=True)
    number = str(data.get("number", "4242424242424242"))
    metadata = {name: str(value) for name, value in data.get("metadata", {}).items()}
    method = methods.new_method(world, number, metadata)
    collection.pay(world, invoice, method, off_session=False)
    return invoice


def _seed(server: SandboxServer, parts: list[str], query: dict[str, str], data: Data) -> Any:
    return seeding.seed(server.world, data)


def parse(raw: bytes) -> Data:
    """The JSON object of a control call."""
    if not raw.strip():
        return {}
    try:
        data = json.loads(raw)
    except ValueError:
        raise bad_request("A control call takes a JSON object.") from None
    if not isinstance(data, dict):
        raise bad_request("A control call takes a JSON object.")
    return data


Call = Callable[["SandboxServer", list[str], dict[str, str], Data], Any]
CALLS: dict[tuple[str, str], Call] = {
    ("GET", "clock"): _clock,
    ("POST", "clock"): _clock,
    ("GET", "events"): _events,
    ("GET", "settings"): _settings,
    ("POST", "settings"): _settings,
    ("POST", "reset"): _reset,
    ("GET", "ledger"): _ledger,
    ("GET", "status"): _status,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "disputes"): _disputes,
    ("POST", "payment_methods"): _methods,
    ("POST", "emit"): _emit,
    ("POST", "renew"): _renew,
    ("POST", "pay"): _pay,
    ("POST", "seed"): _seed,
}
