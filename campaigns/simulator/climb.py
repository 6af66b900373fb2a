"""One look of the escalate loop at a case on the virtual calendar: the engine decides, the world follows. Pure."""

from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import gettext as _

from campaigns.engine import ladder as rungs
from campaigns.engine.decide import decide
from campaigns.engine.types import CaseSnapshot, Decision, LadderSpec, Outcome, RunFact, RunRecord, StepSpec
from campaigns.guard.types import Contacted
from campaigns.models.case import CaseState
from campaigns.models.ladder import Action
from campaigns.models.message import MessageStatus
from campaigns.models.task import Task
from campaigns.simulator.types import Bill, Kind
from campaigns.simulator.world import World
from customers.models import Channel

_CALL = Channel.CALL.value
_TASKS = frozenset({Action.CALL_TASK.value, Action.NOTIFY_STAFF.value})
_GIVEN_UP = frozenset({Action.MARK_UNCOLLECTIBLE.value, Action.WRITE_OFF.value})
_RUNS = {
    "deferred": Kind.DEFERRED,
    "blocked": Kind.BLOCKED,
    "skipped": Kind.SKIPPED,
    "superseded": Kind.SUPERSEDED,
}


def look(world: World, now: datetime) -> bool:
    """Decides about the case at `now` and carries it out; says whether facts have changed by that."""
    assert world.case is not None
    if world.case.ahead and world.case.anchor_at <= now:
        # The assessment closes it in the product as well; a card or a renewal is no bill it could see here.
        world.tell(Kind.CANCELLED, now, reason=_("Closed: the occasion has passed."))
        world.close()
        return True
    pressed = [world.ledger.bills[pk] for pk in sorted(world.members) if world.ledger.pressed(pk)]
    facts = tuple([world.ledger.fact(bill.id) for bill in pressed])
    case = world.case
    guard = case.guard._replace(
        case_state=case.state,
        promised=world.promise is not None,
        contacts=world.contacts,
        owes=bool(facts) or case.stands,
    )
    case = case._replace(invoices=facts, guard=guard)
    decision = decide(case, now)
    if decision.woken:
        world.tell(Kind.WOKEN, now)
    for run in decision.runs:
        _record(world, decision, run, pressed, now)
    if decision.again and decision.act is not None:
        why = _("It did not arrive and goes another way.")
        _record(world, decision, RunRecord(decision.act, now, "", why), pressed, now)
    for task in decision.tasks:
        if decision.outcome is not Outcome.BLOCKED and task.key not in world.asked:
            world.asked.add(task.key)
            world.tell(Kind.TASK, now, name=task.title)
    return _settle(world, case, decision, now)


def _acts(decision: Decision, step: StepSpec) -> bool:
    return decision.act is not None and decision.act.id == step.id


def _record(world: World, decision: Decision, run: RunRecord, pressed: Sequence[Bill], now: datetime) -> None:
    acts = _acts(decision, run.step)
    if not acts and not run.tell:
        return
    kind, channel = _RUNS.get(run.decision, Kind.SKIPPED), run.step.channel
    if acts:
        kind, channel = _deed(run.step, decision.channel), decision.channel
    world.tell(
        kind,
        now,
        step=run.step.key,
        name=run.step.name,
        channel=channel,
        rule=run.rule,
        reason=run.reason,
        until=decision.next_action_at if kind is Kind.DEFERRED else None,
        scheduled_for=run.scheduled_for,
        cost=world.costs.of(channel) if kind is Kind.SENT else 0,
        invoices=tuple([bill.id for bill in pressed]),
        days=world.days(pressed, now),
        template_id=run.step.template_id,
    )
    if kind is Kind.SENT:
        world.contacts = (Contacted(channel, now), *world.contacts)


def _deed(step: StepSpec, channel: str) -> Kind:
    if step.action == Action.MESSAGE:
        return Kind.TASK if channel == _CALL else Kind.SENT
    return Kind.TASK if step.action in _TASKS else Kind.ACTED


def _settle(world: World, case: CaseSnapshot, decision: Decision, now: datetime) -> bool:
    """The case once the decision is carried out and its message has arrived."""
    runs = dict(case.runs)
    for run in decision.runs:
        fact = RunFact(run.step.id, run.decision, now, run.rule)
        runs[run.step.id] = _heard(fact, run.step, decision.channel) if _acts(decision, run.step) else fact
    if decision.again and decision.act is not None:
        runs[decision.act.id] = _heard(runs[decision.act.id], decision.act, decision.channel)
    world.ledger.quiet(decision.quiet_invoices, now + decision.retry_quiet)
    world.case = case._replace(
        state=decision.state,
        anchor_at=decision.anchor_at,
        position=decision.position,
        runs=runs,
        last_decided_at=now if decision.runs else case.last_decided_at,
        rests_until=None if decision.woken else case.rests_until,
    )
    world.next_action_at = decision.next_action_at
    if decision.outcome is Outcome.RESTING and decision.state == CaseState.OPEN:
        # The loop looks again within minutes, until the assessment has come by. Here that is done at once, so nothing
        # changes before the next fact does.
        world.next_action_at = min((moment for moment in world.moments() if moment > now), default=None)
    if decision.outcome is Outcome.BLOCKED and decision.next_action_at is not None:
        world.next_action_at = _unblocked(world, world.case, decision.runs[-1].step, now, decision.next_action_at)
    changed = _effects(world, world.case, decision, now)
    if decision.outcome is Outcome.ENDED:
        world.tell(Kind.ENDED, now, reason=", ".join(decision.end_actions))
        if decision.state == CaseState.LOST and not decision.start:
            world.ledger.finished |= world.members
            world.close()
            return False
    if decision.start:
        _start(world, world.case, decision.start, now)
    return changed


def _heard(run: RunFact, step: StepSpec, channel: str) -> RunFact:
    """The run once its step was done: a message has arrived; a call in its place waits for a person who never comes,
    and the ladder with it."""
    if step.action != Action.MESSAGE:
        return run
    if channel == _CALL:
        return run._replace(task_status=Task.Status.OPEN.value)
    return run._replace(message_status=MessageStatus.SENT.value, channels=(*run.channels, channel))


def _effects(world: World, case: CaseSnapshot, decision: Decision, now: datetime) -> bool:
    """What actions that are no messages change in this world."""
    act = decision.act
    changed = False
    if act is not None and act.action == Action.RETRY_NOW:
        world.ledger.charge_now([invoice.id for invoice in case.invoices], now)
    if act is not None and act.action == Action.TAG:
        world.case = case._replace(tags=tuple(dict.fromkeys((*case.tags, str(act.params.get("tag", ""))))))
    if act is not None and act.action in _GIVEN_UP:
        world.ledger.give_up([invoice.id for invoice in case.invoices])
        changed = True
    return changed


def _start(world: World, case: CaseSnapshot, code: str, now: datetime) -> None:
    """The case goes over to another ladder; where that one is not at hand, it waits for a person."""
    spec: LadderSpec | None = world.ladders.get(code)
    world.tell(Kind.STARTED, now, name=code)
    if spec is None:
        world.next_action_at = None
        return
    world.case = case._replace(
        ladder=spec,
        round=case.round + 1,
        position=0,
        anchor_at=now,
        runs={},
        guard=case.guard._replace(min_gap_hours=spec.min_gap_hours),
    )
    world.next_action_at = now


def _unblocked(world: World, case: CaseSnapshot, step: StepSpec, now: datetime, again: datetime) -> datetime:
    """The first look that may find something else than a step that is not allowed.

    The loop asks every few hours whether a person has stepped in. Here none does, so the looks in between say the
    same again until another step falls due, except where a window or a retry has its say as well.
    """
    if step.window_days or step.window_from or step.window_to or step.business_days or world.ledger.retry_at:
        return again
    due, period = len(rungs.due(case, now, world.tz)), again - now
    while again < world.until and len(rungs.due(case, again, world.tz)) == due:
        again += period
    return again
