"""What people decide about a case: pause, go on, close; each a line in the customer's log."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.models import Case, CaseState, CloseReason, Message, MessagePurpose, MessageStatus, Step, StepRun, Task
from campaigns.models.case import TRANSITIONS, Decision
from campaigns.services.case_acts import case_do, pause_act, resume_act
from campaigns.signals import announce_closed
from customers.errors import SollecitoError, check_transition
from customers.log import Entry, record
from customers.models import ActorKind, Customer
from customers.services import customers_reassess


def _locked(case_id: int) -> Case:
    """The case, locked after its customer, as the assess loop does it."""
    customer_id = Case.objects.filter(pk=case_id).values_list("customer_id", flat=True).first()
    if customer_id is None:
        raise SollecitoError(_("There is no such case."), code="case_missing")
    Customer.objects.select_for_update(no_key=True).get(pk=customer_id)
    return Case.objects.select_for_update(no_key=True).get(pk=case_id)


def _tell(case: Case, now: datetime, kind: str, summary: str, actor_id: int, reason: str) -> None:
    record(
        Entry(
            customer_id=case.customer_id,
            at=now,
            kind=kind,
            summary=summary,
            body=reason.strip(),
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"case:{case.pk}",
        )
    )


def case_pause(*, case_id: int, until: datetime | None, reason: str, actor_id: int, now: datetime) -> None:
    """Lets a live case rest until `until` (aware UTC), or until somebody resumes it where that is None.

    What is in the outbox is stopped by the guard at the moment of sending. Raises SollecitoError if there is no
    such case or `until` is not after `now`, IllegalTransition if the case has ended.
    """
    case_do(case_id=case_id, act=pause_act(until=until, reason=reason, now=now), actor_id=actor_id, now=now)


def case_resume(*, case_id: int, actor_id: int, now: datetime) -> None:
    """Ends a rest: the case goes on with the step it stood before, due at once if its day has come.

    A promise, plan or dispute that still stands lets it rest again at the next assessment. Raises as case_pause.
    """
    if not Case.objects.filter(pk=case_id, state=CaseState.OPEN).exists():
        case_do(case_id=case_id, act=resume_act(), actor_id=actor_id, now=now)


@transaction.atomic
def case_skip_step(*, case_id: int, reason: str, actor_id: int, now: datetime) -> Step:
    """Passes over the step an open case stands before, as if it had been taken; the one after it keeps its day.

    Returns the step. Raises SollecitoError without a reason, if the case is not open, or where no step is left.
    """
    if not reason.strip():
        raise SollecitoError(_("Say why the step is skipped."), code="reason_missing")
    case = _locked(case_id)
    if case.state != CaseState.OPEN:
        raise SollecitoError(_("Only an open case takes steps."), code="case_not_open")
    ahead = Step.objects.filter(version_id=case.ladder_version_id, position__gt=case.position)
    step = ahead.order_by("position").first()
    if step is None:
        raise SollecitoError(_("The ladder has no further step."), code="no_step")
    StepRun.objects.update_or_create(
        case=case,
        step=step,
        round=case.round,
        defaults={
            "scheduled_for": case.next_action_at or now,
            "decided_at": now,
            "decision": Decision.SKIPPED,
            "reason": reason.strip()[:255],
            "rule": "staff.skipped",
        },
    )
    case.position = step.position
    case.next_action_at, case.next_action_reason = now, _("A step was skipped by staff.")
    case.save(update_fields=["position", "next_action_at", "next_action_reason"])
    _tell(case, now, "case.step_skipped", _("Skipped by staff: %(step)s.") % {"step": step.name}, actor_id, reason)
    return step


@transaction.atomic
def case_close(*, case_id: int, reason: str, actor_id: int, now: datetime) -> None:
    """Closes a live case without result; its invoices do not open another one.

    Withdraws what is queued and open tasks. Raises as case_pause, and SollecitoError without a reason.
    """
    if not reason.strip():
        raise SollecitoError(_("Say why the case is closed."), code="reason_missing")
    case = _locked(case_id)
    if case.state not in TRANSITIONS or not TRANSITIONS[case.state]:
        raise SollecitoError(_("The case has ended already."), code="case_closed")
    check_transition(TRANSITIONS, what="Case", source=case.state, target=CaseState.CANCELLED)
    case.state, case.close_reason, case.closed_at = CaseState.CANCELLED, CloseReason.STAFF, now
    case.next_action_at, case.next_action_reason = None, ""
    case.save(update_fields=["state", "close_reason", "closed_at", "next_action_at", "next_action_reason"])
    Message.objects.filter(case=case, status=MessageStatus.QUEUED, purpose=MessagePurpose.DUNNING).update(
        status=MessageStatus.CANCELLED, reason=_("The case is closed."), rule="case.closed"
    )
    Task.objects.filter(case=case, status=Task.Status.OPEN).update(status=Task.Status.CANCELLED, closed_at=now)
    # What was never in this case (it failed a second ago) may need one of its own.
    customers_reassess([case.customer_id], now)
    _tell(case, now, "case.cancelled", _("Closed by staff."), actor_id, reason)
    announce_closed(case_id=case.pk, customer_id=case.customer_id, state=case.state, reason=case.close_reason)
