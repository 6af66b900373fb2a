"""Owns the state of the sandbox: tables, clock, identities, settings, the ledger and the stream of events."""

from __future__ import annotations

import heapq
import json
import threading
import time
from collections import deque
from hashlib import blake2b
from typing import Any

from .errors import no_such
from .store import Obj, Table

API_VERSION = "2026-05-27.dahlia"
INDEXED: dict[str, tuple[str, ...]] = {
    "customer": ("email",),
    "payment_method": ("customer",),
    "product": (),
    "price": ("product",),
    "subscription": ("customer",),
    "invoice": ("customer", "status"),
    "invoiceitem": ("customer", "invoice"),
    "invoice_payment": ("invoice",),
    "payment_intent": ("customer",),
    "setup_intent": ("customer",),
    "charge": ("customer", "payment_intent"),
    "refund": ("charge", "payment_intent"),
    "credit_note": ("invoice",),
    "dispute": ("charge", "payment_intent"),
    "balance_transaction": ("source",),
    "webhook_endpoint": (),
}
PREFIXES = {
    "cus": "customer",
    "pm": "payment_method",
    "prod": "product",
    "price": "price",
    "sub": "subscription",
    "in": "invoice",
    "ii": "invoiceitem",
    "inpay": "invoice_payment",
    "pi": "payment_intent",
    "seti": "setup_intent",
    "ch": "charge",
    "re": "refund",
    "cn": "credit_note",
    "du": "dispute",
    "txn": "balance_transaction",
    "we": "webhook_endpoint",
}
DEFAULT_SETTINGS: dict[str, Any] = {
    "finalize_after": 0,
    "retries": "off",
    "retry_days": [3, 5, 7, 7],
    "after_retries": "past_due",
    "count_manual_attempts": True,
    "events_kept": 20_000,
    "record": False,
    "delivery": "auto",
    "strict_attach": False,
    "latency_ms": 0,
}
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class World:
    """Everything Stripe would know. Callers hold ``lock`` while they read or change it."""

    def __init__(self, seed: int = 1, base_url: str = "http://127.0.0.1") -> None:
        self.lock = threading.RLock()
        self.base_url = base_url
        self.seed = seed
        self.clear()

    def clear(self) -> None:
        """Forget all objects and go back to the wall clock; settings return to their defaults."""
        self.settings: dict[str, Any] = json.loads(json.dumps(DEFAULT_SETTINGS))
        self.tables = {kind: Table(kind, fields) for kind, fields in INDEXED.items()}
        self.deleted: dict[str, str] = {}
        self.private: dict[str, dict[str, Any]] = {}
        self.cards: dict[str, dict[str, Any]] = {}
        self.ledger: list[dict[str, Any]] = []
        self.counters: dict[str, int] = {}
        self.virtual_now: int | None = None
        self.events: dict[str, dict[str, Any]] = {}
        self.event_order: deque[str] = deque()
        self.outbox: deque[dict[str, Any]] = deque()
        self.request: dict[str, str | None] = {"id": None, "idempotency_key": None}
        self.due: list[tuple[int, int, str, str]] = []
        self._due_sequence = 0
        self.dirty = True

    # Clock

    def now(self) -> int:
        """Whole seconds UTC: the virtual clock when it was set, else the wall's."""
        return int(time.time()) if self.virtual_now is None else self.virtual_now

    def at(self, when: int, what: str, object_id: str) -> None:
        """Put something on the calendar; whoever handles it checks that it still applies."""
        self._due_sequence += 1
        heapq.heappush(self.due, (when, self._due_sequence, what, object_id))

    # Objects

    def new_id(self, prefix: str, length: int = 24) -> str:
        """An identity that depends on the seed and on how many of its kind came before."""
        number = self.counters[prefix] = self.counters.get(prefix, 0) + 1
        return f"{prefix}_{self.token(prefix, number, length=length)}"

    def token(self, *parts: object, length: int = 24) -> str:
        """Characters that depend on the seed and the arguments."""
        text = "|".join(map(str, (self.seed, *parts))).encode()
        value = int.from_bytes(blake2b(text, digest_size=32).digest(), "big")
        out = []
        for _ in range(length):
            value, rest = divmod(value, 62)
            out.append(_ALPHABET[rest])
        return "".join(out)

    def add(self, obj: Obj, **private: Any) -> Obj:
        """Insert an object, with what Stripe knows of it and never shows."""
        self.tables[obj["object"]].add(obj)
        if private:
            self.private[obj["id"]] = private
        return obj

    def get(self, kind: str, object_id: str, param: str = "id", *, in_path: bool = False) -> Obj:
        """The object, or Stripe's error for one that is absent."""
        obj = self.tables[kind].objects.get(object_id)
        if obj is None:
            raise no_such(kind, object_id, param=param, in_path=in_path)
        return obj

    def find(self, object_id: str) -> Obj | None:
        """The object of any kind that has this identity."""
        kind = PREFIXES.get(object_id.split("_", 1)[0])
        return self.tables[kind].objects.get(object_id) if kind else None

    def secret(self, object_id: str) -> dict[str, Any]:
        """What Stripe knows of an object and never shows."""
        return self.private.setdefault(object_id, {})

    # Events

    def emit(self, kind: str, obj: Obj, before: Obj | None = None) -> None:
        """Record an event with the object as it is now; ``before`` adds the previous attributes.

        An update that changed nothing makes no event.
        """
        data: dict[str, Any] = {"object": obj}
        if before is not None:
            previous = {name: value for name, value in before.items() if obj.get(name) != value}
            previous.update({name: None for name in obj if name not in before})
            if not previous:
                return
            data["previous_attributes"] = previous
        event_id = self.new_id("evt")
        event = {
            "id": event_id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": self._listeners(kind),
            "request": dict(self.request),
            "type": kind,
        }
        raw = json.dumps(event, separators=(",", ":"))
        self.events[event_id] = {"type": kind, "created": event["created"], "raw": raw}
        self.event_order.append(event_id)
        while len(self.event_order) > self.settings["events_kept"] and not self.settings["record"]:
            self.events.pop(self.event_order.popleft(), None)
        for endpoint in self.tables["webhook_endpoint"].objects.values():
            if wants(endpoint, kind):
                self.outbox.append({"event": event_id, "endpoint": endpoint["id"], "raw": raw, "tries": 0})
        self.dirty = True

    def _listeners(self, kind: str) -> int:
        return sum(wants(endpoint, kind) for endpoint in self.tables["webhook_endpoint"].objects.values())


def wants(endpoint: Obj, kind: str) -> bool:
    """Whether a webhook endpoint asked for events of this type."""
    listed = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in listed or kind in listed)


def copy(obj: Obj) -> Obj:
    """A deep copy, to compare with later."""
    return json.loads(json.dumps(obj))  # type: ignore[no-any-return]
