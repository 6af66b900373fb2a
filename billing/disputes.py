"""Disputes noted by staff: opened, handed to somebody, upheld or granted. A bank's own come by ingest."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from billing.gateways import is_chargeable
from billing.locks import lock_invoice
from billing.models import Dispute, Invoice, InvoiceStatus, RetryState
from billing.money import display
from billing.retries.services import retries_resume
from billing.settling import planned_cancel
from billing.signals import announce_facts_changed
from customers.errors import SollecitoError, check_transition
from customers.log import Entry, record
from customers.models import ActorKind
from customers.services import customers_reassess

#: Source of disputes that were noted here.
OWN = "manual"
_TRANSITIONS = {str(source): frozenset(map(str, targets)) for source, targets in Dispute.TRANSITIONS.items()}


@transaction.atomic
def dispute_open(
    *,
    invoice_id: int,
    reason: str,
    now: datetime,
    amount: int | None = None,
    note: str = "",
    owner_id: int | None = None,
    actor_id: int | None = None,
) -> Dispute:
    """Notes that the customer contests an open invoice, or `amount` of it (minor units); nothing presses for that
    invoice until the dispute is answered, and nothing charges it.

    `owner_id` is who looks into it; without `actor_id` the customer said so in the portal. Raises SollecitoError
    without a reason, for an invoice that is not open, an amount that is not positive or more than is owed, and while
    another dispute of the invoice is open.
    """
    if not reason.strip():
        raise SollecitoError(_("Say what is disputed, and why."), code="reason_missing")
    invoice = lock_invoice(invoice_id)
    if invoice is None or invoice.status != InvoiceStatus.OPEN:
        raise SollecitoError(_("Only an open invoice is disputed."), code="not_open")
    contested = invoice.balance if amount is None else amount
    if not 0 < contested <= invoice.balance:
        owed = display(invoice.balance, invoice.currency)
        raise SollecitoError(
            _("The disputed amount is between nothing and the %(owed)s owed.") % {"owed": owed}, code="dispute_amount"
        )
    if invoice.disputes.filter(status=Dispute.Status.OPEN).exists():
        raise SollecitoError(_("This invoice is disputed already."), code="dispute_open")
    dispute = Dispute.objects.create(
        source=OWN,
        invoice=invoice,
        amount=contested,
        currency=invoice.currency,
        reason=reason.strip()[:100],
        note=note.strip(),
        owner_id=owner_id,
        actor_id=actor_id,
        opened_at=now,
    )
    invoice.disputed_at = now
    changed = ["disputed_at", "updated_at"]
    if invoice.retry_state in (RetryState.PLANNED, RetryState.NEEDS_PLAN):
        why = _("The customer disputes this invoice.")
        planned_cancel(invoice_id=invoice.pk, reason=why, now=now)
        invoice.retry_state, invoice.retry_reason = RetryState.STOPPED, why
        changed += ["retry_state", "retry_reason"]
    invoice.save(update_fields=changed)
    words = _("%(amount)s of %(invoice)s disputed: %(reason)s.")
    _tell(dispute, invoice, now, "dispute.opened", words, actor_id, note)
    return dispute


@transaction.atomic
def dispute_answer(*, dispute_id: int, status: str, answer: str, actor_id: int, now: datetime) -> Dispute:
    """Ends a dispute no processor keeps: WON (the invoice stands), LOST (the customer was right) or WITHDRAWN by them.

    The invoice is pressed for again, and charged, where no other dispute of it is open; what is given in return is
    `billing.credits.invoice_credit`'s. Raises SollecitoError without an answer in words, for a bank's dispute (its
    processor ends that), IllegalTransition if it has ended.
    """
    if not answer.strip():
        raise SollecitoError(_("Say what the customer is answered."), code="answer_missing")
    invoice_id = Dispute.objects.filter(pk=dispute_id).values_list("invoice_id", flat=True).first()
    invoice = lock_invoice(invoice_id) if invoice_id is not None else None
    if invoice is None:
        raise SollecitoError(_("There is no such dispute."), code="dispute_missing")
    dispute = Dispute.objects.select_for_update().get(pk=dispute_id)
    if is_chargeable(dispute.source):
        raise SollecitoError(_("A dispute with the bank is answered at the processor."), code="dispute_of_bank")
    if status == dispute.status:
        raise SollecitoError(_("This dispute has been answered already."), code="dispute_ended")
    check_transition(_TRANSITIONS, what="Dispute", source=dispute.status, target=status)
    dispute.status, dispute.closed_at, dispute.resolution = status, now, answer.strip()[:500]
    dispute.save(update_fields=["status", "closed_at", "resolution"])
    others = invoice.disputes.filter(status=Dispute.Status.OPEN).order_by("opened_at").first()
    Invoice.objects.filter(pk=invoice.pk).update(disputed_at=others.opened_at if others else None)
    if others is None:
        retries_resume(invoice_ids=[invoice.pk], now=now)
    words = _("Dispute over %(amount)s of %(invoice)s ended: %(status)s.")
    _tell(dispute, invoice, now, "dispute.closed", words, actor_id, answer)
    return dispute


@transaction.atomic
def dispute_assign(*, dispute_id: int, owner_id: int | None, actor_id: int, now: datetime) -> None:
    """Gives an open dispute to whoever is to look into it. Raises SollecitoError if there is none."""
    dispute = Dispute.objects.select_for_update(of=("self",)).select_related("invoice").filter(pk=dispute_id).first()
    if dispute is None or dispute.status != Dispute.Status.OPEN:
        raise SollecitoError(_("There is no such open dispute."), code="dispute_missing")
    if dispute.owner_id == owner_id:
        return
    dispute.owner_id = owner_id
    dispute.save(update_fields=["owner"])
    words = _("Dispute over %(amount)s of %(invoice)s given to %(owner)s.")
    _tell(dispute, dispute.invoice, now, "dispute.assigned", words, actor_id, "")


def _tell(
    dispute: Dispute, invoice: Invoice, now: datetime, kind: str, words: str, actor_id: int | None, body: str
) -> None:
    values = {
        "amount": display(dispute.amount, dispute.currency),
        "invoice": invoice,
        "reason": dispute.reason,
        "status": dispute.get_status_display(),
        "owner": dispute.owner or _("nobody"),
    }
    customers_reassess([invoice.customer_id], now)
    announce_facts_changed([invoice.customer_id])
    record(
        Entry(
            customer_id=invoice.customer_id,
            at=now,
            kind=kind,
            summary=words % values,
            body=body.strip(),
            actor_kind=ActorKind.USER if actor_id else ActorKind.CUSTOMER,
            actor_id=actor_id,
            subject=f"invoice:{invoice.pk}",
            outcome=dispute.status,
            data={"dispute": dispute.pk, "amount": dispute.amount, "currency": dispute.currency},
        )
    )
