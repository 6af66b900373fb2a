"""Speaks to the Stripe sandbox's own control calls: its clock, its deliveries, its ledger."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import requests

_TIMEOUT = 120


class SandboxControl:
    """One keep-alive connection to the control calls of the sandbox at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def _call(self, method: str, path: str, data: dict[str, Any] | None = None) -> Any:
        response = self._session.request(method, f"{self.url}/_sandbox/{path}", json=data, timeout=_TIMEOUT)
        response.raise_for_status()
        return response.json()

    def reset(self, seed: int) -> None:
        """Forgets every object; all that follows depends on `seed`."""
        self._call("POST", "reset", {"seed": seed, "keep_endpoints": True})

    def settings(self, **values: Any) -> None:
        """Changes settings such as delivery=hold."""
        self._call("POST", "settings", values)

    def set_clock(self, now: datetime) -> None:
        """Moves the virtual clock to `now`, doing on the way what falls due."""
        self._call("POST", "clock", {"now": int(now.timestamp())})

    def wall_clock(self) -> None:
        """Goes back to the machine's time."""
        self._call("POST", "clock", {"wall": True})

    def deliver(self) -> int:
        """Delivers the events that wait, in order; returns how many were answered with success."""
        return int(self._call("POST", "deliver")["delivered"])

    def seed(self, **parts: Any) -> dict[str, Any]:
        """Creates many objects at once; see the sandbox's seeding."""
        answer: dict[str, Any] = self._call("POST", "seed", parts)
        return answer

    def pay(self, invoice: str, **card: Any) -> dict[str, Any]:
        """A customer pays on the processor's hosted page with a card of their own."""
        answer: dict[str, Any] = self._call("POST", f"pay/{invoice}", card)
        return answer

    def subscribe(self, url: str, events: Iterable[str], secret_key: str) -> None:
        """Has the webhook endpoint at `url` told of `events` only, through the API as a person would."""
        path = f"{self.url}/v1/webhook_endpoints"
        auth = {"Authorization": f"Bearer {secret_key}"}
        listed = self._session.get(path, headers=auth, params={"limit": 100}, timeout=_TIMEOUT)
        listed.raise_for_status()
        for endpoint in listed.json()["data"]:
            if endpoint["url"] == url:
                fields = {f"enabled_events[{n}]": event for n, event in enumerate(events)}
                changed = self._session.post(f"{path}/{endpoint['id']}", headers=auth, data=fields, timeout=_TIMEOUT)
                changed.raise_for_status()

    def ledger(self) -> dict[str, Any]:
        """Money really moved: totals and double charges, as the sandbox counts them."""
        answer: dict[str, Any] = self._call("GET", "ledger?brief=1")
        return answer

    def events(self) -> list[dict[str, Any]]:
        """Every event so far, in the order they happened."""
        answer: list[dict[str, Any]] = self._call("GET", "events")["data"]
        return answer
