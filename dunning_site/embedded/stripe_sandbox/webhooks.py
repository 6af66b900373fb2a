"""Owns the delivery of events to webhook endpoints: signing, connections kept open, retries with back-off."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from .world import World

MAX_TRIES = 12
TIMEOUT = 20.0


def signature(raw: bytes, secret: str, at: int) -> str:
    """The ``Stripe-Signature`` header for a body sent at ``at`` (wall seconds)."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


class Deliverer:
    """Delivers the world's outbox: by itself in ``auto`` mode, only when told in ``hold`` mode."""

    def __init__(self, world: World, *, retry_seconds: float = 1.0) -> None:
        self.world = world
        self.retry_seconds = retry_seconds
        self.delivered = 0
        self.failed = 0
        self.last_error: str | None = None
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._pool = threading.local()
        self._connections: list[http.client.HTTPConnection] = []
        self._busy = threading.Lock()
        self._executors: dict[int, ThreadPoolExecutor] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the background thread."""
        self._thread = threading.Thread(target=self._run, name="stripe-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the background thread and close all connections."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        for executor in self._executors.values():
            executor.shutdown()
        for connection in self._connections:
            connection.close()

    def wake(self) -> None:
        """Say that there may be something to deliver."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(timeout=0.5)
            self._wake.clear()
            if self.world.settings["delivery"] == "auto":
                self.flush(due_only=True)

    def flush(
        self,
        *,
        due_only: bool = False,
        concurrency: int = 1,
        limit: int | None = None,
        types: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Deliver what is pending, in order, and return counts when all was answered.

        An event is tried once per call: one that fails stays pending. Events that come to be meanwhile (the receiver
        may call the API) are delivered too, unless there is a limit. ``concurrency`` > 1 gives up the order.
        """
        chosen = set(types) if types else None
        with self._busy:
            good = bad = 0
            batch = self._take(due_only=due_only, limit=limit, types=chosen, fresh=False)
            while batch:
                if concurrency > 1:
                    results = list(self._workers(concurrency).map(self._deliver, batch))
                else:
                    results = [self._deliver(entry) for entry in batch]
                good, bad = good + sum(results), bad + len(results) - sum(results)
                if limit is not None or self._stop.is_set():
                    break
                batch = self._take(due_only=due_only, limit=None, types=chosen, fresh=True)
            self.delivered += good
            self.failed += bad
            pending = len(self.world.outbox)
            return {
                "delivered": good,
                "failed": bad,
                "pending": pending,
                "last_error": self.last_error if bad else None,
            }

    def _workers(self, count: int) -> ThreadPoolExecutor:
        """Threads that stay, because each keeps its connection open."""
        if count not in self._executors:
            self._executors[count] = ThreadPoolExecutor(max_workers=count, thread_name_prefix="stripe-deliver")
        return self._executors[count]

    def _take(self, *, due_only: bool, limit: int | None, types: set[str] | None, fresh: bool) -> list[dict[str, Any]]:
        now = time.time()
        batch: list[dict[str, Any]] = []
        kept: list[dict[str, Any]] = []
        with self.world.lock:
            for entry in self.world.outbox:
                late = due_only and entry.get("not_before", 0) > now
                other = (types is not None and self._type(entry) not in types) or (fresh and entry["tries"] > 0)
                if late or other or (limit is not None and len(batch) >= limit):
                    kept.append(entry)
                else:
                    batch.append(entry)
            self.world.outbox.clear()
            self.world.outbox.extend(kept)
        return batch

    def _type(self, entry: dict[str, Any]) -> str | None:
        event = self.world.events.get(entry["event"])
        return event["type"] if event else None

    def _deliver(self, entry: dict[str, Any]) -> bool:
        with self.world.lock:
            endpoint = self.world.tables["webhook_endpoint"].objects.get(entry["endpoint"])
            if endpoint is None or endpoint["status"] != "enabled":
                return True
            url, secret = endpoint["url"], self.world.secret(endpoint["id"])["secret"]
        error = self._post(url, entry["raw"].encode(), secret)
        if error is None:
            return True
        self.last_error = error
        entry["tries"] += 1
        if entry["tries"] < MAX_TRIES and not self._stop.is_set():
            entry["not_before"] = time.time() + self.retry_seconds * 2 ** (entry["tries"] - 1)
        if entry["tries"] < MAX_TRIES:
            with self.world.lock:
                self.world.outbox.append(entry)
        return False

    def _post(self, url: str, raw: bytes, secret: str) -> str | None:
        """Send one event; None when it was answered with 2xx, else what went wrong."""
        parts = urlsplit(url)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(raw, secret, int(time.time())),
            "Connection": "keep-alive",
        }
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        for fresh in (False, True):
            connection = self._connection(parts.scheme, parts.netloc, fresh=fresh)
            reused = connection.sock is not None
            try:
                connection.request("POST", target, body=raw, headers=headers)
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException) as problem:
                connection.close()
                # A kept connection may have been closed by the other side: that is no failure of the event.
                if reused and not isinstance(problem, TimeoutError):
                    continue
                return f"{url}: {problem!r}"
            return None if 200 <= response.status < 300 else f"{url}: HTTP {response.status}"
        return f"{url}: connection lost"

    def _connection(self, scheme: str, netloc: str, *, fresh: bool) -> http.client.HTTPConnection:
        pool: dict[tuple[str, str], http.client.HTTPConnection] = self._pool.__dict__.setdefault("open", {})
        key = (scheme, netloc)
        if fresh or key not in pool:
            kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
            pool[key] = kind(netloc, timeout=TIMEOUT)
            self._connections.append(pool[key])
        return pool[key]
