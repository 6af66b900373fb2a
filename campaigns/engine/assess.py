"""The assess loop: customers whose facts changed get their cases opened, joined, rested, woken or closed.

Claim, load, judge (campaigns.engine.assessment, pure) and write share one transaction, in a constant number of
queries. The customer's row is locked first, as everywhere (billing.locks), so a fact that arrives meanwhile sets
`reassess_at` again after us and is not lost.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from campaigns.engine import assess_write
from campaigns.engine.assess_load import load
from campaigns.engine.assessment import assess
from campaigns.engine.specs import ladder_specs
from campaigns.engine.standing import Assessment, Offer, Standing
from campaigns.engine.types import LadderSpec
from campaigns.experiments.treatment import Trial, hold_retries, running, treatments_for
from campaigns.models.case import CaseState
from campaigns.segments.evaluate import segments_of

logger = logging.getLogger(__name__)

Key = tuple[datetime, int]
#: A customer who cannot be assessed is looked at again after this, so that they do not stop the others.
POISON = timedelta(hours=1)

_CLAIM = """
    SELECT cu.id, cu.reassess_at, cu.no_dunning OR cu.deleted_at IS NOT NULL, cu.timezone, cu.country, b.timezone,
           (SELECT o.ladder_id FROM campaigns_ladderoverride o WHERE o.customer_id = cu.id)
      FROM customers_customer cu JOIN customers_brand b ON b.id = cu.brand_id
     WHERE cu.reassess_at <= %s AND (cu.reassess_at, cu.id) > (%s, %s)
     ORDER BY cu.reassess_at, cu.id
     LIMIT %s
       FOR NO KEY UPDATE OF cu SKIP LOCKED
"""
_OFFERS = """
    SELECT v.id, l.id, l.trigger, l.brand_id, l.segment_id, s.query
      FROM campaigns_ladderversion v
      JOIN campaigns_ladder l ON l.id = v.ladder_id
      LEFT JOIN campaigns_segment s ON s.id = l.segment_id
     WHERE v.status = 'published' AND l.active
     ORDER BY l.priority, l.id
"""
# Paid before any case was opened over them, and by nobody's charge: nobody has said yet what brought the money.
_UNATTRIBUTED = """
    SELECT id FROM billing_invoice
     WHERE customer_id = ANY(%s) AND status = 'paid' AND recovered_by = '' AND first_failed_at IS NOT NULL
"""


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
        trials = running()
        offers, audiences, versions = _offers(trials)
        standings, next_looks = load(cursor, rows, offers, now)
        standings = _with_segments(standings, audiences, now)
        treatments = replace(treatments_for([row[0] for row in rows], now, trials), versions=versions)
        changes: list[Assessment] = []
        failed = 0
        for standing in standings:
            try:
                changes += assess(standing, treatments.offers(offers, standing), now)
            except Exception:
                # One unreadable customer must not stop the thousand beside them.
                logger.exception("customer %s cannot be assessed", standing.customer_id)
                next_looks[standing.customer_id] = now + POISON
                failed += 1
        cursor.execute(_UNATTRIBUTED, [[row[0] for row in rows]])
        assess_write.write(changes, next_looks, [row[0] for row in cursor.fetchall()], now)
        hold_retries(trials, [row[0] for row in rows], now)
    return _count(len(rows), changes, failed, last=(rows[-1][1], rows[-1][0]))


def assess_all(*, now: datetime, limit: int | None = None) -> Iterator[AssessResult]:
    """Batches by key until no customer is due; for tasks and the demo."""
    after: Key | None = None
    while (result := assess_customers(now=now, limit=limit, after=after)).claimed:
        yield result
        after = result.last


def _with_segments(standings: list[Standing], queries: dict[int, str], now: datetime) -> list[Standing]:
    """Standings that say which of the segments hold each customer a case may be opened for. One query, if any."""
    asking = {
        standing.customer_id
        for standing in standings
        if (standing.case is None and (standing.loose or standing.occasions))
        or (standing.case is not None and (standing.case.ahead or standing.promise or standing.plan))
    }
    if not (queries and asking):
        return standings
    found = segments_of(queries, asking, now)
    return [replace(standing, segments=found.get(standing.customer_id, frozenset())) for standing in standings]


def _offers(trials: Sequence[Trial]) -> tuple[list[Offer], dict[int, str], dict[int, LadderSpec]]:
    """Published versions of active ladders, best first; the queries of the segments they are for, by id; and every
    version, with those experiments draw customers into."""
    with connection.cursor() as cursor:
        cursor.execute(_OFFERS)
        versions = cursor.fetchall()
    drawn = {arm.version_id for trial in trials for arm in trial.arms if arm.version_id is not None}
    specs = ladder_specs({version_id for version_id, *_ladder in versions} | drawn, {})
    offers = [
        Offer(trigger, brand_id, specs[version_id], segment_id, ladder_id)
        for version_id, ladder_id, trigger, brand_id, segment_id, _query in versions
        if specs[version_id].steps
    ]
    audiences = {segment_id: query for *_ladder, segment_id, query in versions if segment_id is not None}
    return offers, audiences, specs


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
