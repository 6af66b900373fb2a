"""Writes what was decided for a batch of cases: one statement per table, in the caller's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db import connection

from campaigns.engine import persist_sql
from campaigns.engine.addressees import Addressee
from campaigns.engine.arrays import array
from campaigns.engine.effects import Effect, carry_out, effects_of
from campaigns.engine.load import Loaded
from campaigns.engine.specs import PublishedText
from campaigns.engine.types import CaseSnapshot, Decision, Outcome, RunRecord, StepSpec
from campaigns.engine.words import phrase as _
from campaigns.models import Task
from campaigns.models.case import CaseState, CloseReason
from campaigns.models.case import Decision as Kind
from campaigns.models.ladder import Action
from campaigns.signals import announce_closed, announce_exhausted
from campaigns.worklist.marks import work_mark
from customers.log import Entry, record_many
from customers.models import Channel
from customers.wake import wake

_CALL = Channel.CALL.value
NO_LADDERS: Mapping[str, int] = MappingProxyType({})
#: The task that sends what was queued (campaigns.tasks).
DELIVER = "campaigns.tasks.deliver_due"


@dataclass(slots=True)
class _Rows:
    """Columns being gathered for each table."""

    runs: list[tuple[Any, ...]] = field(default_factory=list)
    cases: list[tuple[Any, ...]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    quiet: list[int] = field(default_factory=list)
    quiet_until: datetime | None = None
    effects: list[Effect] = field(default_factory=list)
    again: list[tuple[Any, ...]] = field(default_factory=list)
    starts: list[tuple[Any, ...]] = field(default_factory=list)
    #: Customers whose ladder has come to its end.
    ended: list[int] = field(default_factory=list)
    messages: int = 0


def persist(
    decided: Iterable[tuple[Loaded, Decision]],
    texts: dict[int, PublishedText],
    now: datetime,
    ladders: Mapping[str, int] = NO_LADDERS,
) -> int:
    """Writes the decisions taken at `now`; returns the number of messages queued. `ladders` are the published
    versions by code of those that are to be started."""
    rows = _Rows()
    for loaded, decision in decided:
        _gather(rows, loaded, decision, texts, now)
        if decision.start:
            _start(rows, loaded.snapshot, decision.start, ladders, now)
    rows.tasks += carry_out(rows.effects, now)
    with connection.cursor() as cursor:
        if rows.runs:
            cursor.execute(persist_sql.RUNS_AND_MESSAGES, [*_columns(rows.runs), now, now, now])
        if rows.again:
            cursor.execute(persist_sql.AGAIN, [now, now, *_columns(rows.again)])
        cursor.execute(persist_sql.CASES, [now, *_columns(rows.cases)])
        if rows.starts:
            cursor.execute(persist_sql.START, [now, now, *_columns(rows.starts)])
        if rows.quiet:
            cursor.execute(persist_sql.QUIET, [rows.quiet_until, sorted(rows.quiet), rows.quiet_until])
    if rows.tasks:
        Task.objects.bulk_create(rows.tasks, ignore_conflicts=True)
    # What a person sees of a step: the task it made, or that the case is over.
    work_mark({*(task.customer_id for task in rows.tasks), *rows.ended}, now)
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
        writes = acts and run.step.action == Action.MESSAGE and decision.channel != _CALL
        letter = _letter(loaded, run.step, decision.channel, texts) if writes else None
        _run(rows, loaded, run, letter, now)
    if decision.act is not None:
        _acts(rows, loaded, decision, texts, now)
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
    if decision.act is not None or decision.outcome is Outcome.ENDED:
        rows.effects.extend(effects_of(case, decision))
    if decision.outcome is Outcome.ENDED:
        rows.ended.append(case.customer_id)
    if decision.outcome is Outcome.ENDED and not decision.start:
        _end(rows, case, decision, now)


class _Letter(NamedTuple):
    """What a message row is made of."""

    version_id: int
    channel: str
    who: Addressee
    language: str


def _letter(loaded: Loaded, step: StepSpec, channel: str, texts: dict[int, PublishedText]) -> _Letter | None:
    """The message of a step over `channel`; None where it has no address or no text after all."""
    who, text = loaded.addressees.get(channel), texts.get(step.template_id or 0)
    if who is None or text is None or not text.text_channel(channel):
        return None
    language = text.language(channel, who.language, loaded.customer_language, loaded.brand_language)
    return _Letter(text.version_id, channel, who, language)


def _acts(rows: _Rows, loaded: Loaded, decision: Decision, texts: dict[int, PublishedText], now: datetime) -> None:
    """What a message step does besides its first message: a call where no writing reaches, or another way."""
    case, step = loaded.snapshot, decision.act
    if step is None or step.action != Action.MESSAGE:
        return
    if decision.channel == _CALL:
        rows.tasks.append(
            Task(
                customer_id=case.customer_id,
                case_id=case.case_id,
                kind=Task.Kind.CALL,
                title=step.name,
                notes=_("No written way reaches this customer."),
                # The task the ladder waits for: nobody climbs before the call was made.
                key=f"step:{case.case_id}:{step.id}:{case.round}",
                due_at=now,
                created_at=now,
            )
        )
    elif decision.again and (letter := _letter(loaded, step, decision.channel, texts)) is not None:
        rows.again.append(
            (case.case_id, step.id, case.round, case.customer_id, case.brand_id, letter.version_id, letter.channel,
             letter.who.contact_id, letter.language, letter.who.address)
        )  # fmt: skip
        rows.messages += 1
    if decision.again:
        words = _("Step “%(step)s” was not heard and goes by %(channel)s.")
        summary = words % {"step": step.name, "channel": Channel(decision.channel).label}
        rows.entries.append(_entry(case, now, "step.another_way", summary, channel=decision.channel))


def _start(rows: _Rows, case: CaseSnapshot, code: str, ladders: Mapping[str, int], now: datetime) -> None:
    """Has the case go over to another ladder; where that one is gone, a person decides."""
    version_id = ladders.get(code)
    if version_id is None:
        rows.tasks.append(
            Task(
                customer_id=case.customer_id,
                case_id=case.case_id,
                kind=Task.Kind.REVIEW,
                title=_("The ladder “%(code)s” has no published version") % {"code": code},
                notes=_("This case was to go over to it. Publish it and move the case, or close the case."),
                key=f"start:{case.case_id}:{case.round}",
                due_at=now,
                created_at=now,
            )
        )
        return
    rows.starts.append((case.case_id, version_id, _("Just gone over to this ladder.")))
    rows.entries.append(
        _entry(
            case,
            now,
            "case.ladder_started",
            _("Gone over to the ladder “%(code)s”.") % {"code": code},
            data={"ladder": code, "version": version_id, "from": case.ladder.version_id},
        )
    )


def _run(rows: _Rows, loaded: Loaded, run: RunRecord, letter: _Letter | None, now: datetime) -> None:
    case = loaded.snapshot
    step = run.step
    head = (case.case_id, step.id, case.round, run.scheduled_for, run.decision, run.reason[:255], run.rule)
    who = letter.who if letter is not None else None
    if letter is not None:
        rows.runs.append(
            (*head, case.customer_id, case.brand_id, letter.version_id, letter.channel, letter.who.contact_id,
             letter.language, letter.who.address)
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
                channel=letter.channel if letter is not None else "",
                data={"step": step.key, "round": case.round, "rule": run.rule} if run.rule else {"step": step.key},
            )
        )


def _told(run: RunRecord, who: Addressee | None) -> str:
    values = {"step": run.step.name, "why": run.reason or run.rule, "to": who.address if who else ""}
    if run.decision == Kind.DONE:
        words = _("Step “%(step)s”: message to %(to)s queued.") if who else _("Step “%(step)s” taken.")
        return f"{words % values} {run.reason}".rstrip()
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


def _end(rows: _Rows, case: CaseSnapshot, decision: Decision, now: datetime) -> None:
    """Tells of the end: once, as a case ends only once. At an agency the case lives on."""
    balances = case.balances()
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
    announce_exhausted(case_id=case.case_id, customer_id=case.customer_id, balances=balances)
    if decision.state != CaseState.LOST:
        return
    rows.entries.append(_entry(case, now, "case.lost", _("The case is closed as lost: the ladder is exhausted.")))
    announce_closed(
        case_id=case.case_id,
        customer_id=case.customer_id,
        state=CaseState.LOST.value,
        reason=CloseReason.EXHAUSTED.value,
    )
