"""Owns bringing in an account that already has history: pages of objects, written by the fact writers, resumable.

Objects are listed in the order others point at them. A page's cursor is stored with its facts, so that a back-fill
that was broken off goes on where it stopped, and one that is run again changes nothing.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from billing.gateways import JSON, gateway_for
from billing.ingest.facts import Unit, apply_object
from billing.ingest.mirror import mirror_object
from billing.ingest.reread import run_unit
from billing.models import BackfillCursor, ProcessorAccount
from customers.errors import SollecitoError

logger = logging.getLogger(__name__)

PAGE = 100
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Scope:
    """One listing: kind of object, filters, and whether `since` bounds it."""

    kind: str
    filters: tuple[tuple[str, str], ...] = ()
    dated: bool = False

    @property
    def name(self) -> str:
        """How the cursor of this listing is called."""
        return self.kind + "".join(f"?{key}={value}" for key, value in self.filters)


#: Invoices that are still owed whatever their age; settled ones since the day asked for.
SCOPES = (
    Scope("customer"),
    Scope("subscription", (("status", "all"),)),
    Scope("invoice", (("status", "open"),)),
    Scope("invoice", (("status", "uncollectible"),), dated=True),
    Scope("invoice", (("status", "paid"),), dated=True),
    Scope("dispute", dated=True),
)


@dataclass(slots=True)
class BackfillReport:
    """Objects seen per scope, those that could not be taken with the reason, and mirrored objects."""

    seen: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    mirrored: int = 0


def backfill(
    *,
    account: ProcessorAccount,
    now: datetime,
    since: datetime | None = None,
    mirror: bool = False,
    restart: bool = False,
    progress: Progress | None = None,
) -> BackfillReport:
    """Brings in customers with their methods, subscriptions, unpaid invoices with their charges, and settled ones.

    `since` (aware UTC) leaves out settled invoices and disputes from before it; without it only what is owed comes.
    Paced by the gateway. Raises GatewayError when the processor is out of reach: run it again to go on.
    """
    if restart:
        BackfillCursor.objects.filter(source=account.code).delete()
    report = BackfillReport()
    for scope in SCOPES:
        if not scope.dated or since is not None:
            _scope(account, scope, now, since, mirror, report, progress)
    return report


def _scope(
    account: ProcessorAccount,
    scope: Scope,
    now: datetime,
    since: datetime | None,
    mirror: bool,
    report: BackfillReport,
    progress: Progress | None,
) -> None:
    gateway = gateway_for(account.code)
    filters: dict[str, Any] = dict(scope.filters)
    name = scope.name
    if scope.dated and since is not None:
        filters["created"] = {"gte": int(since.timestamp())}
        name += f"?since={since:%Y-%m-%d}"
    state, _made = BackfillCursor.objects.get_or_create(source=account.code, scope=name)
    # A finished scope is listed anew: what came since must not be missed.
    cursor = None if state.finished_at else state.cursor or None
    if cursor is None:
        state.seen, state.finished_at = 0, None
    report.seen[name] = 0
    while True:
        page, cursor = gateway.list_page(scope.kind, cursor=cursor, limit=PAGE, **filters)
        for obj in page:
            _take(account, scope.kind, obj, now, mirror, report)
        report.seen[name] += len(page)
        state.seen += len(page)
        state.cursor = cursor or ""
        state.finished_at = now if cursor is None else None
        state.save()
        if progress:
            progress(name, len(page))
        if cursor is None:
            return


def _take(
    account: ProcessorAccount, kind: str, obj: JSON, now: datetime, mirror: bool, report: BackfillReport
) -> None:
    """One object and what belongs to it, in a transaction of its own."""
    methods: list[JSON] = []
    if kind == "customer":
        methods, _next = gateway_for(account.code).list_page("payment_method", customer=obj["id"])

    def work(unit: Unit) -> None:
        apply_object(unit, obj)
        for method in methods:
            apply_object(unit, method)

    try:
        # What is listed is as it is now: a tie with an event needs no second look.
        run_unit(account, now, work, fetched={(item["object"], item["id"]): item for item in (obj, *methods)})
        for item in (obj, *methods) if mirror else ():
            mirror_object(item)
            report.mirrored += 1
    except SollecitoError as error:
        if not error.permanent:
            raise
        logger.warning("back-fill could not take %s %s: %s", kind, obj["id"], error.message)
        report.errors.append(f"{kind} {obj['id']}: {error.message}")
