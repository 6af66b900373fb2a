"""Owns the HTTP side: connections, keys, idempotency, faults, and the life of the whole sandbox."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from . import account, clock, control, pages, snapshot
from .errors import ApiError
from .faults import Fault, Faults
from .idempotency import IdempotencyKeys
from .listing import to_json
from .params import Params, decode
from .routes import dispatch
from .webhooks import Deliverer
from .world import API_VERSION, World

KEY = re.compile(r"^(sk|rk|pk)_(test|live)_[A-Za-z0-9]{8,99}$")
NOT_STORED = {401, 403, 404, 409, 429}


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
        self._http = _Listener(("127.0.0.1", port), self)
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


class _Listener(ThreadingHTTPServer):
    """Threads per connection, all of which can be dropped at once."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], sandbox: SandboxServer) -> None:
        self.sandbox = sandbox
        self.open: set[Any] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def drop_all(self) -> None:
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65_536
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:
        """No access log."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def do_OPTIONS(self) -> None:
        self._send(204, b"", {"Access-Control-Max-Age": "600"})

    def _serve(self, method: str) -> None:
        sandbox = self.server.sandbox
        sandbox.requests += 1
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        try:
            if parts.path.startswith("/v1/"):
                self._api(method, parts.path, parts.query, raw)
            elif parts.path.startswith("/_sandbox/"):
                query = dict(parse_qsl(parts.query))
                self._send(200, control.handle(sandbox, method, parts.path, query, control.parse(raw)))
            else:
                status, kind, body = pages.handle(sandbox.world, method, parts.path, raw)
                sandbox.deliverer.wake()
                self._send(status, body, {"Content-Type": kind})
        except ApiError as error:
            self._send(error.status, to_json({"error": error.body}))

    def _api(self, method: str, path: str, query: str, raw: bytes) -> None:
        sandbox = self.server.sandbox
        request_id = f"req_{sandbox.world.token('request', sandbox.requests, time.time_ns(), length=14)}"
        headers = {
            "Request-Id": request_id,
            "Stripe-Version": self.headers.get("Stripe-Version") or API_VERSION,
        }
        fault = sandbox.faults.take(method, path)
        if fault and self._suffer_before(fault, headers):
            return
        body = raw.decode()
        key = self.headers.get("Idempotency-Key") if method == "POST" else None
        if key:
            headers["Idempotency-Key"] = key
        try:
            public = self._authenticate(query)
            stored = sandbox.keys.begin(key, method, path, body) if key else None
        except ApiError as error:
            self._send(error.status, to_json({"error": error.body}), headers)
            return
        if stored is not None:
            headers.update({"Idempotent-Replayed": "true", "Original-Request": stored["request"]})
            status, answer = int(stored["status"]), stored["answer"].encode()
        else:
            status, answer = self._carry_out(method, path, query, body, public, key, request_id, fault)
        if fault and self._suffer_after(fault, headers):
            return
        self._send(status, answer, headers)
        sandbox.deliverer.wake()

    def _carry_out(
        self,
        method: str,
        path: str,
        query: str,
        body: str,
        public: bool,
        key: str | None,
        request_id: str,
        fault: Fault | None,
    ) -> tuple[int, bytes]:
        sandbox = self.server.sandbox
        world, store = sandbox.world, False
        try:
            wait = world.settings["latency_ms"] / 1000 + (fault.seconds if fault and fault.kind == "delay" else 0)
            if wait:
                sandbox.faults.hang(wait)
            params = Params({**decode(query), **decode(body)})
            with world.lock:
                world.request = {"id": request_id, "idempotency_key": key}
                if method != "GET":
                    world.dirty = True
                try:
                    status, answer = 200, to_json(dispatch(world, method, path, params, public=public))
                except ApiError as error:
                    error.body.setdefault("request_log_url", f"https://dashboard.stripe.com/test/logs/{request_id}")
                    status, answer = error.status, to_json({"error": error.body})
            # Stripe keeps what was carried out; a request refused for its form may be sent again, mended.
            store = status not in NOT_STORED and not (status == 400 and b'"code":"parameter_' in answer)
        except ApiError as error:
            status, answer = error.status, to_json({"error": error.body})
        finally:
            if key and not store:
                sandbox.keys.release(key)
        if key and store:
            sandbox.keys.finish(key, method, path, body, status, answer, request_id)
        return status, answer

    def _authenticate(self, query: str) -> bool:
        """Whether the key is a publishable one. Raises ApiError 401 without a good key."""
        given = self.headers.get("Authorization") or ""
        scheme, _, value = given.partition(" ")
        if scheme == "Basic":
            value = base64.b64decode(value).decode().partition(":")[0]
        if not value:
            raise ApiError(
                401,
                "You did not provide an API key. You need to provide your API key in the Authorization header, using "
                "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            )
        if not KEY.match(value):
            raise ApiError(401, f"Invalid API Key provided: {value[:8]}****{value[-4:]}")
        return value.startswith("pk_")

    def _suffer_before(self, fault: Fault, headers: dict[str, str]) -> bool:
        """Let a fault happen before any work; returns whether the request is over."""
        if fault.kind == "rate_limit":
            error = ApiError(429, "Request rate limit exceeded.", code="rate_limit", type="invalid_request_error")
            extra = {**headers, "Retry-After": "1", "Stripe-Rate-Limited-Reason": "global-rate"}
            self._send(429, to_json({"error": error.body}), extra)
        elif fault.kind == "server_error":
            self._send(500, _broken(), headers)
        elif fault.kind == "timeout_before":
            self._hang(fault)
        elif fault.kind == "reset":
            self._reset()
        else:
            return False
        return True

    def _suffer_after(self, fault: Fault, headers: dict[str, str]) -> bool:
        """Let a fault happen after the work was done; returns whether the request is over."""
        if fault.kind == "server_error_after":
            self._send(500, _broken(), headers)
        elif fault.kind == "timeout_after":
            self.server.sandbox.deliverer.wake()
            self._hang(fault)
        elif fault.kind == "reset_after":
            self.server.sandbox.deliverer.wake()
            self._reset()
        else:
            return False
        return True

    def _hang(self, fault: Fault) -> None:
        """Say nothing until the client has given up."""
        self.server.sandbox.faults.hang(fault.seconds)
        self.close_connection = True

    def _reset(self) -> None:
        """Tear the connection down, as a broken network does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        values = {
            "Content-Type": "application/json",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, Stripe-Version, Idempotency-Key",
            "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
            **(headers or {}),
        }
        for name, value in values.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _broken() -> bytes:
    return to_json({"error": {"type": "api_error", "message": "An unknown error occurred."}})
