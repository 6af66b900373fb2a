"""Owns injected faults: what the network and Stripe do to the next matching requests."""

from __future__ import annotations

import re
import threading
from dataclasses import asdict, dataclass
from typing import Any

from .errors import bad_request

KINDS = {
    "rate_limit",
    "server_error",
    "server_error_after",
    "timeout_before",
    "timeout_after",
    "reset",
    "reset_after",
    "reset_midway",
    "delay",
}


@dataclass
class Fault:
    """``count`` more requests whose method and path match suffer this; ``seconds`` is how long a time-out hangs."""

    kind: str
    count: int = 1
    method: str = ""
    path: str = ""
    seconds: float = 30.0
    skip: int = 0
    hit: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is meant; ``path`` is a regular expression."""
        return self.count > 0 and self.method in ("", method) and re.search(self.path, path) is not None


class Faults:
    """The faults in waiting, oldest first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: list[Fault] = []
        self._over = threading.Event()

    def add(self, data: dict[str, Any]) -> dict[str, Any]:
        """Put a fault in waiting."""
        if data.get("kind") not in KINDS:
            raise bad_request(f"kind must be one of {', '.join(sorted(KINDS))}", param="kind")
        fault = Fault(
            kind=str(data["kind"]),
            count=int(data.get("count", 1)),
            method=str(data.get("method", "")).upper(),
            path=str(data.get("path", "")),
            seconds=float(data.get("seconds", 30.0)),
            skip=int(data.get("skip", 0)),
        )
        with self.lock:
            self.waiting.append(fault)
        return asdict(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault this request suffers, counted down."""
        with self.lock:
            for fault in self.waiting:
                if fault.matches(method, path):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.count -= 1
                    fault.hit += 1
                    return fault
        return None

    def show(self) -> list[dict[str, Any]]:
        """All faults, those used up too."""
        with self.lock:
            return [asdict(fault) for fault in self.waiting]

    def clear(self) -> None:
        """Forget all faults, and end those that hang right now."""
        with self.lock:
            self.waiting.clear()
            self._over.set()
            self._over = threading.Event()

    def hang(self, seconds: float) -> None:
        """Wait, unless the faults are cleared before."""
        self._over.wait(seconds)
