"""The ladder of one customer's own: set and taken away by managers, each a line in the customer's log."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.models import Ladder, LadderOverride, VersionStatus
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Customer
from customers.services import customers_reassess
from customers.wake import wake


def ladder_in_use(ladder: Ladder) -> bool:
    """Whether cases may be opened on it: active, and published. One query."""
    return ladder.active and ladder.versions.filter(status=VersionStatus.PUBLISHED).exists()


@transaction.atomic
def ladder_override_set(*, customer_id: int, ladder_id: int, actor_id: int, now: datetime, reason: str) -> bool:
    """Has a customer's next cases follow this ladder, whatever audiences and priorities say, since `now` (aware UTC).

    A live case keeps its own. Replaces what was set before; returns False if nothing changes. Raises SollecitoError
    without a reason, if there is no such customer, or if the ladder is not in use.
    """
    reason = _given(reason)
    _lock(customer_id)
    ladder = Ladder.objects.filter(pk=ladder_id).first()
    if ladder is None or not ladder_in_use(ladder):
        raise SollecitoError(_("Only an active, published ladder can be followed."), code="ladder_unused")
    before = LadderOverride.objects.filter(customer_id=customer_id).select_related("ladder").first()
    if before is not None and (before.ladder_id, before.reason) == (ladder_id, reason):
        return False
    row = before or LadderOverride(customer_id=customer_id)
    data = {"ladder": ladder.code} | ({"before": before.ladder.code} if before else {})
    row.ladder, row.reason, row.actor_id, row.at = ladder, reason, actor_id, now
    row.save()
    summary = _("Own ladder: %(ladder)s.") % {"ladder": ladder}
    _tell(customer_id, "customer.ladder_set", summary, data, actor_id, now, reason)
    return True


@transaction.atomic
def ladder_override_clear(*, customer_id: int, actor_id: int, now: datetime, reason: str) -> None:
    """Has audiences and priorities choose the customer's next ladder again, from `now` (aware UTC) on.

    Raises SollecitoError without a reason, if there is no such customer, or if they have no ladder of their own.
    """
    reason = _given(reason)
    _lock(customer_id)
    row = LadderOverride.objects.filter(customer_id=customer_id).select_related("ladder").first()
    if row is None:
        raise SollecitoError(_("The customer has no ladder of their own."), code="override_missing")
    data = {"before": row.ladder.code}
    summary = _("No ladder of their own any more (was: %(ladder)s).") % {"ladder": row.ladder}
    row.delete()
    _tell(customer_id, "customer.ladder_cleared", summary, data, actor_id, now, reason)


def _given(reason: str) -> str:
    reason = reason.strip()[:255]
    if not reason:
        raise SollecitoError(_("Say why."), code="reason_missing")
    return reason


def _lock(customer_id: int) -> None:
    """Locks the customer, as the assess loop does: two managers at once, or the loop, follow one another."""
    if not Customer.objects.select_for_update(no_key=True).filter(pk=customer_id).exists():
        raise SollecitoError(_("There is no such customer."), code="customer_missing")


def _tell(
    customer_id: int, kind: str, summary: str, data: dict[str, str], actor_id: int, now: datetime, reason: str
) -> None:
    """Logs it, and has the customer looked at: what waits without a case may have a ladder now."""
    customers_reassess([customer_id], now)
    record(
        Entry(
            customer_id=customer_id,
            at=now,
            kind=kind,
            summary=summary,
            body=reason,
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            data=data,
        )
    )
    wake("campaigns.tasks.assess_customers")
