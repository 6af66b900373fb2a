"""Decides what a case does now: pure, from a snapshot and the moment, with the reason in words.

Rules of the ladder, in the order they are applied to a case:

1. A case that rests does nothing; a pause that has ended wakes it, and it goes on where it stood.
2. Nobody moves up a rung because of a notice that never left: one that failed, bounced or lost its address goes the
   step's next way (campaigns.engine.heard); where none is left, a person is asked and the case stays until that
   task is closed.
3. Due is `<=`. Of the steps that are due the latest acts (steps due at the very same moment act one after the
   other); older ones are superseded, those whose condition does not hold are skipped.
4. A step may be put off by its window, by a notice of the rung before that has not left yet, by a retry that
   will probably succeed (campaigns.engine.one_clock), or by the guard; each deferral names its rule. What the guard
   forbids altogether is for a person.
5. When every step is taken and the last notice had its time, the ladder ends.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from campaigns.engine import heard, one_clock
from campaigns.engine import ladder as rungs
from campaigns.engine.actions import forbidden
from campaigns.engine.conditions import unmet
from campaigns.engine.heard import GuardCheck
from campaigns.engine.one_clock import SOON, Hold
from campaigns.engine.types import CaseSnapshot, Decision, Outcome, RunRecord, StepSpec, TaskWanted
from campaigns.engine.words import phrase as _
from campaigns.guard.check import check
from campaigns.guard.types import Allowed, Deferred
from campaigns.guard.zones import zone
from campaigns.models.case import CaseState
from campaigns.models.case import Decision as Kind
from campaigns.models.ladder import Action, EndAction
from campaigns.models.task import Task

#: How soon to look again at what waits for a person.
PERSON = timedelta(hours=12)
#: After a mail that asks for a new card the old one is left alone for this long.
RETRY_QUIET = timedelta(hours=24)
#: The end of the ladder waits for a retry planned within this time.
END_WAITS = timedelta(hours=24)

_DONE = Kind.DONE.value
_SKIPPED = Kind.SKIPPED.value
_SUPERSEDED = Kind.SUPERSEDED.value
_DEFERRED = Kind.DEFERRED.value
_BLOCKED = Kind.BLOCKED.value
_OPEN = CaseState.OPEN.value
_MESSAGE = Action.MESSAGE.value


class _Go(NamedTuple):
    """The step acts, over `channel` if it is a message; `note` says why it is not the first one."""

    channel: str = ""
    note: str = ""


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
    nothing = not case.invoices and not (case.ahead and case.stands)
    if nothing or case.guard.promised or case.guard.in_plan or case.guard.disputed:
        # The facts have moved on and assess has not been here yet; it decides what becomes of the case.
        decision = _wait(case, now + SOON, _("Nothing to press for at present; being assessed."), Outcome.RESTING)
    elif case.ahead and case.anchor_at <= now:
        decision = _wait(case, now + SOON, _("The day has come; being assessed."), Outcome.RESTING)
    else:
        decision = _climb(case, now, guard)
    return decision._replace(woken=True) if woken else decision


def wake(case: CaseSnapshot, now: datetime) -> CaseSnapshot:
    """The case after its rest: open, going on with the step it stood before, whatever the rest lasted. A day that
    is coming does not move."""
    anchor = case.anchor_at
    if not case.ahead:
        anchor = rungs.without_jump(case.ladder, anchor, case.position, now, zone(case.zone))
    return case._replace(
        state=_OPEN,
        rests_until=None,
        anchor_at=anchor,
        guard=case.guard._replace(case_state=_OPEN),
    )


def _climb(case: CaseSnapshot, now: datetime, guard: GuardCheck) -> Decision:
    notice = heard.last_notice(case)
    lost = notice is not None and heard.is_lost(notice)
    if lost and notice is not None and (again := _another_way(case, notice, now, guard)) is not None:
        return again
    tz = zone(case.zone)
    due = rungs.due(case, now, tz)
    if not due:
        return _ahead(case, notice, now)
    target: tuple[StepSpec, datetime] | None = None
    unfit: dict[int, str] = {}
    for step, at in reversed(due):
        why = unmet(step.condition, case, now) if step.condition else ""
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
        return _settled(case, now, passed, None)
    step, at = target
    outcome = _put_off(case, notice, step, at, now, guard)
    if isinstance(outcome, Decision):
        return outcome
    if isinstance(outcome, RunRecord):
        return _settled(case, now, (*passed, outcome), None)
    return _settled(case, now, (*passed, RunRecord(step, at, _DONE, outcome.note)), step, outcome.channel)


def _another_way(case: CaseSnapshot, notice: heard.Notice, now: datetime, guard: GuardCheck) -> Decision | None:
    """The rung that was not heard, by its next channel; None where no channel is left or allowed."""
    left = heard.ways_left(notice)
    if not left:
        return None
    channel, verdict = heard.choose(case, notice.rung, left, now, guard)
    name = {"step": notice.rung.name}
    hold = one_clock.charging(case, now)
    if hold is not None:
        return _wait(
            case, hold.until, _("“%(step)s” goes another way: a charge is under way.") % name, Outcome.WAITING
        )
    if isinstance(verdict, Deferred):
        until = max(verdict.until, now + timedelta(minutes=1))
        why = _("“%(step)s” did not arrive and goes another way: %(why)s") % (name | {"why": verdict.reason})
        return _wait(case, until, why, Outcome.WAITING)
    if not isinstance(verdict, Allowed):
        return None
    at, why = rungs.next_moment(case, case.position, None, zone(case.zone))
    return _wait(case, max(at, now), why, Outcome.DONE)._replace(act=notice.rung, channel=channel, again=True)


def _skipped(step: StepSpec, at: datetime, why: str) -> RunRecord:
    return RunRecord(step, at, _SKIPPED, _("Condition: %(why)s.") % {"why": why}, "condition")


def _put_off(
    case: CaseSnapshot, notice: heard.Notice | None, step: StepSpec, at: datetime, now: datetime, guard: GuardCheck
) -> Decision | RunRecord | _Go:
    """Why the step does not act now: a decision to wait, a record of what was settled without it, or how it acts."""
    tz = zone(case.zone)
    opening = rungs.opening(step, now, tz, case.country)
    if opening > now:
        return _deferred(case, step, at, Hold(opening, "step.window", _("Outside the step's window.")))
    if (unheard := _unheard(case, notice, now)) is not None:
        hold, tasks = unheard
        return _deferred(case, step, at, hold)._replace(tasks=tasks)
    if step.action != _MESSAGE:
        return _act(case, step, at, now)
    if (retry := one_clock.retry_first(case, step, at, now)) is not None:
        return _deferred(case, step, at, retry)
    channel, verdict = heard.choose(case, step, heard.ways(step), now, guard)
    if isinstance(verdict, Allowed):
        if channel == step.channel:
            return _Go(channel)
        return _Go(channel, _("By another channel than planned: the first one reaches nobody."))
    if isinstance(verdict, Deferred):
        # A rule that names a moment already past must not make the case spin.
        until = max(verdict.until, now + timedelta(minutes=1))
        return _deferred(case, step, at, Hold(until, verdict.rule, verdict.reason))
    return _blocked(case, step, at, now, verdict.rule, verdict.reason)


def _act(case: CaseSnapshot, step: StepSpec, at: datetime, now: datetime) -> Decision | RunRecord | _Go:
    """Whether an action that is no message may be done."""
    rule, why = forbidden(step.action, case.guard)
    if rule:
        return _blocked(case, step, at, now, rule, why)
    if step.action == Action.RETRY_NOW:
        if (hold := one_clock.charging(case, now)) is not None:
            return _deferred(case, step, at, hold)
        if not one_clock.chargeable(case):
            return RunRecord(step, at, _SKIPPED, _("The card was refused for good."), "one_clock.new_card")
    return _Go()


def _blocked(
    case: CaseSnapshot, step: StepSpec, at: datetime, now: datetime, rule: str, why: str
) -> Decision | RunRecord:
    """A person is asked about a step that must not be taken; once they have closed their task it is settled."""
    run = case.runs.get(step.id)
    if run is not None and run.decision == _BLOCKED and heard.stepped_in(run):
        return RunRecord(
            step, at, _SKIPPED, _("Not allowed (%(rule)s); a person took over.") % {"rule": rule}, "person"
        )
    task = TaskWanted(
        Task.Kind.REVIEW.value,
        _("“%(step)s” is not allowed") % {"step": step.name},
        _("%(reason)s Rule: %(rule)s. Close this task when you have handled it; the ladder then goes on.")
        % {"reason": why, "rule": rule},
        task_key(case.case_id, step.id, case.round),
    )
    reason = _("“%(step)s” is not allowed (%(rule)s); a person is asked.") % {"step": step.name, "rule": rule}
    return _wait(case, now + PERSON, reason, Outcome.BLOCKED)._replace(
        runs=(RunRecord(step, at, _BLOCKED, why, rule, tell=_is_news(case, step, _BLOCKED, rule)),),
        tasks=(task,),
    )


def task_key(case_id: int, step_id: int, round_: int) -> str:
    """Key of the task that asks a person to step in for a step that could not be taken."""
    return f"step:{case_id}:{step_id}:{round_}"


def _unheard(
    case: CaseSnapshot, notice: heard.Notice | None, now: datetime
) -> tuple[Hold, tuple[TaskWanted, ...]] | None:
    """Why nothing further is said: the notice of the last rung taken has not left, or did not arrive."""
    if notice is None:
        return None
    rung, run = notice
    if run.message_status in heard.PENDING:
        wait = PERSON if run.message_status == heard.TO_PRINT else SOON
        return Hold(now + wait, "heard.pending", _("“%(step)s” has not left yet.") % {"step": rung.name}), ()
    if not heard.is_lost(notice):
        return None
    why = _("“%(step)s” did not reach the customer; a person is asked.") % {"step": rung.name}
    task = TaskWanted(
        Task.Kind.REVIEW.value,
        _("“%(step)s” did not reach the customer") % {"step": rung.name},
        _("The message is “%(status)s”. Reach the customer another way or correct the address, then close this "
          "task; the ladder then goes on.") % {"status": run.message_status},
        task_key(case.case_id, rung.id, case.round),
    )  # fmt: skip
    return Hold(now + PERSON, "heard.failed", why), (task,)


def _deferred(case: CaseSnapshot, step: StepSpec, at: datetime, hold: Hold) -> Decision:
    words = _("“%(step)s” waits: %(why)s") % {"step": step.name, "why": hold.why or hold.rule}
    run = RunRecord(step, at, _DEFERRED, hold.why, hold.rule, tell=_is_news(case, step, _DEFERRED, hold.rule))
    return _wait(case, hold.until, words, Outcome.DEFERRED)._replace(runs=(run,))


def _is_news(case: CaseSnapshot, step: StepSpec, decision: str, rule: str) -> bool:
    run = case.runs.get(step.id)
    return run is None or (run.decision, run.rule) != (decision, rule)


def _settled(
    case: CaseSnapshot, now: datetime, runs: tuple[RunRecord, ...], act: StepSpec | None, channel: str = ""
) -> Decision:
    """Takes note of what was settled, and looks ahead from there."""
    last = runs[-1].step
    quiet: tuple[int, ...] = ()
    state, start = case.state, ""
    at: datetime | None
    at, why = rungs.next_moment(case, last.position, now, zone(case.zone))
    if act is not None:
        if act.action == _MESSAGE:
            quiet = tuple([invoice.id for invoice in case.invoices if invoice.asks_for == one_clock.NEW_CARD])
        elif act.action == Action.HAND_TO_AGENCY:
            state, at, why = CaseState.AGENCY.value, None, _("An agency handles the case.")
        elif act.action == Action.START_LADDER:
            start = str(act.params["ladder"])
    return Decision(
        case_id=case.case_id,
        outcome=Outcome.DONE if act is not None else Outcome.SKIPPED,
        position=last.position,
        anchor_at=case.anchor_at,
        state=state,
        next_action_at=at,
        next_action_reason=why,
        act=act,
        channel=channel,
        start=start,
        runs=runs,
        quiet_invoices=quiet,
        retry_quiet=RETRY_QUIET if quiet else timedelta(0),
    )


def _ahead(case: CaseSnapshot, notice: heard.Notice | None, now: datetime) -> Decision:
    """No step is due: the next one's moment, or the end."""
    at, why = rungs.next_moment(case, case.position, None, zone(case.zone))
    if notice is not None and heard.is_lost(notice) and (unheard := _unheard(case, notice, now)) is not None:
        # Asked for at once, not when the next step is due: the days until then are the person's.
        hold, tasks = unheard
        return _wait(case, max(min(at, hold.until), now + SOON), hold.why, Outcome.WAITING)._replace(tasks=tasks)
    if at > now or case.position < rungs.top(case.ladder):
        return _wait(case, at, why, Outcome.WAITING)
    if (pending := _unheard(case, notice, now)) is not None:
        return _wait(case, pending[0].until, pending[0].why, Outcome.WAITING)
    soon = now + END_WAITS
    last_try = any(i.retry_in_flight or (i.retry_at is not None and i.retry_at <= soon) for i in case.invoices)
    if last_try and now - at <= 4 * END_WAITS:
        return _wait(case, now + SOON * 6, _("The end waits for a last retry."), Outcome.WAITING)
    return _end(case)


def _end(case: CaseSnapshot) -> Decision:
    actions = case.ladder.end_actions
    tasks: tuple[TaskWanted, ...] = ()
    refused = [(action, rule, why) for action in actions for rule, why in (forbidden(action, case.guard),) if rule]
    if refused:
        actions = tuple(action for action in actions if action not in {refusal[0] for refusal in refused})
        notes = "\n".join(f"{action}: {why} ({rule})" for action, rule, why in refused)
        title = _("End actions that are not allowed: decide yourself")
        tasks = (TaskWanted(Task.Kind.REVIEW.value, title, notes, f"end:{case.case_id}:forbidden"),)
    if EndAction.CALL_TASK.value in actions or EndAction.NOTIFY_STAFF.value in actions:
        tasks = (
            *tasks,
            TaskWanted(
                Task.Kind.CALL.value if EndAction.CALL_TASK.value in actions else Task.Kind.REVIEW.value,
                _("The ladder ended unpaid"),
                _("Every step was taken and the debt is still open. Decide what becomes of it."),
                f"end:{case.case_id}:{case.round}",
            ),
        )
    start, state = "", CaseState.LOST.value
    if EndAction.START_LADDER.value in actions:
        start, state = str(case.ladder.end_params[EndAction.START_LADDER.value]["ladder"]), case.state
    elif EndAction.HAND_TO_AGENCY.value in actions:
        state = CaseState.AGENCY.value
    return _wait(case, None, "", Outcome.ENDED)._replace(state=state, start=start, tasks=tasks, end_actions=actions)


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
