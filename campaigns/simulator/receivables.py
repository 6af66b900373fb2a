"""Whom to play from a file of past receivables: every customer with their invoices and the days they paid. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from billing.imports.items import Receivable
from billing.imports.receivables import LAST_MOMENT
from campaigns.guard.types import GuardSnapshot
from campaigns.guard.zones import zone
from campaigns.models.case import CaseState
from campaigns.models.ladder import Trigger
from campaigns.simulator.types import Bill, Life
from customers.addresses import normalise
from customers.models import Channel, CustomerKind

#: A file tells no addresses: everybody is taken to be reachable, and to have agreed to be, on every channel.
_EVERYWHERE = dict.fromkeys((str(channel) for channel in Channel), "customer@example.invalid")


def lives(
    rows: Iterable[Receivable], *, trigger: str = Trigger.INVOICE_OVERDUE, zone_name: str = "UTC", country: str = ""
) -> list[Life]:
    """One life per customer of the file, by customer.

    An invoice falls due at the last moment of its due day and is paid at the first moment of the day it was settled,
    at `zone_name`, as the import has it. One marked as disputed is left alone: the file does not tell since when.
    For a ladder of failed charges they fail at that moment; one of invoices that are coming due may announce them
    from the day they were issued.
    """
    bills = Trigger.PAYMENT_FAILED if trigger == Trigger.PAYMENT_FAILED else Trigger.INVOICE_OVERDUE
    by_customer: dict[str, list[Receivable]] = defaultdict(list)
    for row in rows:
        by_customer[row.customer].append(row)
    return [
        _life(number, name, by_customer[name], bills.value, zone_name, country)
        for number, name in enumerate(sorted(by_customer), start=1)
    ]


def period(rows: Iterable[Receivable], zone_name: str = "UTC") -> tuple[datetime, datetime]:
    """From the first day an invoice was issued to sixty days after the last was due or settled, aware UTC."""
    days = [day for row in rows for day in (row.issued, row.due, row.settled) if day is not None]
    if not days:
        now = datetime(1970, 1, 1, tzinfo=UTC)
        return now, now
    return _moment(min(days), time.min, zone_name), _moment(max(days) + timedelta(days=60), time.min, zone_name)


def _life(number: int, name: str, rows: list[Receivable], trigger: str, zone_name: str, country: str) -> Life:
    place = country or next((row.country for row in rows if row.country), "")
    return Life(
        key=number,
        label=next((row.customer_name for row in rows if row.customer_name), name),
        customer_id=number,
        brand_id=0,
        zone=zone_name,
        country=place,
        guard=GuardSnapshot(
            customer_id=number,
            kind=CustomerKind.BUSINESS.value,
            country=place,
            zone=zone_name,
            case_state=CaseState.OPEN.value,
            addresses=_EVERYWHERE,
            granted=frozenset((channel, normalise(channel, to, place)) for channel, to in _EVERYWHERE.items()),
        ),
        bills=tuple(_bill(row, trigger, zone_name) for row in rows),
    )


def _bill(row: Receivable, trigger: str, zone_name: str) -> Bill:
    return Bill(
        id=row.row,
        number=row.number,
        currency=row.currency,
        balance=row.amount,
        since=_moment(row.due, LAST_MOMENT, zone_name),
        due_on=row.due,
        trigger=trigger,
        known_at=_moment(row.issued, time.min, zone_name),
        paid_at=None if row.settled is None else _moment(row.settled, time.min, zone_name),
        disputed=row.disputed,
    )


def _moment(day: date, at: time, zone_name: str) -> datetime:
    return datetime.combine(day, at, tzinfo=zone(zone_name)).astimezone(UTC)
