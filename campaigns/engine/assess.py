"""The assess loop: customers whose facts changed get their cases opened, joined, rested, woken or closed.

Claim, load, judge (campaigns.engine.assessment, pure) and write share one transaction, in a constant number of
queries. The customer's row is locked first, as everywhere (billing.locks), so a fact that arrives meanwhile sets
`reassess_at` again after us and is not lost.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from campaigns.engine import assess_write
from campaigns.engine.assessment import (
    Assessment,
    Debt,
    LiveCase,
    Offer,
    PromiseFact,
    Standing,
    assess,
)
from campaigns.engine.specs import ladder_specs, published_texts
from campaigns.guard.zones import zone_name
from campaigns.models import LadderVersion, VersionStatus
from campaigns.models.case import CaseState, CloseReason
from campaigns.segments.evaluate import segments_of

logger = logging.getLogger(__name__)

Key = tuple[datetime, int]
#: A customer who cannot be assessed is looked at again after this, so that they do not stop the others.
POISON = timedelta(hours=1)

_CLAIM = """
    SELECT cu.id, cu.reassess_at, cu.no_dunning OR cu.deleted_at IS NOT NULL, cu.timezone, cu.country, b.timezone
      FROM customers_customer cu JOIN customers_brand b ON b.id = cu.brand_id
     WHERE cu.reassess_at <= %s AND (cu.reassess_at, cu.id) > (%s, %s)
     ORDER BY cu.reassess_at, cu.id
     LIMIT %s
       FOR NO KEY UPDATE OF cu SKIP LOCKED
"""
# Open ones, whether due or not (what is not due yet says when to look again), and those still in a live case.
_INVOICES = """
    SELECT i.customer_id, i.id, i.brand_id, i.collection_method, i.status, i.balance, i.due_at, i.first_failed_at,
           i.disputed_at IS NOT NULL, i.in_plan,
           EXISTS (SELECT 1 FROM campaigns_caseinvoice ci JOIN campaigns_case c ON c.id = ci.case_id
                    WHERE ci.invoice_id = i.id AND c.closed_at IS NOT NULL AND c.close_reason = ANY(%s))
      FROM billing_invoice i
     WHERE i.customer_id = ANY(%s) AND (
           i.status = 'open'
        OR EXISTS (SELECT 1 FROM campaigns_caseinvoice ci JOIN campaigns_case c ON c.id = ci.case_id
                    WHERE ci.invoice_id = i.id AND ci.left_at IS NULL AND c.closed_at IS NULL))
     ORDER BY i.customer_id, i.id
"""
_CASES = """
    SELECT c.id, c.customer_id, c.brand_id, c.state, c.ladder_version_id, c.anchor_at, c.round, c.position,
           c.rests_until
      FROM campaigns_case c
     WHERE c.customer_id = ANY(%s) AND c.closed_at IS NULL
     ORDER BY c.id
       FOR NO KEY UPDATE
"""
_MEMBERS = """
    SELECT case_id, invoice_id, left_at, outcome FROM campaigns_caseinvoice WHERE case_id = ANY(%s)
"""
_PROMISES = """
    SELECT p.customer_id, p.brand_id, p.id, p.amount, p.expires_at,
           (SELECT COALESCE(SUM(y.amount - y.refunded), 0) FROM billing_payment y
             WHERE y.customer_id = p.customer_id AND y.currency = p.currency AND y.received_at >= p.created_at)
      FROM billing_promise p
     WHERE p.customer_id = ANY(%s) AND p.status = 'open'
"""
# Paid before any case was opened over them, and by nobody's charge: nobody has said yet what brought the money.
_UNATTRIBUTED = """
    SELECT id FROM billing_invoice
     WHERE customer_id = ANY(%s) AND status = 'paid' AND recovered_by = '' AND first_failed_at IS NOT NULL
"""
#: A debt of a case that ended so does not start another.
_FINAL = [CloseReason.EXHAUSTED.value, CloseReason.STAFF.value]


@dataclass(frozen=True, slots=True)
class AssessResult:
    """Counts of one batch."""

    claimed: int = 0
    opened: int = 0
    joined: int = 0
    left: int = 0
    reanchored: int = 0
    rested: int = 0
    woken: int = 0
    recovered: int = 0
    cancelled: int = 0
    promises_broken: int = 0
    failed: int = 0
    #: Where the next batch goes on; None when nobody was claimed.
    last: Key | None = None

    def __add__(self, other: "AssessResult") -> "AssessResult":
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "last"}
        return AssessResult(**sums, last=other.last or self.last)


def assess_customers(*, now: datetime, limit: int | None = None, after: Key | None = None) -> AssessResult:
    """Assesses one batch of customers due at `now` (aware UTC); see assessment for what may happen.

    `limit` is the most customers at once; `after` the key the batch before ended at. Sets each customer's next
    `reassess_at`: the next due date of an invoice to be paid by hand, or the end of a promise.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        since, since_id = after if after is not None else ("-infinity", 0)
        cursor.execute(_CLAIM, [now, since, since_id, limit or settings.BATCH_SIZE_ESCALATE])
        rows = cursor.fetchall()
        if not rows:
            return AssessResult()
        standings, next_looks = _load(cursor, rows, now)
        offers, audiences = _offers()
        standings = _with_segments(standings, audiences, now)
        changes: list[Assessment] = []
        failed = 0
        for standing in standings:
            try:
                change = assess(standing, offers, now)
            except Exception:
                # One unreadable customer must not stop the thousand beside them.
                logger.exception("customer %s cannot be assessed", standing.customer_id)
                next_looks[standing.customer_id] = now + POISON
                failed += 1
                continue
            if change is not None:
                changes.append(change)
        cursor.execute(_UNATTRIBUTED, [[row[0] for row in rows]])
        assess_write.write(changes, next_looks, [row[0] for row in cursor.fetchall()], now)
    return _count(len(rows), changes, failed, last=(rows[-1][1], rows[-1][0]))


def assess_all(*, now: datetime, limit: int | None = None) -> Iterator[AssessResult]:
    """Batches by key until no customer is due; for tasks and the demo."""
    after: Key | None = None
    while (result := assess_customers(now=now, limit=limit, after=after)).claimed:
        yield result
        after = result.last


def _load(
    cursor: Any, rows: Sequence[tuple[Any, ...]], now: datetime
) -> tuple[list[Standing], dict[int, datetime | None]]:
    ids = [row[0] for row in rows]
    next_looks: dict[int, datetime | None] = dict.fromkeys(ids)
    cursor.execute(_CASES, [ids])
    cases = cursor.fetchall()
    cursor.execute(_INVOICES, [_FINAL, ids])
    debts: dict[int, dict[int, Debt]] = defaultdict(dict)
    for customer_id, pk, brand_id, method, status, balance, due, failed, disputed, in_plan, finished in cursor:
        manual = method == "manual"
        since = due if manual else failed
        if manual and due is not None and due > now and status == "open":
            soonest = next_looks[customer_id]
            next_looks[customer_id] = due if soonest is None else min(soonest, due)
        trigger = "invoice_overdue" if manual else "payment_failed"
        if since is not None and since <= now:
            debts[customer_id][pk] = Debt(pk, brand_id, trigger, since, status, balance, disputed, in_plan, finished)
    cursor.execute(_MEMBERS, [[case[0] for case in cases]])
    members: dict[int, list[tuple[int, Any, str]]] = defaultdict(list)
    for case_id, invoice_id, left_at, outcome in cursor:
        members[case_id].append((invoice_id, left_at, outcome))
    cursor.execute(_PROMISES, [ids])
    promises: dict[tuple[int, int], PromiseFact] = {}
    for customer_id, brand_id, pk, amount, expires_at, paid in cursor:
        promises[customer_id, brand_id] = PromiseFact(pk, amount, expires_at, int(paid))
        if expires_at > now:
            soonest = next_looks[customer_id]
            next_looks[customer_id] = expires_at if soonest is None else min(soonest, expires_at)
    specs = ladder_specs({case[4] for case in cases}, published_texts(())) if cases else {}
    live: dict[tuple[int, int], LiveCase] = {}
    inside: set[int] = set()
    for pk, customer_id, brand_id, state, version_id, anchor_at, round_, position, rests_until in cases:
        present = [invoice_id for invoice_id, left_at, _outcome in members[pk] if left_at is None]
        inside.update(present)
        live[customer_id, brand_id] = LiveCase(
            id=pk,
            state=state,
            ladder=specs[version_id],
            anchor_at=anchor_at,
            round=round_,
            position=position,
            rests_until=rests_until,
            members=tuple(
                debts[customer_id].get(invoice_id) or _gone(invoice_id, brand_id, anchor_at) for invoice_id in present
            ),
            paid_before=any(outcome == "paid" for _id, _left, outcome in members[pk]),
        )
    brands: dict[int, set[int]] = defaultdict(set)
    for owner, brand_id in (*live, *promises):
        brands[owner].add(brand_id)
    standings = []
    for customer_id, _due, excluded, timezone, country, brand_timezone in rows:
        loose = [debt for debt in debts[customer_id].values() if debt.id not in inside]
        standings += [
            Standing(
                customer_id=customer_id,
                brand_id=brand_id,
                zone=zone_name(timezone=timezone, country=country, brand_timezone=brand_timezone),
                excluded=excluded,
                case=live.get((customer_id, brand_id)),
                loose=tuple(debt for debt in loose if debt.brand_id == brand_id),
                promise=promises.get((customer_id, brand_id)),
            )
            for brand_id in sorted(brands[customer_id] | {debt.brand_id for debt in loose})
        ]
    return standings, next_looks


def _gone(invoice_id: int, brand_id: int, since: datetime) -> Debt:
    """A member that no longer counts as failed or overdue (its due date was moved): it leaves the case."""
    return Debt(invoice_id, brand_id, "", since, status="open", balance=0)


def _with_segments(standings: list[Standing], queries: dict[int, str], now: datetime) -> list[Standing]:
    """Standings that say which of the segments hold each customer a case may be opened for. One query, if any."""
    asking = {standing.customer_id for standing in standings if standing.case is None and standing.loose}
    if not (queries and asking):
        return standings
    found = segments_of(queries, asking, now)
    return [replace(standing, segments=found.get(standing.customer_id, frozenset())) for standing in standings]


def _offers() -> tuple[list[Offer], dict[int, str]]:
    """Published versions of active ladders, best first; and the queries of the segments they are for, by id."""
    versions = list(
        LadderVersion.objects.filter(status=VersionStatus.PUBLISHED, ladder__active=True)
        .select_related("ladder__segment")
        .order_by("ladder__priority", "ladder_id")
    )
    specs = ladder_specs({version.pk for version in versions}, published_texts(()))
    offers = [
        Offer(version.ladder.trigger, version.ladder.brand_id, specs[version.pk], version.ladder.segment_id)
        for version in versions
        if specs[version.pk].steps
    ]
    segments = [version.ladder.segment for version in versions if version.ladder.segment is not None]
    return offers, {segment.pk: segment.query for segment in segments}


def _count(claimed: int, changes: Sequence[Assessment], failed: int, last: Key) -> AssessResult:
    def told(kind: str) -> int:
        return sum(line.kind == kind for change in changes for line in change.told)

    states = [change.fields.state for change in changes if change.fields is not None]
    return AssessResult(
        claimed=claimed,
        opened=sum(change.opening is not None for change in changes),
        joined=told("case.invoice_joined"),
        left=sum(len(change.leaves) for change in changes),
        reanchored=told("case.reanchored"),
        rested=told("case.rested"),
        woken=told("case.woken"),
        recovered=states.count(CaseState.RECOVERED.value),
        cancelled=states.count(CaseState.CANCELLED.value),
        promises_broken=told("promise.broken"),
        failed=failed,
        last=last,
    )
