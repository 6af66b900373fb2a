"""Owns one unit of ingest work: what is known of it, what it touched, and asking for what must be re-read.

Facts are written inside a transaction, where nothing may be asked of the processor. A writer that cannot go on
without the object as it is now raises NeedsRead; `billing.ingest.process` rolls back, reads, and starts over with
the answer in `fetched`. Writers are therefore free to ask at any point.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import Model

from billing.gateways import JSON
from billing.models import Invoice, PaymentMethod, ProcessorAccount, Subscription
from customers.log import Entry
from customers.models import ActorKind, Customer
from customers.rows import row_update

#: (kind, external id) → the object, None where the processor has none; lists for the kinds that end in `_of`.
Fetched = Mapping[tuple[str, str], Any]


class NeedsRead(Exception):  # noqa: N818  (a request, not an error)
    """The transaction cannot be decided without this object as it is now. `optional` ones may be put off."""

    def __init__(self, kind: str, external_id: str, *, optional: bool = False) -> None:
        super().__init__(f"{kind} {external_id}")
        self.key = (kind, external_id)
        self.optional = optional


def moment(seconds: int | None) -> datetime | None:
    """Seconds since the epoch → aware UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def ref(value: Any) -> str | None:
    """The identity in a field that holds an id, an expanded object or nothing."""
    if isinstance(value, dict):
        value = value.get("id")
    return value or None


@dataclass
class Unit:
    """One transaction's worth of facts of one account. `now` is aware UTC; `stamp` is the event's own time."""

    account: ProcessorAccount
    now: datetime
    fetched: Fetched = field(default_factory=dict)
    stamp: datetime = field(init=False)
    entries: list[Entry] = field(default_factory=list)
    #: Invoices whose follow-up must be computed at the end, and those of them on which a charge was news.
    touched: set[int] = field(default_factory=set)
    news: set[int] = field(default_factory=set)
    #: Customers of whom this unit heard of a new card, or new details of one, for the first time.
    new_credentials: set[int] = field(default_factory=set)
    #: Customers whose default (of theirs, a subscription's, an invoice's) became another method → when (aware UTC).
    new_defaults: dict[int, datetime] = field(default_factory=dict)
    reassess: set[int] = field(default_factory=set)
    customers: dict[str, Customer] = field(default_factory=dict)
    #: Customers something is filed with, by primary key, where that is not their own identity at the account.
    owners: dict[int, Customer] = field(default_factory=dict)
    methods: dict[str, PaymentMethod] = field(default_factory=dict)
    invoices: dict[str, Invoice] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    #: Payment intent → invoice: known by now, and those of them that are still to be written.
    links: dict[str, str] = field(default_factory=dict)
    new_links: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stamp = self.now

    @property
    def source(self) -> str:
        """What (source, external_id) identities of this account begin with."""
        return self.account.code

    def has(self, kind: str, external_id: str) -> bool:
        """Whether the object was read for this unit."""
        return (kind, external_id) in self.fetched

    def read(self, kind: str, external_id: str, *, optional: bool = False) -> Any:
        """The object as it is at the processor. Raises NeedsRead until it was fetched."""
        try:
            return self.fetched[kind, external_id]
        except KeyError:
            raise NeedsRead(kind, external_id, optional=optional) from None

    def log(self, customer_id: int, kind: str, summary: str, *, at: datetime, key: str, **more: Any) -> None:
        """Notes a line of the customer's log; `key` makes a fact told twice one line."""
        more.setdefault("actor_kind", ActorKind.PROCESSOR)
        self.entries.append(
            Entry(customer_id=customer_id, at=at, kind=kind, summary=summary, key=f"{self.source}:{key}", **more)
        )


def changed(row: Model, values: Mapping[str, Any]) -> list[str]:
    """Names of the fields whose value on `row` is another than in `values`."""
    return [name for name, value in values.items() if getattr(row, name) != value]


def write(row: Model, values: Mapping[str, Any]) -> list[str]:
    """Saves what differs, and only that; returns the names of the fields written."""
    names = changed(row, values)
    for name in names:
        setattr(row, name, values[name])
    if names:
        row_update(row, names)
    return names


def newest(unit: Unit, kind: str, row: Any, obj: JSON, mapping: Any) -> dict[str, Any] | None:
    """What to write of an object that has no order of its own but the stamp of its events; None: nothing.

    Stamps are whole seconds: an older one is passed over; of two equal ones neither is known to be the later,
    so that unless they agree the object is read again.
    """
    if row.facts_as_of is not None and unit.stamp < row.facts_as_of:
        return None
    values: dict[str, Any] = mapping(obj)
    if row.facts_as_of == unit.stamp and obj is not unit.fetched.get((kind, obj["id"])):
        if not changed(row, values):
            return None
        fresh = unit.read(kind, obj["id"])
        if fresh is not None and not fresh.get("deleted"):
            values = mapping(fresh)
        elif repr(sorted(values.items())) < repr([(name, getattr(row, name)) for name in sorted(values)]):
            # Gone, so nobody can tell: any rule will do that does not depend on which came first.
            return None
    return values | {"facts_as_of": unit.stamp}
