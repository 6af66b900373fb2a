"""Owns the life of the whole sandbox: starting, keeping time and state, stopping."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from . import account, clock, snapshot
from .faults import Faults
from .idempotency import IdempotencyKeys
from .listener import Listener
from .params import Params
from .webhooks import Deliverer
from .world import World


class SandboxServer:
    """A Stripe of one's own on loopback: ``start()``, ``url``, ``world``, ``stop()``."""

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 1,
        state: Path | str | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        delivery: str = "auto",
        retry_seconds: float = 1.0,
        tick: bool = True,
    ) -> None:
        self.faults = Faults()
        self.keys = IdempotencyKeys()
        self.requests = 0
        self.state = Path(state) if state else None
        self.stopping = threading.Event()
        self._tick = tick
        self._threads: list[threading.Thread] = []
        self._http = Listener(("127.0.0.1", port), self)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.world = World(seed, self.url)
        self.deliverer = Deliverer(self.world, retry_seconds=retry_seconds)
        try:
            loaded = self.state is not None and snapshot.load(self.world, self.keys, self.state)
        except ValueError:
            self._http.server_close()
            raise
        if not loaded:
            self.world.settings["delivery"] = delivery
        if webhook_url:
            self._register(webhook_url, webhook_secret)

    def _register(self, url: str, secret: str | None) -> None:
        for endpoint in self.world.tables["webhook_endpoint"].all():
            if endpoint["url"] == url:
                if secret:
                    self.world.secret(endpoint["id"])["secret"] = secret
                return
        account.create_endpoint(self.world, Params({"url": url, "enabled_events": ["*"]}), secret=secret)

    def start(self) -> SandboxServer:
        """Listen, deliver and keep time in the background."""
        for target, name in ((self._listen, "http"), (self._keep, "keeper")):
            thread = threading.Thread(target=target, name=f"stripe-sandbox-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)
        self.deliverer.start()
        return self

    def _listen(self) -> None:
        self._http.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        """Stop everything, close all connections and write the state."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self._http.shutdown()
        self.deliverer.stop()
        self.faults.clear()
        self._http.drop_all()
        self._http.server_close()
        for thread in self._threads:
            thread.join(timeout=5)
        if self.state is not None:
            snapshot.save(self.world, self.keys, self.state)

    def __enter__(self) -> SandboxServer:
        return self.start()

    def __exit__(self, *details: object) -> None:
        self.stop()

    def reset(self, *, seed: int | None = None, keep_endpoints: bool = True) -> None:
        """Forget everything; webhook endpoints and the delivery mode stay unless told otherwise."""
        world = self.world
        endpoints = [(dict(e), world.secret(e["id"])) for e in world.tables["webhook_endpoint"].all()]
        delivery = world.settings["delivery"]
        if seed is not None:
            world.seed = int(seed)
        world.clear()
        world.settings["delivery"] = delivery
        with self.keys.lock:
            self.keys.answers.clear()
        self.faults.clear()
        if keep_endpoints:
            for endpoint, private in endpoints:
                world.add(endpoint, **private)
                world.new_id("we")

    def _keep(self) -> None:
        """Run what falls due by the wall clock, and write the state when it changed."""
        pause, saved, cost = 0.5, time.monotonic(), 0.0
        while not self.stopping.wait(pause):
            world = self.world
            if self._tick and world.virtual_now is None and world.due and world.due[0][0] <= world.now():
                with world.lock:
                    clock.run_due(world, world.now())
                self.deliverer.wake()
            # Writing a big world takes time under the lock: never spend more than a twentieth of the time on it.
            if self.state and world.dirty and time.monotonic() - saved > max(5.0, 20 * cost):
                begun = time.monotonic()
                snapshot.save(world, self.keys, self.state)
                saved = time.monotonic()
                cost = saved - begun
