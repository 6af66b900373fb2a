"""Owns idempotency keys: one key does its work once, whatever happens to the answer."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Any

from .errors import ApiError

KEEP = 86_400
MOST = 100_000


class IdempotencyKeys:
    """Answers by key for a day of wall time; its own lock, so that a second request is refused while one runs."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answers: dict[str, dict[str, Any]] = {}
        self._running: set[str] = set()

    def begin(self, key: str, method: str, path: str, body: str) -> dict[str, Any] | None:
        """Return the stored answer to replay, or None after marking the key as running.

        Raises ApiError 400 when the key was used with another request and 409 while the first one runs.
        """
        print_ = hashlib.sha256(f"{method} {path}\n{body}".encode()).hexdigest()
        with self.lock:
            if key in self._running:
                raise ApiError(
                    409,
                    "There is currently another in-progress request using this Stripe-Idempotent-Key (that probably "
                    "means you submitted twice, and the other request is still going through).",
                    code="idempotency_key_in_use",
                    type="idempotency_error",
                )
            stored = self.answers.get(key)
            if stored is not None and stored["at"] < time.time() - KEEP:
                stored = None
            if stored is None:
                self._running.add(key)
                return None
            if stored["print"] != print_:
                raise ApiError(
                    400,
                    "Keys for idempotent requests can only be used with the same parameters they were first used "
                    f"with. Try using a key other than '{key}' if you meant to execute a different request.",
                    type="idempotency_error",
                )
            return stored

    def finish(self, key: str, method: str, path: str, body: str, status: int, answer: bytes, request: str) -> None:
        """Keep the answer of a request that was carried out, and let the key go."""
        print_ = hashlib.sha256(f"{method} {path}\n{body}".encode()).hexdigest()
        with self.lock:
            self._running.discard(key)
            self.answers[key] = {
                "print": print_,
                "status": status,
                "answer": answer.decode(),
                "request": request,
                "at": time.time(),
            }
            if len(self.answers) > MOST:
                for oldest in list(self.answers)[: MOST // 10]:
                    del self.answers[oldest]

    def release(self, key: str) -> None:
        """Let the key go without an answer: nothing was done."""
        with self.lock:
            self._running.discard(key)
