"""Owns the HTTP side: connections, keys, idempotency, faults, answers."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import struct
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from . import control, pages
from .errors import ApiError
from .faults import Fault
from .listing import to_json
from .params import Params, decode
from .routes import dispatch
from .world import API_VERSION

if TYPE_CHECKING:
    from .server import SandboxServer

KEY = re.compile(r"^(sk|rk|pk)_(test|live)_[A-Za-z0-9]{8,99}$")


NOT_STORED = {401, 403, 404, 409, 429}


class Listener(ThreadingHTTPServer):
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
    server: Listener

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
        except OSError:
            raise
        except Exception:
            # A fault of the sandbox itself: say so, or the client would see a connection that died.
            traceback.print_exc()
            self._send(500, _broken())

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
        if fault and self._suffer_after(fault, headers, status, answer):
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

    def _suffer_after(self, fault: Fault, headers: dict[str, str], status: int, answer: bytes) -> bool:
        """Let a fault happen after the work was done; returns whether the request is over."""
        if fault.kind == "server_error_after":
            self._send(500, _broken(), headers)
        elif fault.kind == "timeout_after":
            self.server.sandbox.deliverer.wake()
            self._hang(fault)
        elif fault.kind == "reset_after":
            self.server.sandbox.deliverer.wake()
            self._reset()
        elif fault.kind == "reset_midway":
            self.server.sandbox.deliverer.wake()
            self._send(status, answer, headers, half=True)
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

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, *, half: bool = False) -> None:
        """Answer; `half` breaks off in the middle of the body."""
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
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.wfile.flush()


def _broken() -> bytes:
    return to_json({"error": {"type": "api_error", "message": "An unknown error occurred."}})
