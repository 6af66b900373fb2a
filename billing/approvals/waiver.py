"""Owns the waiving of a late fee or of interest as an act that may need a second person."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from billing.approvals.acts import Act, act_register
from billing.approvals.services import Outcome, Proposal, act_or_request
from billing.fees import fee_close
from billing.models import Adjustment, Fee
from billing.money import display
from customers.errors import SollecitoError
from customers.models import Customer, Interaction

PERMISSION = "billing.change_fee"


def fee_waive(*, fee_id: int, reason: str, actor_id: int, now: datetime) -> Outcome:
    """Waives an owed fee, at once or by way of a request; `now` is aware UTC.

    Raises SollecitoError where no such fee is owed, as billing.fees.fee_close does, or where the same waits for
    approval already.
    """
    fee = Fee.objects.filter(pk=fee_id, status=Fee.Status.OPEN).first()
    if fee is None:
        raise SollecitoError(_("There is no such fee."), code="fee_missing")
    told = {"kind": fee.get_kind_display(), "amount": display(fee.amount, fee.currency)}
    proposal = Proposal(
        act=Adjustment.Kind.WAIVER.value,
        amounts={fee.currency: fee.amount},
        summary=_("Waive %(kind)s of %(amount)s") % told,
        reason=reason,
        key=f"waiver:{fee.pk}",
        customer_ids=[fee.customer_id],
        payload={"fee_id": fee.pk, "reason": reason},
        invoice_id=fee.invoice_id,
    )
    return act_or_request(proposal=proposal, actor_id=actor_id, now=now)


def _waive(payload: Mapping[str, Any], amounts: Mapping[str, int], actor_id: int, now: datetime) -> str:
    fee_id = int(payload["fee_id"])
    # The owner's row first (billing.locks): interest cannot grow between the look and the deed.
    owner = Fee.objects.filter(pk=fee_id).values("customer_id")
    list(Customer.objects.filter(pk__in=owner).select_for_update(no_key=True).values_list("pk"))
    fee = Fee.objects.filter(pk=fee_id).first()
    if fee is not None and fee.amount > amounts.get(fee.currency, 0):
        words = _("Meanwhile %(owed)s is owed, more than what was approved.")
        raise SollecitoError(words % {"owed": display(fee.amount, fee.currency)}, code="approval_exceeded")
    fee = fee_close(fee_id=fee_id, paid=False, reason=str(payload["reason"]), actor_id=actor_id, now=now)
    return _("%(amount)s waived.") % {"amount": display(fee.amount, fee.currency)}


def _waived(actor_id: int, customer_ids: Collection[int], currency: str, since: datetime) -> int:
    """Minor units of `currency` this person waived of these customers' fees, as the log tells."""
    lines = Interaction.objects.filter(
        kind="fee.waived", actor_id=actor_id, at__gt=since, customer_id__in=list(customer_ids), data__currency=currency
    )
    return sum(int(data["amount"]) for data in lines.values_list("data", flat=True))


WAIVER = act_register(
    Act(Adjustment.Kind.WAIVER.value, Adjustment.Kind.WAIVER.label, PERMISSION, run=_waive, spent=_waived)
)
