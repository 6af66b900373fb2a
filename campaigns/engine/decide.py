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

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from campaigns.engine import heard, one_clock
from campaigns.engine import ladder as rungs
from campaigns.engine.actions import forbidden
from campaigns.engine.answers import PERSON, WINDOW, blocked, deferred, end, task_key, wait
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
from campaigns.models.ladder import Action
from campaigns.models.task import Task

#: After a mail that asks for a new card the old one is left alone for this long.
RETRY_QUIET = timedelta(hours=24)
#: The end of the ladder waits for a retry planned within this time.
END_WAITS = timedelta(hours=24)

_DONE = Kind.DONE.value
_SKIPPED = Kind.SKIPPED.value
_SUPERSEDED = Kind.SUPERSEDED.value
_SETTLED = frozenset({_DONE, _SKIPPED, _SUPERSEDED})
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
            return wait(case, waits, _("The case rests."), Outcome.RESTING)
        woken = True
        case = wake(case, now)
    nothing = not case.invoices and not (case.ahead and case.stands)
    if nothing or case.guard.promised or case.guard.in_plan or case.guard.disputed:
        # The facts have moved on and assess has not been here yet; it decides what becomes of the case.
        decision = wait(case, now + SOON, _("Nothing to press for at present; being assessed."), Outcome.RESTING)
    elif case.ahead and case.anchor_at <= now:
        decision = wait(case, now + SOON, _("The day has come; being assessed."), Outcome.RESTING)
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
        run = case.runs.get(step.id) if case.runs else None
        if run is not None and run.decision in _SETTLED:
            # Taken before the case was moved to a version that has it further up.
            unfit[step.id] = _("Taken already.")
        elif step.withheld:
            unfit[step.id] = step.withheld
        elif step.condition and (why := unmet(step.condition, case, now)):
            unfit[step.id] = _("Condition: %(why)s.") % {"why": why}
        elif target is None or at == target[1]:
            target = (step, at)
    passed = _passed(case, due, unfit, target)
    if target is None:
        # None settled: those that are due and do not fit are passed once the steps below them are.
        return _settled(case, now, passed, None) if passed else _ahead(case, notice, now)
    step, at = target
    outcome = _put_off(case, notice, step, at, now, guard)
    if isinstance(outcome, Decision):
        return outcome
    if isinstance(outcome, RunRecord):
        return _settled(case, now, (*passed, outcome), None)
    return _settled(case, now, (*passed, RunRecord(step, at, _DONE, outcome.note)), step, outcome.channel)


def _passed(
    case: CaseSnapshot,
    due: list[tuple[StepSpec, datetime]],
    unfit: Mapping[int, str],
    target: tuple[StepSpec, datetime] | None,
) -> tuple[RunRecord, ...]:
    """What becomes of the steps below the one that acts, in order. One that counts from a step not taken is not due,
    yet is passed with the others; where none acts it is come to in its turn."""
    moments = {step.id: at for step, at in due}
    found: list[RunRecord] = []
    for step in case.ladder.steps:
        if step.position <= case.position or (target is not None and step.position >= target[0].position):
            continue
        if step.id in unfit:
            found.append(_skipped(step, moments[step.id], unfit[step.id]))
        elif target is not None:
            at = moments.get(step.id, target[1])
            found.append(RunRecord(step, at, _SUPERSEDED, _("A later step was due as well."), "engine.late"))
        else:
            break
    return tuple(found)


def _another_way(case: CaseSnapshot, notice: heard.Notice, now: datetime, guard: GuardCheck) -> Decision | None:
    """The rung that was not heard, by its next channel; None where no channel is left or allowed."""
    left = heard.ways_left(notice)
    if not left:
        return None
    channel, verdict, _passed_over = heard.choose(case, notice.rung, left, now, guard)
    name = {"step": notice.rung.name}
    hold = one_clock.charging(case, now)
    if hold is not None:
        return wait(case, hold.until, _("“%(step)s” goes another way: a charge is under way.") % name, Outcome.WAITING)
    if isinstance(verdict, Deferred):
        until = max(verdict.until, now + timedelta(minutes=1))
        why = _("“%(step)s” did not arrive and goes another way: %(why)s") % (name | {"why": verdict.reason})
        return wait(case, until, why, Outcome.WAITING)
    if not isinstance(verdict, Allowed):
        return None
    opens = rungs.opening(notice.rung, now, zone(case.zone), case.country)
    if opens > now:
        why = _("“%(step)s” goes another way once its window opens.") % name
        return wait(case, opens, why, Outcome.WAITING)
    at, why = rungs.next_moment(case, case.position, None, zone(case.zone))
    return wait(case, max(at, now), why, Outcome.DONE)._replace(act=notice.rung, channel=channel, again=True)


def _skipped(step: StepSpec, at: datetime, why: str) -> RunRecord:
    return RunRecord(step, at, _SKIPPED, why, "condition")


def _put_off(
    case: CaseSnapshot, notice: heard.Notice | None, step: StepSpec, at: datetime, now: datetime, guard: GuardCheck
) -> Decision | RunRecord | _Go:
    """Why the step does not act now: a decision to wait, a record of what was settled without it, or how it acts."""
    tz = zone(case.zone)
    opening = rungs.opening(step, now, tz, case.country)
    if opening > now:
        return deferred(case, step, at, Hold(opening, WINDOW, _("Outside the step's window.")))
    if (unheard := _unheard(case, notice, now)) is not None:
        hold, tasks = unheard
        return deferred(case, step, at, hold)._replace(tasks=tasks)
    if step.action != _MESSAGE:
        return _act(case, step, at, now)
    if (retry := one_clock.retry_first(case, step, at, now)) is not None:
        return deferred(case, step, at, retry)
    channel, verdict, passed_over = heard.choose(case, step, heard.ways(step), now, guard)
    if isinstance(verdict, Allowed):
        return _Go(channel, passed_over)
    if isinstance(verdict, Deferred):
        # A rule that names a moment already past must not make the case spin.
        until = max(verdict.until, now + timedelta(minutes=1))
        return deferred(case, step, at, Hold(until, verdict.rule, verdict.reason))
    return blocked(case, step, at, now, verdict.rule, verdict.reason)


def _act(case: CaseSnapshot, step: StepSpec, at: datetime, now: datetime) -> Decision | RunRecord | _Go:
    """Whether an action that is no message may be done."""
    rule, why = forbidden(step.action, case.guard)
    if rule:
        return blocked(case, step, at, now, rule, why)
    if step.action == Action.RETRY_NOW:
        if (hold := one_clock.charging(case, now)) is not None:
            return deferred(case, step, at, hold)
        if not one_clock.chargeable(case):
            return RunRecord(step, at, _SKIPPED, _("The card was refused for good."), "one_clock.new_card")
    return _Go()


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
        # Past the end there is no next step to look up for: asked every few minutes, it would say the same.
        until = min(at, hold.until) if at > now else hold.until
        return wait(case, until, hold.why, Outcome.WAITING)._replace(tasks=tasks)
    if at > now or case.position < rungs.top(case.ladder):
        return wait(case, at, why, Outcome.WAITING)
    if (pending := _unheard(case, notice, now)) is not None:
        return wait(case, pending[0].until, pending[0].why, Outcome.WAITING)
    soon = now + END_WAITS
    last_try = any(i.retry_in_flight or (i.retry_at is not None and i.retry_at <= soon) for i in case.invoices)
    if last_try and now - at <= 4 * END_WAITS:
        return wait(case, now + SOON * 6, _("The end waits for a last retry."), Outcome.WAITING)
    return end(case)
