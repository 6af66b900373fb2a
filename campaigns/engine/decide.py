"""Decides what a case does now: pure, from a snapshot and the moment, with the reason in words.

Rules of the ladder, in the order they are applied to a case:

1. A case that rests does nothing; a pause that has ended wakes it, and it goes on where it stood.
2. Due is `<=`. Of the steps that are due the latest acts (steps due at the very same moment act one after the
   other); older ones are superseded, those whose condition does not hold are skipped.
3. A step may be put off by its window, by a notice of the rung before that has not left yet, by a retry that
   will probably succeed, or by the guard; each deferral names its rule.
4. Nobody moves up a rung because of a notice that never left: a message that failed or bounced, and a step the
   guard forbids, ask for a person, and the case stays until that task is closed.
5. When every step is taken and the last notice had its time, the ladder ends.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from billing.retries.taxonomy import AsksFor
from campaigns.engine import ladder as rungs
from campaigns.engine.calendar import in_words
from campaigns.engine.conditions import unmet
from campaigns.engine.types import (
    CaseSnapshot,
    Decision,
    Outcome,
    RunRecord,
    StepSpec,
    TaskWanted,
)
from campaigns.engine.words import phrase as _
from campaigns.guard.check import check
from campaigns.guard.types import Allowed, Blocked, Deferred, GuardSnapshot, Verdict
from campaigns.guard.zones import zone
from campaigns.models.case import CaseState
from campaigns.models.case import Decision as Kind
from campaigns.models.ladder import Action, EndAction
from campaigns.models.message import MessageStatus
from campaigns.models.task import Task

#: A retry less likely than this is not worth keeping the customer in the dark for. One in twenty: the prior of a
#: single early try is low, the ladder says how long it may be waited for, and waiting costs hours, not money.
WORTH_WAITING = 0.05
#: After the moment of a retry: time for its outcome to arrive.
RETRY_SETTLES = timedelta(hours=1)
#: How soon to look again at what is settled within minutes (a message in the outbox, a charge under way).
SOON = timedelta(minutes=10)
#: How soon to look again at what waits for a person.
PERSON = timedelta(hours=12)
#: After a mail that asks for a new card the old one is left alone for this long.
RETRY_QUIET = timedelta(hours=24)
#: The end of the ladder waits for a retry planned within this time.
END_WAITS = timedelta(hours=24)

_PENDING = frozenset({MessageStatus.QUEUED.value, MessageStatus.SENDING.value})
_NOT_HEARD = frozenset({MessageStatus.FAILED.value, MessageStatus.BOUNCED.value, MessageStatus.AMBIGUOUS.value})
_DONE = Kind.DONE.value
_SKIPPED = Kind.SKIPPED.value
_SUPERSEDED = Kind.SUPERSEDED.value
_DEFERRED = Kind.DEFERRED.value
_BLOCKED = Kind.BLOCKED.value
_OPEN = CaseState.OPEN.value
_MESSAGE = Action.MESSAGE.value
_NEW_CARD = AsksFor.NEW_CARD.value

GuardCheck = Callable[[GuardSnapshot, str, datetime], Verdict]


def decide(case: CaseSnapshot, now: datetime, *, guard: GuardCheck = check) -> Decision:
    """What the case does at `now` (aware UTC), and when to look at it again. Pure."""
    woken = False
    if case.state != _OPEN:
        over = case.state == CaseState.PAUSED and case.rests_until is not None and case.rests_until <= now
        if not over:
            waits = case.rests_until if case.state == CaseState.PAUSED else None
            return _wait(case, waits, _("The case rests."), Outcome.RESTING)
        woken = True
        case = wake(case, now)
    if not case.invoices or case.guard.promised or case.guard.in_plan or case.guard.disputed:
        # The facts have moved on and assess has not been here yet; it decides what becomes of the case.
        decision = _wait(case, now + SOON, _("Nothing to press for at present; being assessed."), Outcome.RESTING)
    else:
        decision = _climb(case, now, guard)
    return decision._replace(woken=True) if woken else decision


def wake(case: CaseSnapshot, now: datetime) -> CaseSnapshot:
    """The case after its rest: open, going on with the step it stood before, whatever the rest lasted."""
    anchor = rungs.without_jump(case.ladder, case.anchor_at, case.position, now, zone(case.zone))
    return case._replace(
        state=_OPEN,
        rests_until=None,
        anchor_at=anchor,
        guard=case.guard._replace(case_state=_OPEN),
    )


def _climb(case: CaseSnapshot, now: datetime, guard: GuardCheck) -> Decision:
    tz = zone(case.zone)
    due = rungs.due(case, now, tz)
    if not due:
        return _ahead(case, now, guard)
    target: tuple[StepSpec, datetime] | None = None
    unfit: dict[int, str] = {}
    for step, at in reversed(due):
        why = unmet(step.condition, case) if step.condition else ""
        if why:
            unfit[step.id] = why
        elif target is None or at == target[1]:
            target = (step, at)
    passed = tuple(
        _skipped(step, at, unfit[step.id])
        if step.id in unfit
        else RunRecord(step, at, _SUPERSEDED, _("A later step was due as well."), "engine.late")
        for step, at in due
        if target is None or step.position < target[0].position
    )
    if target is None:
        return _settled(case, now, passed, None, guard)
    step, at = target
    put_off = _put_off(case, step, at, now, guard)
    if isinstance(put_off, Decision):
        return put_off
    if put_off:
        return _settled(case, now, (*passed, RunRecord(step, at, _SKIPPED, put_off, "person")), None, guard)
    return _settled(case, now, (*passed, RunRecord(step, at, _DONE)), step, guard)


def _skipped(step: StepSpec, at: datetime, why: str) -> RunRecord:
    return RunRecord(step, at, _SKIPPED, _("Condition: %(why)s.") % {"why": why}, "condition")


def _put_off(case: CaseSnapshot, step: StepSpec, at: datetime, now: datetime, guard: GuardCheck) -> Decision | str:
    """Why the step does not act now: a decision to wait, words if a person took over, or empty if it acts."""
    tz = zone(case.zone)
    opening = rungs.opening(step, now, tz, case.country)
    if opening > now:
        return _deferred(case, step, at, opening, "step.window", _("Outside the step's window."))
    if (held := _unheard(case, step, at, now)) is not None:
        return held
    if step.action != _MESSAGE:
        return ""
    if (retry := _retry_first(case, step, at, now)) is not None:
        return retry
    verdict = (
        guard(case.guard, step.channel, now)
        if step.has_text
        else Blocked("template.missing", _("The template has no published version."))
    )
    if isinstance(verdict, Allowed):
        return ""
    if isinstance(verdict, Deferred):
        # A rule that names a moment already past must not make the case spin.
        until = max(verdict.until, now + timedelta(minutes=1))
        return _deferred(case, step, at, until, verdict.rule, verdict.reason)
    run = case.runs.get(step.id)
    if run is not None and run.decision == _BLOCKED and _closed(run.task_status):
        return _("Not allowed (%(rule)s); a person took over.") % {"rule": verdict.rule}
    task = TaskWanted(
        Task.Kind.REVIEW.value,
        _("“%(step)s” may not be sent") % {"step": step.name},
        _("%(reason)s Rule: %(rule)s. Close this task when you have handled it; the ladder then goes on.")
        % {"reason": verdict.reason, "rule": verdict.rule},
        task_key(case.case_id, step.id, case.round),
    )
    return Decision(
        case_id=case.case_id,
        outcome=Outcome.BLOCKED,
        position=case.position,
        anchor_at=case.anchor_at,
        state=case.state,
        next_action_at=now + PERSON,
        next_action_reason=_("“%(step)s” is not allowed (%(rule)s); a person is asked.")
        % {"step": step.name, "rule": verdict.rule},
        runs=(
            RunRecord(
                step, at, _BLOCKED, verdict.reason, verdict.rule, tell=_is_news(case, step, _BLOCKED, verdict.rule)
            ),
        ),
        tasks=(task,),
    )


def task_key(case_id: int, step_id: int, round_: int) -> str:
    """Key of the task that asks a person to step in for a step that could not be taken."""
    return f"step:{case_id}:{step_id}:{round_}"


def _closed(task_status: str) -> bool:
    return task_status in (Task.Status.DONE.value, Task.Status.CANCELLED.value)


def _unheard(case: CaseSnapshot, step: StepSpec | None, at: datetime, now: datetime) -> Decision | None:
    """A decision to wait if the notice of the last rung taken has not left or did not arrive."""
    last = None
    for rung in reversed(case.ladder.steps):
        if rung.position <= case.position and (run := case.runs.get(rung.id)) is not None and run.message_status:
            last = (rung, run)
            break
    if last is None:
        return None
    rung, run = last
    if run.message_status in _PENDING:
        why = _("“%(step)s” has not left yet.") % {"step": rung.name}
        return _held(case, step, at, now + SOON, "heard.pending", why)
    # A cancelled message was stopped by the guard; what stopped it is checked again for the step that is due.
    if run.message_status not in _NOT_HEARD or _closed(run.task_status):
        return None
    why = _("“%(step)s” did not reach the customer; a person is asked.") % {"step": rung.name}
    task = TaskWanted(
        Task.Kind.REVIEW.value,
        _("“%(step)s” did not reach the customer") % {"step": rung.name},
        _("The message is “%(status)s”. Reach the customer another way or correct the address, then close this "
          "task; the ladder then goes on.") % {"status": run.message_status},
        task_key(case.case_id, rung.id, case.round),
    )  # fmt: skip
    return _held(case, step, at, now + PERSON, "heard.failed", why)._replace(tasks=(task,))


def _held(case: CaseSnapshot, step: StepSpec | None, at: datetime, until: datetime, rule: str, why: str) -> Decision:
    return _deferred(case, step, at, until, rule, why) if step else _wait(case, until, why, Outcome.WAITING)


def _retry_first(case: CaseSnapshot, step: StepSpec, at: datetime, now: datetime) -> Decision | None:
    """A decision to wait if a charge is under way, or one with decent odds comes within the step's patience."""
    if any(invoice.retry_in_flight for invoice in case.invoices):
        return _deferred(case, step, at, now + SOON, "one_clock.charging", _("A charge is under way."))
    patience = timedelta(hours=step.wait_for_retry_hours)
    # Waited long enough: the next retry, and the one after, must not keep a customer in the dark for ever.
    if not patience or now - at > patience:
        return None
    if any(invoice.retry_unplanned for invoice in case.invoices):
        return _deferred(case, step, at, now + SOON, "one_clock.planning", _("The next retry is being planned."))
    soonest = min(
        (
            invoice.retry_at
            for invoice in case.invoices
            if invoice.retry_at is not None
            and invoice.retry_at <= now + patience
            and (invoice.retry_probability is None or invoice.retry_probability >= WORTH_WAITING)
        ),
        default=None,
    )
    if soonest is None:
        return None
    why = _("A retry is planned for %(at)s; a message may be needless.") % {"at": in_words(soonest, zone(case.zone))}
    return _deferred(case, step, at, max(soonest, now) + RETRY_SETTLES, "one_clock.retry_first", why)


def _deferred(
    case: CaseSnapshot, step: StepSpec | None, at: datetime, until: datetime, rule: str, why: str
) -> Decision:
    assert step is not None
    return Decision(
        case_id=case.case_id,
        outcome=Outcome.DEFERRED,
        position=case.position,
        anchor_at=case.anchor_at,
        state=case.state,
        next_action_at=until,
        next_action_reason=_("“%(step)s” waits: %(why)s") % {"step": step.name, "why": why or rule},
        runs=(RunRecord(step, at, _DEFERRED, why, rule, tell=_is_news(case, step, _DEFERRED, rule)),),
    )


def _is_news(case: CaseSnapshot, step: StepSpec, decision: str, rule: str) -> bool:
    run = case.runs.get(step.id)
    return run is None or (run.decision, run.rule) != (decision, rule)


def _settled(
    case: CaseSnapshot, now: datetime, runs: tuple[RunRecord, ...], act: StepSpec | None, guard: GuardCheck
) -> Decision:
    """Takes note of what was settled, and looks ahead from there."""
    last = runs[-1].step
    quiet: tuple[int, ...] = ()
    if act is not None and act.action == _MESSAGE:
        quiet = tuple(invoice.id for invoice in case.invoices if invoice.asks_for == _NEW_CARD)
    at, why = rungs.next_moment(case, last.position, now, zone(case.zone))
    return Decision(
        case_id=case.case_id,
        outcome=Outcome.DONE if act is not None else Outcome.SKIPPED,
        position=last.position,
        anchor_at=case.anchor_at,
        state=case.state,
        next_action_at=at,
        next_action_reason=why,
        act=act,
        runs=runs,
        quiet_invoices=quiet,
        retry_quiet=RETRY_QUIET if quiet else timedelta(0),
    )


def _ahead(case: CaseSnapshot, now: datetime, guard: GuardCheck) -> Decision:
    """No step is due: the next one's moment, or the end."""
    at, why = rungs.next_moment(case, case.position, None, zone(case.zone))
    if at > now or case.position < rungs.top(case.ladder):
        return _wait(case, at, why, Outcome.WAITING)
    if (held := _unheard(case, None, at, now)) is not None:
        return held
    soon = now + END_WAITS
    last_try = any(i.retry_in_flight or (i.retry_at is not None and i.retry_at <= soon) for i in case.invoices)
    if last_try and now - at <= 4 * END_WAITS:
        return _wait(case, now + SOON * 6, _("The end waits for a last retry."), Outcome.WAITING)
    tasks: tuple[TaskWanted, ...] = ()
    if EndAction.CALL_TASK.value in case.ladder.end_actions:
        tasks = (
            TaskWanted(
                Task.Kind.CALL.value,
                _("The ladder ended unpaid"),
                _("Every step was taken and the debt is still open. Decide what becomes of it."),
                f"end:{case.case_id}",
            ),
        )
    return Decision(
        case_id=case.case_id,
        outcome=Outcome.ENDED,
        position=case.position,
        anchor_at=case.anchor_at,
        state=CaseState.LOST.value,
        next_action_at=None,
        next_action_reason="",
        tasks=tasks,
        end_actions=case.ladder.end_actions,
    )


def _wait(case: CaseSnapshot, until: datetime | None, why: str, outcome: Outcome) -> Decision:
    return Decision(
        case_id=case.case_id,
        outcome=outcome,
        position=case.position,
        anchor_at=case.anchor_at,
        state=case.state,
        next_action_at=until,
        next_action_reason=why,
    )
