"""Owns what becomes of cases when customers are merged: never two live ones for a brand."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from campaigns.models import (
    Case,
    CaseInvoice,
    CaseState,
    CloseReason,
    ExperimentExposure,
    LadderOverride,
    Message,
    MessageStatus,
    Task,
)
from campaigns.models.case import LIVE_STATES
from campaigns.signals import announce_closed
from customers.log import Entry, record
from customers.merging import MergePart, Pair, merge_part
from customers.models import ActorKind, Customer

#: Of two live cases the one that presses less stands; the other's invoices join it.
_REST = (
    CaseState.OPEN, CaseState.DISPUTED, CaseState.PROMISED, CaseState.PAUSED, CaseState.IN_PLAN, CaseState.AGENCY,
)  # fmt: skip


def _objections(kept: Customer, merged: Customer) -> Sequence[str]:
    both = (kept, merged)
    found = []
    if Message.objects.filter(customer__in=both, status=MessageStatus.SENDING).exists():
        found.append(_("A message is just being sent: try again in a minute."))
    if Case.objects.filter(customer__in=both, state=CaseState.AGENCY).count() > 1:
        found.append(_("Both are with an agency: recall one of the cases first."))
    return found


def _before(pair: Pair) -> None:
    _one_case(pair)
    # Whoever met the same experiment twice is counted once, by the first meeting.
    mine = {row.experiment_id: row for row in ExperimentExposure.objects.filter(customer=pair.kept)}
    for theirs in ExperimentExposure.objects.filter(customer=pair.merged, experiment__in=mine):
        max(theirs, mine[theirs.experiment_id], key=lambda row: (row.at, row.pk)).delete()
    own = LadderOverride.objects.filter(customer=pair.merged).first()
    if own is not None and LadderOverride.objects.filter(customer=pair.kept).exists():
        own.delete()  # by the row, so that the history has it


def _one_case(pair: Pair) -> None:
    live = Case.objects.filter(customer__in=(pair.kept, pair.merged), state__in=LIVE_STATES).select_for_update()
    by_brand: dict[int, list[Case]] = {}
    for case in live.order_by("pk"):
        by_brand.setdefault(case.brand_id, []).append(case)
    for cases in by_brand.values():
        if len(cases) > 1:
            stands = max(cases, key=lambda c: (_REST.index(CaseState(c.state)), c.customer_id == pair.kept.pk))
            for case in cases:
                if case is not stands:
                    _fold(case, stands, pair)


def _fold(case: Case, into: Case, pair: Pair) -> None:
    """Ends a case whose invoices go on in another; what it had queued is withdrawn, its tasks go along."""
    CaseInvoice.objects.filter(case=case, left_at=None).update(case=into)
    case.state, case.close_reason, case.closed_at = CaseState.CANCELLED, CloseReason.VOIDED, pair.now
    case.next_action_at, case.next_action_reason = None, ""
    case.save(update_fields=["state", "close_reason", "closed_at", "next_action_at", "next_action_reason"])
    waiting = (MessageStatus.QUEUED, MessageStatus.TO_PRINT)
    Message.objects.filter(case=case, status__in=waiting).update(
        status=MessageStatus.CANCELLED, reason=_("Its case was merged into another."), rule="case.merged"
    )
    Task.objects.filter(case=case, status=Task.Status.OPEN).update(case=into)
    record(
        Entry(
            customer_id=case.customer_id,  # it moves with all lines
            at=pair.now,
            kind="case.cancelled",
            summary=_("Merged into case %(case)s with its customer.") % {"case": into},
            actor_kind=ActorKind.USER,
            actor_id=pair.actor_id,
            subject=f"case:{case.pk}",
        )
    )
    announce_closed(case_id=case.pk, customer_id=pair.kept.pk, state=case.state, reason=case.close_reason)


merge_part("campaigns", MergePart(objections=_objections, before=_before))
