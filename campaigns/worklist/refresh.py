"""Owns the refresh loop of the worklist: marked rows are ranked anew, rows with nothing left to do go."""

import json
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from campaigns.models import WorkItem
from campaigns.worklist.chances import chances_load
from campaigns.worklist.load import load
from campaigns.worklist.marks import work_mark
from campaigns.worklist.rank import is_work, rank
from campaigns.worklist.types import Ranked, Reason, WorkFacts

logger = logging.getLogger(__name__)

#: A customer who cannot be ranked is looked at again after this, so that they do not stop the others.
POISON = timedelta(hours=1)

_COLUMNS = {
    "case_id": "bigint", "task_id": "bigint", "tasks": "int", "owner_id": "bigint", "action": "text", "rank": "bigint",
    "score": "bigint", "chance": "float8", "reasons": "jsonb", "flags": "jsonb", "due_at": "timestamptz",
    "rest": "text", "snoozed_until": "timestamptz", "call_from": "timestamptz", "call_until": "timestamptz",
    "call_rule": "text", "balances": "jsonb", "currency": "text", "balance": "bigint", "ageing": "jsonb",
    "invoices": "int", "oldest_days": "int", "reason": "text", "country": "text", "language": "text", "zone": "text",
    "touched_at": "timestamptz", "touched": "text", "refresh_at": "timestamptz",
}  # fmt: skip
_WRITE = f"""
    UPDATE campaigns_workitem w
       SET {", ".join(f"{name} = u.{name}" for name in _COLUMNS)}, refreshed_at = %s
      FROM unnest(%s::bigint[], {", ".join(f"%s::{kind}[]" for kind in _COLUMNS.values())})
           AS u(customer_id, {", ".join(_COLUMNS)})
     WHERE w.customer_id = u.customer_id
"""


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """Counts of one batch."""

    claimed: int = 0
    ranked: int = 0
    gone: int = 0
    failed: int = 0


def work_refresh(*, now: datetime, limit: int | None = None, only: Collection[int] | None = None) -> RefreshResult:
    """Ranks one batch of the rows due at `now` (aware UTC) anew, in a constant number of queries.

    `limit` is the most rows at once. `only` names customers who are ranked whether they are due or not: whoever has
    just done something to them wants to see it. Rows another worker is at are passed over.
    """
    with transaction.atomic():
        rows = WorkItem.objects.select_for_update(skip_locked=True)
        if only is not None:
            work_mark(only, now)
            rows = rows.filter(pk__in=sorted(set(only)))
        else:
            rows = rows.filter(refresh_at__lte=now).order_by("refresh_at", "pk")
        ids = list(rows.values_list("pk", flat=True)[: limit or settings.BATCH_SIZE_ESCALATE])
        if not ids:
            return RefreshResult()
        chances = chances_load()
        ranked: list[tuple[WorkFacts, Ranked]] = []
        gone, failed = [], []
        for facts in load(ids, now):
            if not is_work(facts):
                gone.append(facts.customer_id)
                continue
            try:
                ranked.append((facts, rank(facts, chances, now)))
            except Exception:
                # One unreadable customer must not stop the others.
                logger.exception("customer %s cannot be ranked", facts.customer_id)
                failed.append(facts.customer_id)
        _write(ranked, now)
        if gone:
            WorkItem.objects.filter(pk__in=gone).delete()
        if failed:
            WorkItem.objects.filter(pk__in=failed).update(refresh_at=now + POISON)
    return RefreshResult(len(ids), len(ranked), len(gone), len(failed))


def work_refresh_all(*, now: datetime, limit: int | None = None) -> Iterator[RefreshResult]:
    """Batches until no row is due; for tasks and the demo."""
    while (result := work_refresh(now=now, limit=limit)).claimed:
        yield result


def _write(ranked: list[tuple[WorkFacts, Ranked]], now: datetime) -> None:
    if not ranked:
        return
    columns = [list(column) for column in zip(*(_row(*pair) for pair in ranked), strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [now, [facts.customer_id for facts, _row in ranked], *columns])


def _row(facts: WorkFacts, row: Ranked) -> tuple[Any, ...]:
    """Values in the order of _COLUMNS."""
    touch = facts.touch
    return (
        facts.case_id, facts.tasks[0].id if facts.tasks else None, len(facts.tasks), facts.owner_id, str(row.action),
        row.rank, row.score, row.chance, _json(row.reasons), _json(row.flags), row.due_at, row.rest,
        facts.snoozed_until if row.rest == "snoozed" else None, row.window.start, row.window.end, row.window.rule[:60],
        json.dumps(dict(row.balances)), row.currency, row.balance, json.dumps(row.ageing), row.invoices,
        row.oldest_days, row.reason, facts.country, facts.language, facts.zone, touch.at if touch else None,
        f"{touch.kind} {touch.outcome}".strip()[:100] if touch else "", row.refresh_at,
    )  # fmt: skip


def _json(reasons: tuple[Reason, ...]) -> str:
    return json.dumps([[reason.code, dict(reason.data)] for reason in reasons])
