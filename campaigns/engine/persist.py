"""Writes what was decided for a batch of cases: one statement per table, in the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from billing.models import ProcessorCommand
from campaigns.engine.arrays import array
from campaigns.engine.load import Addressee, Loaded
from campaigns.engine.specs import PublishedText
from campaigns.engine.types import CaseSnapshot, Decision, Outcome, RunRecord, StepSpec
from campaigns.engine.words import phrase as _
from campaigns.models import Task
from campaigns.models.case import CaseState, CloseReason
from campaigns.models.case import Decision as Kind
from campaigns.models.ladder import Action, EndAction
from campaigns.signals import announce_closed, announce_exhausted
from customers.log import Entry, record_many
from customers.wake import wake

#: The task that sends what was queued (campaigns.tasks).
DELIVER = "campaigns.tasks.deliver_due"

# A settled run is never touched again; a deferral or a block is overwritten by what follows it. The message
# hangs on the row just written: were the run settled by another hand, there would be no row and no message.
_RUNS_AND_MESSAGES = """
    WITH wanted AS (
        SELECT * FROM unnest(
            %s::bigint[], %s::bigint[], %s::int[], %s::timestamptz[], %s::text[], %s::text[], %s::text[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[]
        ) AS t(case_id, step_id, round, scheduled_for, decision, reason, rule,
               customer_id, brand_id, template_version_id, channel, contact_id, language, recipient)
    ), runs AS (
        INSERT INTO campaigns_steprun AS r
               (case_id, step_id, round, scheduled_for, decided_at, decision, reason, rule)
        SELECT case_id, step_id, round, scheduled_for, %s, decision, reason, rule FROM wanted
        ON CONFLICT (case_id, step_id, round) DO UPDATE
           SET scheduled_for = EXCLUDED.scheduled_for, decided_at = EXCLUDED.decided_at,
               decision = EXCLUDED.decision, reason = EXCLUDED.reason, rule = EXCLUDED.rule
         WHERE r.decision IN ('deferred', 'blocked')
        RETURNING id, case_id, step_id
    )
    INSERT INTO campaigns_message
           (customer_id, brand_id, case_id, step_run_id, contact_id, purpose, channel, template_version_id,
            language, recipient, key, status, subject, html, text, queued_at, send_at, attempts, provider_id,
            reason, rule)
    SELECT w.customer_id, w.brand_id, w.case_id, runs.id, w.contact_id, 'dunning', w.channel,
           w.template_version_id, w.language, w.recipient,
           'step:' || runs.id || ':' || COALESCE(w.contact_id, 0) || ':' || w.channel,
           'queued', '', '', '', %s, %s, 0, '', '', ''
      FROM runs
      JOIN wanted w ON w.case_id = runs.case_id AND w.step_id = runs.step_id
     WHERE w.template_version_id IS NOT NULL
    ON CONFLICT DO NOTHING
"""
_CASES = """
    UPDATE campaigns_case c
       SET state = u.state, anchor_at = u.anchor_at, position = u.position,
           next_action_at = u.next_action_at, next_action_reason = u.reason,
           rests_until = CASE WHEN u.state = 'open' THEN NULL ELSE c.rests_until END,
           rest_reason = CASE WHEN u.state = 'open' THEN '' ELSE c.rest_reason END,
           closed_at = CASE WHEN u.state = 'lost' THEN %s ELSE c.closed_at END,
           close_reason = CASE WHEN u.state = 'lost' THEN 'exhausted' ELSE c.close_reason END
      FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::int[], %s::timestamptz[], %s::text[])
           AS u(id, state, anchor_at, position, next_action_at, reason)
     WHERE c.id = u.id
"""
# The retry loop reads this: no charge of the old card right after a mail that asks for a new one.
_QUIET = """
    UPDATE billing_invoice SET retry_not_before = %s
     WHERE id = ANY(%s) AND (retry_not_before IS NULL OR retry_not_before < %s)
"""


@dataclass(slots=True)
class _Rows:
    """Columns being gathered for each table."""

    runs: list[tuple[Any, ...]] = field(default_factory=list)
    cases: list[tuple[Any, ...]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    quiet: list[int] = field(default_factory=list)
    quiet_until: datetime | None = None
    commands: list[ProcessorCommand] = field(default_factory=list)
    messages: int = 0


def persist(decided: Iterable[tuple[Loaded, Decision]], texts: dict[int, PublishedText], now: datetime) -> int:
    """Writes the decisions taken at `now`; returns the number of messages queued."""
    rows = _Rows()
    for loaded, decision in decided:
        _gather(rows, loaded, decision, texts, now)
    with connection.cursor() as cursor:
        if rows.runs:
            cursor.execute(_RUNS_AND_MESSAGES, [*_columns(rows.runs), now, now, now])
        cursor.execute(_CASES, [now, *_columns(rows.cases)])
        if rows.quiet:
            cursor.execute(_QUIET, [rows.quiet_until, sorted(rows.quiet), rows.quiet_until])
    if rows.tasks:
        Task.objects.bulk_create(rows.tasks, ignore_conflicts=True)
    if rows.commands:
        ProcessorCommand.objects.bulk_create(rows.commands, ignore_conflicts=True)
    record_many(rows.entries)
    if rows.messages:
        wake(DELIVER)
    return rows.messages


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    return [array(column) for column in zip(*rows, strict=True)]


def _gather(rows: _Rows, loaded: Loaded, decision: Decision, texts: dict[int, PublishedText], now: datetime) -> None:
    case = loaded.snapshot
    rows.cases.append(
        (
            case.case_id,
            decision.state,
            decision.anchor_at,
            decision.position,
            decision.next_action_at,
            decision.next_action_reason[:255],
        )
    )
    if decision.woken:
        rows.entries.append(_entry(case, now, "case.woken", _("The pause has ended; the ladder goes on.")))
    for run in decision.runs:
        acts = decision.act is not None and run.step.id == decision.act.id
        who = text = None
        if acts and run.step.action == Action.MESSAGE:
            who = loaded.addressees.get(run.step.channel)
            text = texts.get(run.step.template_id or 0)
        _run(rows, loaded, run, who, text, now)
        if acts and run.step.action != Action.MESSAGE:
            rows.tasks.append(_step_task(case, run.step, now))
    for task in decision.tasks:
        rows.tasks.append(
            Task(
                customer_id=case.customer_id,
                case_id=case.case_id,
                kind=task.kind,
                title=task.title,
                notes=task.notes,
                key=task.key,
                due_at=now,
                created_at=now,
            )
        )
    if decision.quiet_invoices:
        rows.quiet.extend(decision.quiet_invoices)
        rows.quiet_until = now + decision.retry_quiet
    if decision.outcome is Outcome.ENDED:
        _end(rows, case, decision, now)


def _run(
    rows: _Rows,
    loaded: Loaded,
    run: RunRecord,
    who: Addressee | None,
    text: PublishedText | None,
    now: datetime,
) -> None:
    case = loaded.snapshot
    step = run.step
    head = (case.case_id, step.id, case.round, run.scheduled_for, run.decision, run.reason[:255], run.rule)
    if who is not None and text is not None and text.text_channel(step.channel):
        language = text.language(step.channel, who.language, loaded.customer_language, loaded.brand_language)
        rows.runs.append(
            (*head, case.customer_id, case.brand_id, text.version_id, step.channel, who.contact_id, language,
             who.address)
        )  # fmt: skip
        rows.messages += 1
    else:
        rows.runs.append((*head, None, None, None, None, None, None, None))
    if run.tell:
        rows.entries.append(
            Entry(
                customer_id=case.customer_id,
                at=now,
                kind=f"step.{run.decision}",
                summary=_told(run, who),
                subject=f"case:{case.case_id}",
                channel=step.channel if who is not None else "",
                data={"step": step.key, "round": case.round, "rule": run.rule} if run.rule else {"step": step.key},
            )
        )


def _told(run: RunRecord, who: Addressee | None) -> str:
    values = {"step": run.step.name, "why": run.reason or run.rule, "to": who.address if who else ""}
    if run.decision == Kind.DONE:
        return (
            _("Step “%(step)s”: message to %(to)s queued.") % values if who else _("Step “%(step)s” taken.") % values
        )
    if run.decision == Kind.DEFERRED:
        return _("Step “%(step)s” put off: %(why)s") % values
    if run.decision == Kind.BLOCKED:
        return _("Step “%(step)s” not allowed: %(why)s") % values
    if run.decision == Kind.SUPERSEDED:
        return _("Step “%(step)s” left out: %(why)s") % values
    return _("Step “%(step)s” skipped: %(why)s") % values


def _entry(case: CaseSnapshot, now: datetime, kind: str, summary: str, **fields: Any) -> Entry:
    return Entry(
        customer_id=case.customer_id, at=now, kind=kind, summary=summary, subject=f"case:{case.case_id}", **fields
    )


def _step_task(case: CaseSnapshot, step: StepSpec, now: datetime) -> Task:
    return Task(
        customer_id=case.customer_id,
        case_id=case.case_id,
        kind=Task.Kind.CALL if step.action == Action.CALL_TASK else Task.Kind.REVIEW,
        title=step.name,
        key=f"take:{case.case_id}:{step.id}:{case.round}",
        due_at=now,
        created_at=now,
    )


def _end(rows: _Rows, case: CaseSnapshot, decision: Decision, now: datetime) -> None:
    """Orders the end actions, in their order, and tells of the end: once, as the case ends only once."""
    balances = case.balances()
    for action in decision.end_actions:
        if action == EndAction.CANCEL_SUBSCRIPTION:
            ids = dict.fromkeys(i.subscription_id for i in case.invoices if i.subscription_id is not None)
            rows.commands.extend(
                _command(case, ProcessorCommand.Kind.CANCEL_SUBSCRIPTION, now, subscription_id=pk) for pk in ids
            )
        elif action == EndAction.MARK_UNCOLLECTIBLE:
            rows.commands.extend(
                _command(case, ProcessorCommand.Kind.MARK_UNCOLLECTIBLE, now, invoice_id=invoice.id)
                for invoice in case.invoices
            )
    rows.entries.append(
        _entry(
            case,
            now,
            "case.exhausted",
            _("Every step was taken and the debt is still open."),
            data={"balances": balances, "end_actions": list(decision.end_actions)},
            key=f"case:{case.case_id}:exhausted",
        )
    )
    rows.entries.append(_entry(case, now, "case.lost", _("The case is closed as lost: the ladder is exhausted.")))
    announce_exhausted(case_id=case.case_id, customer_id=case.customer_id, balances=balances)
    announce_closed(
        case_id=case.case_id,
        customer_id=case.customer_id,
        state=CaseState.LOST.value,
        reason=CloseReason.EXHAUSTED.value,
    )


def _command(
    case: CaseSnapshot,
    kind: str,
    now: datetime,
    *,
    invoice_id: int | None = None,
    subscription_id: int | None = None,
) -> ProcessorCommand:
    return ProcessorCommand(
        kind=kind,
        invoice_id=invoice_id,
        subscription_id=subscription_id,
        key=f"case:{case.case_id}:{kind}:{invoice_id or subscription_id}",
        due_at=now,
        created_at=now,
    )
