"""The forms a decision takes: wait, put off, ask a person, end. Pure."""

from datetime import datetime, timedelta

from campaigns.engine import heard
from campaigns.engine.actions import forbidden
from campaigns.engine.one_clock import Hold
from campaigns.engine.types import CaseSnapshot, Decision, Outcome, RunRecord, StepSpec, TaskWanted
from campaigns.engine.words import phrase as _
from campaigns.models.case import CaseState
from campaigns.models.case import Decision as Kind
from campaigns.models.ladder import EndAction
from campaigns.models.task import Task

#: How soon to look again at what waits for a person.
PERSON = timedelta(hours=12)
#: The rule of a step put off by its own window.
WINDOW = "step.window"

_SKIPPED = Kind.SKIPPED.value
_DEFERRED = Kind.DEFERRED.value
_BLOCKED = Kind.BLOCKED.value


def blocked(
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
    return wait(case, now + PERSON, reason, Outcome.BLOCKED)._replace(
        runs=(RunRecord(step, at, _BLOCKED, why, rule, tell=is_news(case, step, _BLOCKED, rule)),),
        tasks=(task,),
    )


def task_key(case_id: int, step_id: int, round_: int) -> str:
    """Key of the task that asks a person to step in for a step that could not be taken."""
    return f"step:{case_id}:{step_id}:{round_}"


def deferred(case: CaseSnapshot, step: StepSpec, at: datetime, hold: Hold) -> Decision:
    """The step due since `at` waits; the log is told once per reason."""
    words = _("“%(step)s” waits: %(why)s") % {"step": step.name, "why": hold.why or hold.rule}
    known = case.runs.get(step.id)
    if hold.rule == WINDOW and known is not None and known.decision == _BLOCKED:
        # Still forbidden, as far as anybody knows, and the window closes every evening: the log would say both in
        # turn, and a person's answer to the one be forgotten over the other.
        return wait(case, hold.until, words, Outcome.DEFERRED)
    run = RunRecord(step, at, _DEFERRED, hold.why, hold.rule, tell=is_news(case, step, _DEFERRED, hold.rule))
    return wait(case, hold.until, words, Outcome.DEFERRED)._replace(runs=(run,))


def is_news(case: CaseSnapshot, step: StepSpec, decision: str, rule: str) -> bool:
    """False where the log already says this of the step."""
    run = case.runs.get(step.id)
    return run is None or (run.decision, run.rule) != (decision, rule)


def wait(case: CaseSnapshot, until: datetime | None, why: str, outcome: Outcome) -> Decision:
    """Nothing changes; it is looked at again at `until`."""
    return Decision(
        case_id=case.case_id,
        outcome=outcome,
        position=case.position,
        anchor_at=case.anchor_at,
        state=case.state,
        next_action_at=until,
        next_action_reason=why,
    )


def end(case: CaseSnapshot) -> Decision:
    """The ladder is over and the debt is open: its end actions, and what becomes of the case."""
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
    return wait(case, None, "", Outcome.ENDED)._replace(state=state, start=start, tasks=tasks, end_actions=actions)
