"""Lives for tests of the simulator: sensible defaults, anything overridable by keyword."""

from datetime import UTC, datetime, timedelta
from typing import Any

from campaigns.engine.standing import Offer
from campaigns.simulator.play import play
from campaigns.simulator.types import Bill, Costs, Event, Life
from tests.campaigns.engine import snapshots

START = snapshots.START
DAY = timedelta(days=1)


def bill(pk: int = 1, since: datetime = START, **fields: Any) -> Bill:
    values: dict[str, Any] = {
        "id": pk,
        "number": f"B-{pk}",
        "currency": "EUR",
        "balance": 4900,
        "since": since,
        "due_on": since.date(),
        "trigger": "payment_failed",
    }
    return Bill(**(values | fields))


def life(*bills: Bill, **fields: Any) -> Life:
    values: dict[str, Any] = {
        "key": 1,
        "label": "One",
        "customer_id": 1,
        "brand_id": 1,
        "zone": "Europe/Rome",
        "country": "IT",
        "guard": snapshots.guard(),
        "bills": bills or (bill(),),
    }
    return Life(**(values | fields))


def offers(**fields: Any) -> list[Offer]:
    return [Offer("payment_failed", None, fields.pop("ladder", None) or snapshots.ladder(**fields))]


def played(one: Life, *, start: datetime = START, days: int = 60, **fields: Any) -> list[Event]:
    return play(
        one, fields.pop("offers", None) or offers(**fields), start=start, until=start + days * DAY, costs=Costs()
    )


def told(events: list[Event]) -> list[tuple[float, str, str]]:
    """Days since START, what, and which step."""
    return [(round((event.at - START) / DAY, 2), event.kind, event.step) for event in events]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]
