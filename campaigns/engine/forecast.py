"""What a case will do if nothing else happens: the same `decide`, played forward on a calendar. Pure."""

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from campaigns.engine.calendar import in_words
from campaigns.engine.decide import decide
from campaigns.engine.types import CaseSnapshot, Decision, ForecastStep, InvoiceFact, Outcome, RunFact
from campaigns.guard.types import Contacted
from campaigns.guard.zones import zone
from campaigns.models.case import CaseState
from campaigns.models.ladder import Action
from campaigns.models.message import MessageStatus

#: More looks than any ladder needs; a bound, so that no rule can make a page wait for ever.
MOST_LOOKS = 200


def forecast(case: CaseSnapshot, now: datetime, horizon: timedelta = timedelta(days=90)) -> list[ForecastStep]:
    """The acts of the case from `now` (aware UTC) within `horizon`, each with what moved it.

    Assumes that messages arrive, that retries fail when their moment has come, and that nobody pays. A case that
    rests without a date has none.
    """
    found: list[ForecastStep] = []
    moved: dict[int, list[str]] = {}
    at, until = now, now + horizon
    for _look in range(MOST_LOOKS):
        case = case._replace(invoices=tuple(_tried(invoice, at) for invoice in case.invoices))
        decision = decide(case, at)
        found += _told(case, decision, at, moved)
        case = _after(case, decision, at)
        if decision.next_action_at is None or case.state not in (CaseState.OPEN, CaseState.PAUSED):
            break
        if decision.outcome is Outcome.BLOCKED or decision.tasks:
            break  # it stays until a person has acted
        if decision.next_action_at > until:
            break
        at = max(decision.next_action_at, at)
    return found


def _tried(invoice: InvoiceFact, at: datetime) -> InvoiceFact:
    """The invoice once the retry known of has been made: nothing more is known of it."""
    over = invoice.retry_at is not None and invoice.retry_at < at
    return invoice._replace(
        retry_at=None if over else invoice.retry_at,
        retry_in_flight=False,
        retry_unplanned=False,
    )


def _told(case: CaseSnapshot, decision: Decision, at: datetime, moved: dict[int, list[str]]) -> list[ForecastStep]:
    tz = zone(case.zone)
    found = []
    for run in decision.runs:
        if run.decision == "deferred":
            reasons = moved.setdefault(run.step.id, [])
            if run.reason not in reasons:
                reasons.append(run.reason)
            continue
        acts = decision.act is not None and decision.act.id == run.step.id
        found.append(
            ForecastStep(
                at=at,
                local=in_words(at, tz),
                kind="acts" if acts else run.decision,
                step_key=run.step.key,
                name=run.step.name,
                action=run.step.action,
                channel=run.step.channel,
                reason=" ".join((*moved.get(run.step.id, ()), *((run.reason,) if run.reason else ()))),
                scheduled_for=run.scheduled_for,
            )
        )
    if decision.outcome is Outcome.ENDED:
        reason = ", ".join(decision.end_actions)
        found.append(
            ForecastStep(at, in_words(at, tz), "ends", "", _("The ladder ends; the case is lost."), "", "", reason)
        )
    return found


def _after(case: CaseSnapshot, decision: Decision, at: datetime) -> CaseSnapshot:
    """The case as it stands once the decision is carried out and its message has left."""
    runs = dict(case.runs)
    for run in decision.runs:
        acts = decision.act is not None and decision.act.id == run.step.id and run.step.action == Action.MESSAGE
        runs[run.step.id] = RunFact(
            run.step.id,
            run.decision,
            at,
            run.rule,
            message_status=MessageStatus.SENT.value if acts else "",
        )
    guard = case.guard._replace(case_state=decision.state)
    if decision.act is not None and decision.act.action == Action.MESSAGE:
        guard = guard._replace(contacts=(Contacted(decision.act.channel, at), *guard.contacts))
    return case._replace(
        state=decision.state,
        anchor_at=decision.anchor_at,
        position=decision.position,
        runs=runs,
        last_decided_at=at if decision.runs else case.last_decided_at,
        rests_until=None if decision.woken else case.rests_until,
        guard=guard,
    )
