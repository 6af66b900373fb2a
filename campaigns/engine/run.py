"""The escalate loop: due cases take their next ladder step, in batches with a constant number of queries.

Claim, load, decide and persist share one transaction: nothing outside is called, so either all of a batch is
written or none of it, and a worker killed at any instruction leaves the cases due as they were. Two workers
never hold the same case (SKIP LOCKED); a step acts once because its run, its message and the case's position
are written together, and the run is unique per case, step and round.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from campaigns.engine.decide import decide
from campaigns.engine.effects import lock_customers, needs_lock
from campaigns.engine.load import CASE_COLUMNS, Loaded, load
from campaigns.engine.one_clock import SOON
from campaigns.engine.persist import NO_LADDERS, persist
from campaigns.engine.specs import published_versions
from campaigns.engine.types import CaseSnapshot, Decision, Outcome
from campaigns.engine.words import one_language
from campaigns.experiments.treatment import expose
from campaigns.models.ladder import Action

logger = logging.getLogger(__name__)

#: Place in the queue: (next_action_at, id) of the last case claimed.
Key = tuple[datetime, int]

#: A case that cannot be decided is looked at again after this, so that it does not stop the others.
POISON = timedelta(hours=1)

# By key, not by the head of the index: the entries of cases just moved away stay there, dead, until vacuum,
# and every batch would step over all of them again (cost grows with N^1.3). NO KEY UPDATE: lines of the log
# and messages written elsewhere for the same case need not wait.
_CLAIM = f"""
    SELECT {CASE_COLUMNS}
      FROM campaigns_case c
      JOIN customers_customer cu ON cu.id = c.customer_id
      JOIN customers_brand b ON b.id = c.brand_id
     WHERE c.next_action_at <= %s AND (c.next_action_at, c.id) > (%s, %s)
     ORDER BY c.next_action_at, c.id
     LIMIT %s
       FOR NO KEY UPDATE OF c SKIP LOCKED
"""


@dataclass(frozen=True, slots=True)
class EscalateResult:
    """Counts of one batch. `claimed` is all; the others say what became of them."""

    claimed: int = 0
    done: int = 0
    deferred: int = 0
    skipped: int = 0
    blocked: int = 0
    superseded: int = 0
    ended: int = 0
    waiting: int = 0
    resting: int = 0
    woken: int = 0
    failed: int = 0
    messages: int = 0
    #: Where the next batch goes on; None when nothing was claimed.
    last: Key | None = None

    def __add__(self, other: "EscalateResult") -> "EscalateResult":
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "last"}
        return EscalateResult(**sums, last=other.last or self.last)


def escalate_due(*, now: datetime, limit: int | None = None, after: Key | None = None) -> EscalateResult:
    """Takes one batch of cases due at `now` (aware UTC) through their next step.

    `limit` is the most cases at once (default: settings.BATCH_SIZE_ESCALATE); `after` is the key the batch
    before ended at. Safe under any number of workers and repeated calls. Wakes the deliver loop after commit.
    """
    batch_size = limit or settings.BATCH_SIZE_ESCALATE
    with one_language(), transaction.atomic():
        with connection.cursor() as cursor:
            since, since_id = after if after is not None else ("-infinity", 0)
            cursor.execute(_CLAIM, [now, since, since_id, batch_size])
            rows = cursor.fetchall()
        if not rows:
            return EscalateResult()
        batch = load(rows, now)
        decided: list[tuple[Loaded, Decision]] = []
        failed = 0
        for loaded in batch.cases:
            try:
                decided.append((loaded, decide(loaded.snapshot, now)))
            except Exception:
                # One unreadable case must not stop the thousand beside it; it comes back in an hour.
                logger.exception("case %s cannot be decided", loaded.snapshot.case_id)
                decided.append((loaded, _poisoned(loaded, now)))
                failed += 1
        decided = _with_locks(decided, now)
        starts = {decision.start for _loaded, decision in decided if decision.start}
        expose((meeting for loaded, decision in decided for meeting in _meetings(loaded.snapshot, decision)), now)
        messages = persist(decided, batch.texts, now, published_versions(starts) if starts else NO_LADDERS)
    return _count(decided, failed, messages, last=(datetime.fromisoformat(rows[-1][9]), rows[-1][0]))


def _meetings(case: CaseSnapshot, decision: Decision) -> Iterator[tuple[int, int, int]]:
    """The arms a case meets now, as (arm, customer, case).

    Another hour is met with the first look at the case, not with the message: who pays before a late hour comes would
    be missing from that arm alone, and every later hour would seem the worse one.
    """
    arms: tuple[int, ...] = decision.act.arm_ids if decision.act is not None else ()
    if case.ladder.hour_arm_ids and any(
        step.action == Action.MESSAGE and step.position > case.position for step in case.ladder.steps
    ):
        arms += case.ladder.hour_arm_ids
    return ((arm_id, case.customer_id, case.case_id) for arm_id in arms)


def escalate_all(*, now: datetime, limit: int | None = None) -> Iterator[EscalateResult]:
    """Batches by key until no case is due; for tasks, benchmarks and the demo."""
    after: Key | None = None
    while (result := escalate_due(now=now, limit=limit, after=after)).claimed:
        yield result
        after = result.last


def _with_locks(decided: list[tuple[Loaded, Decision]], now: datetime) -> list[tuple[Loaded, Decision]]:
    """The decisions that can be carried out now: those about a customer somebody else holds wait a moment, since
    waiting for that lock with cases in hand would be waiting in a circle."""
    wanted = {loaded.snapshot.customer_id for loaded, decision in decided if needs_lock(decision)}
    if not wanted:
        return decided
    held = lock_customers(wanted)
    return [
        (loaded, decision)
        if loaded.snapshot.customer_id in held or not needs_lock(decision)
        else (loaded, _later(loaded, now, SOON, "Somebody is at work on this customer."))
        for loaded, decision in decided
    ]


def _poisoned(loaded: Loaded, now: datetime) -> Decision:
    return _later(loaded, now, POISON, "This case cannot be decided; see the error log.")


def _later(loaded: Loaded, now: datetime, wait: timedelta, why: str) -> Decision:
    case = loaded.snapshot
    return Decision(
        case_id=case.case_id,
        outcome=Outcome.WAITING,
        position=case.position,
        anchor_at=case.anchor_at,
        state=case.state,
        next_action_at=now + wait,
        next_action_reason=why,
    )


def _count(decided: list[tuple[Loaded, Decision]], failed: int, messages: int, last: Key) -> EscalateResult:
    outcomes = dict.fromkeys(Outcome, 0)
    superseded = woken = 0
    for _loaded, decision in decided:
        outcomes[decision.outcome] += 1
        woken += decision.woken
        superseded += sum(run.decision == "superseded" for run in decision.runs) if len(decision.runs) > 1 else 0
    return EscalateResult(
        claimed=len(decided),
        done=outcomes[Outcome.DONE],
        deferred=outcomes[Outcome.DEFERRED],
        skipped=outcomes[Outcome.SKIPPED],
        blocked=outcomes[Outcome.BLOCKED],
        superseded=superseded,
        ended=outcomes[Outcome.ENDED],
        waiting=outcomes[Outcome.WAITING] - failed,
        resting=outcomes[Outcome.RESTING],
        woken=woken,
        failed=failed,
        messages=messages,
        last=last,
    )
