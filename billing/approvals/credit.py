"""Owns the credit of an invoice as an act that may need a second person."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from billing.approvals.acts import Act, act_register
from billing.approvals.services import Outcome, Proposal, act_or_request
from billing.credits import invoice_credit
from billing.models import Adjustment, Invoice
from billing.money import display
from customers.errors import SollecitoError

PERMISSION = "billing.add_adjustment"


def credit_request(*, invoice_id: int, amount: int, reason: str, actor_id: int, now: datetime) -> Outcome:
    """Credits `amount` (minor units) of an open invoice, at once or by way of a request; `now` is aware UTC.

    Raises SollecitoError as billing.credits.invoice_credit does, or where the same waits for approval already.
    """
    invoice = Invoice.objects.filter(pk=invoice_id).first()
    if invoice is None:
        raise SollecitoError(_("There is no such invoice."), code="not_open")
    told = display(amount, invoice.currency)
    proposal = Proposal(
        act=Adjustment.Kind.CREDIT.value,
        amounts={invoice.currency: amount},
        summary=_("Credit %(amount)s of %(invoice)s") % {"amount": told, "invoice": invoice},
        reason=reason,
        key=f"credit:{invoice.pk}",
        customer_ids=[invoice.customer_id],
        payload={"invoice_id": invoice.pk, "amount": amount, "reason": reason},
        invoice_id=invoice.pk,
    )
    return act_or_request(proposal=proposal, actor_id=actor_id, now=now)


def _credit(payload: Mapping[str, Any], amounts: Mapping[str, int], actor_id: int, now: datetime) -> str:
    amount = int(payload["amount"])
    adjustment = invoice_credit(
        invoice_id=int(payload["invoice_id"]),
        amount=amount,
        reason=str(payload["reason"]),
        actor_id=actor_id,
        now=now,
    )
    invoice = adjustment.invoice
    return _("%(amount)s of %(invoice)s credited.") % {
        "amount": display(amount, invoice.currency),
        "invoice": invoice,
    }


CREDIT = act_register(Act.adjusting(Adjustment.Kind.CREDIT, permission=PERMISSION, run=_credit))
