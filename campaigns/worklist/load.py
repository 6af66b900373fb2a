"""Reads what the ranking is shown of a batch of customers, in a constant number of queries."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from billing.models import Band
from campaigns.engine.load import load_cases
from campaigns.engine.specs import asks_for
from campaigns.guard.types import GuardSnapshot
from campaigns.models.ladder import PRE_DUNNING
from campaigns.worklist.types import OVERDUE, Call, Owed, TaskFact, Touch, WorkFacts
from customers.models import Channel

#: Kinds of the log that say when a customer was last touched.
TOUCHES = (
    "call.logged", "message.sent", "note.added", "portal.paid", "portal.visited", "promise.broken", "promise.made",
    "reply.received", "task.done",
)  # fmt: skip
#: Chance of paying late where no model gives one: the middle of the band its rating puts a customer in
#: (billing.behaviour.band_of). Without a band nothing is supposed.
LATE_OF_BAND: Mapping[str, float] = {Band.LOW: 0.1, Band.MEDIUM: 0.35, Band.HIGH: 0.75}
#: Nothing older is looked for.
_REMEMBERED = timedelta(days=180)

# The one a person would speak about comes first: it is open, and oldest.
_CASES = """
    SELECT c.id, c.customer_id, c.state, c.rests_until, c.owner_id
      FROM campaigns_case c
     WHERE c.customer_id = ANY(%s) AND c.closed_at IS NULL AND c.trigger <> ALL(%s)
     ORDER BY c.customer_id, c.state <> 'open', c.anchor_at, c.id
"""
_OWED = """
    SELECT c.customer_id, i.currency, i.balance, COALESCE(i.first_failed_at, i.due_at, i.issued_at, i.created_at),
           i.collection_method = 'manual', i.last_decline_category, i.disputed_at IS NOT NULL, i.in_plan,
           COALESCE(p.scheduled_for, i.processor_next_attempt_at), p.probability
      FROM campaigns_case c
      JOIN campaigns_caseinvoice ci ON ci.case_id = c.id AND ci.left_at IS NULL
      JOIN billing_invoice i ON i.id = ci.invoice_id AND i.status = 'open' AND i.balance > 0
      LEFT JOIN billing_paymentattempt p ON p.invoice_id = i.id AND p.status = 'planned'
     WHERE c.id = ANY(%s)
     ORDER BY c.customer_id, i.id
"""
_TASKS = """
    SELECT customer_id, id, kind, due_at, title, COALESCE(key, ''), created_at, assignee_id
      FROM campaigns_task WHERE customer_id = ANY(%s) AND status = 'open' ORDER BY customer_id, due_at, id
"""
_PROMISES = """
    SELECT customer_id, MAX(expires_at) FILTER (WHERE status = 'open' AND expires_at > %s),
           MAX(closed_at) FILTER (WHERE status = 'broken'), count(*) FILTER (WHERE status = 'broken')
      FROM billing_promise WHERE customer_id = ANY(%s) GROUP BY customer_id
"""
# Customer by customer down the timeline's index.
_TOUCHED = """
    SELECT u.id, t.at, t.kind, t.outcome, h.at
      FROM unnest(%s::bigint[]) AS u(id)
      LEFT JOIN LATERAL (
           SELECT at, kind, outcome FROM customers_interaction
            WHERE customer_id = u.id AND at > %s AND kind = ANY(%s)
            ORDER BY at DESC, id DESC LIMIT 1
      ) t ON true
      LEFT JOIN LATERAL (
           SELECT at FROM customers_interaction
            WHERE customer_id = u.id AND at > %s AND direction = 'in'
              AND kind IN ('call.logged', 'note.added', 'reply.received', 'task.done')
            ORDER BY at DESC LIMIT 1
      ) h ON true
"""
_PEOPLE = """
    SELECT cu.id, cu.country, cu.language, COALESCE(NULLIF(cu.timezone, ''), b.timezone), w.snoozed_at,
           w.snoozed_until, r.late_chance, COALESCE(r.band, '')
      FROM customers_customer cu
      JOIN customers_brand b ON b.id = cu.brand_id
      LEFT JOIN campaigns_workitem w ON w.customer_id = cu.id
      LEFT JOIN billing_customerrisk r ON r.customer_id = cu.id
     WHERE cu.id = ANY(%s)
"""


def load(customer_ids: Collection[int], now: datetime) -> list[WorkFacts]:
    """The facts of each customer at `now` (aware UTC), by customer number."""
    ids = sorted(set(customer_ids))
    cases: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in _rows(_CASES, [ids, sorted(PRE_DUNNING)]):
        cases[row[1]].append(row)
    snapshots = {
        loaded.snapshot.customer_id: loaded.snapshot
        for loaded in load_cases([rows[0][0] for rows in cases.values()], now).cases
    }
    debts: dict[int, list[Owed]] = defaultdict(list)
    for customer_id, *fields in _rows(_OWED, [[row[0] for rows in cases.values() for row in rows]]):
        debts[customer_id].append(_owed(fields))
    tasks: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for customer_id, *fields in _rows(_TASKS, [ids]):
        tasks[customer_id].append(tuple(fields))
    promises = {row[0]: row[1:] for row in _rows(_PROMISES, [now, ids])}
    since = now - _REMEMBERED
    touched = {row[0]: row[1:] for row in _rows(_TOUCHED, [ids, since, list(TOUCHES), since])}
    found = []
    for customer_id, country, language, zone, snoozed_at, snoozed_until, late, risk in _rows(_PEOPLE, [ids]):
        own = cases.get(customer_id, ())
        snapshot = snapshots.get(customer_id)
        guard = snapshot.guard if snapshot is not None else None
        open_tasks = tasks.get(customer_id, ())
        promised_until, broken_at, broken = promises.get(customer_id, (None, None, 0))
        at, kind, outcome, heard_at = touched[customer_id]
        found.append(
            WorkFacts(
                customer_id=customer_id,
                case_id=own[0][0] if own else None,
                state=own[0][2] if own else "",
                rests_until=own[0][3] if own else None,
                owner_id=_owner(own, open_tasks),
                zone=snapshot.zone if snapshot is not None else zone,
                country=country,
                language=language,
                guard=guard,
                debts=tuple(debts.get(customer_id, ())),
                tasks=tuple(TaskFact(*fields[:6]) for fields in open_tasks),
                promised_until=promised_until,
                broken_at=broken_at,
                broken=broken,
                in_plan=guard is not None and guard.in_plan,
                calls=_calls(guard),
                written_at=_written_at(guard, now),
                heard_at=heard_at,
                touch=Touch(at, kind, outcome) if at is not None else None,
                snoozed_at=snoozed_at,
                snoozed_until=snoozed_until,
                late_chance=late if late is not None else LATE_OF_BAND.get(risk),
                late_supposed=late is None,
            )
        )
    return found


def _rows(statement: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _owed(fields: Sequence[Any]) -> Owed:
    currency, balance, since, manual, category, disputed, in_plan, charge_at, chance = fields
    reason = OVERDUE if manual else asks_for(category)
    return Owed(currency, balance, since, reason, disputed, in_plan, charge_at, chance)


def _owner(cases: Sequence[tuple[Any, ...]], tasks: Sequence[tuple[Any, ...]]) -> int | None:
    """Whoever looks after the case; without one, whoever the next task is assigned to."""
    owners = [*(row[4] for row in cases), *(row[6] for row in tasks)]
    return next((owner for owner in owners if owner is not None), None)


def _calls(guard: GuardSnapshot | None) -> tuple[Call, ...]:
    if guard is None:
        return ()
    talks = {talk.at for talk in guard.talks if talk.channel == Channel.CALL}
    made = {contact.at for contact in guard.contacts if contact.channel == Channel.CALL}
    return tuple(Call(at, at in talks) for at in sorted(made | talks, reverse=True))


def _written_at(guard: GuardSnapshot | None, now: datetime) -> datetime | None:
    contacts: Mapping[datetime, str] = {c.at: c.channel for c in guard.contacts} if guard is not None else {}
    return max((at for at, channel in contacts.items() if channel != Channel.CALL and at <= now), default=None)
