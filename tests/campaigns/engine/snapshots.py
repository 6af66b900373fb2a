"""Snapshots for tests of the pure part: a case with sensible defaults, anything overridable by keyword."""

from datetime import UTC, datetime, timedelta
from typing import Any

from campaigns.engine.types import CaseSnapshot, InvoiceFact, LadderSpec, StepSpec
from campaigns.guard.types import Allowed, GuardSnapshot

#: A Tuesday noon in UTC, 13:00 in Rome.
START = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def step(position: int, offset: int, **fields: Any) -> StepSpec:
    values: dict[str, Any] = {
        "id": position,
        "position": position,
        "key": f"s{position}",
        "name": f"Step {position}",
        "offset": offset,
        "offset_unit": "days",
        "anchor": "case",
        "action": "message",
        "channel": "email",
        "template_id": 1,
    }
    return StepSpec(**(values | fields))


def ladder(*steps: StepSpec, **fields: Any) -> LadderSpec:
    chosen = steps or (step(1, 0), step(2, 3), step(3, 7))
    return LadderSpec(**({"version_id": 1, "steps": chosen, "end_actions": ("cancel_subscription",)} | fields))


def invoice(**fields: Any) -> InvoiceFact:
    values: dict[str, Any] = {
        "id": 1,
        "currency": "EUR",
        "balance": 4900,
        "decline_category": "insufficient_funds",
        "asks_for": "funds",
    }
    return InvoiceFact(**(values | fields))


def guard(**fields: Any) -> GuardSnapshot:
    values: dict[str, Any] = {
        "customer_id": 1,
        "kind": "business",
        "country": "IT",
        "zone": "Europe/Rome",
        "case_state": "open",
        "addresses": {"email": "a@example.com"},
    }
    return GuardSnapshot(**(values | fields))


def case(**fields: Any) -> CaseSnapshot:
    values: dict[str, Any] = {
        "case_id": 1,
        "customer_id": 1,
        "brand_id": 1,
        "state": "open",
        "ladder": ladder(),
        "anchor_at": START,
        "round": 1,
        "position": 0,
        "zone": "Europe/Rome",
        "country": "IT",
        "invoices": (invoice(),),
    } | fields
    if "guard" not in values:
        values["guard"] = guard(case_state=values["state"], zone=values["zone"], country=values["country"])
    return CaseSnapshot(**values)


def allow(snapshot: GuardSnapshot, channel: str, now: datetime) -> Allowed:
    """A guard that lets everything pass, for tests of the ladder's own rules."""
    return Allowed()
