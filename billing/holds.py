"""Staff's say over automatic retries of an invoice: no charge before a day they name, on a method they choose."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from billing.locks import lock_invoice
from billing.models import InvoiceStatus, PaymentMethod, RetryState
from billing.retries.eligibility import usable
from billing.settling import planned_cancel
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind
from customers.wake import wake


@transaction.atomic
def retries_hold(*, invoice_id: int, until: datetime | None, reason: str, actor_id: int, now: datetime) -> None:
    """Has no automatic charge of an open invoice made before `until` (aware UTC); None lifts the hold.

    What was planned is planned anew. A charge under way, and the customer's own in the portal, go on. Raises
    SollecitoError for an invoice that is not open, or a moment that is not after `now`.
    """
    if until is not None and until <= now:
        raise SollecitoError(_("A hold ends in the future."), code="hold_in_past")
    invoice = lock_invoice(invoice_id)
    if invoice is None or invoice.status != InvoiceStatus.OPEN:
        raise SollecitoError(_("Only an open invoice is retried."), code="not_collectible")
    invoice.retry_not_before = until
    changed = ["retry_not_before", "updated_at"]
    if invoice.retry_state == RetryState.PLANNED:
        planned_cancel(invoice_id=invoice.pk, reason=_("Planned anew after a hold was set or lifted."), now=now)
        invoice.retry_state = RetryState.NEEDS_PLAN
        changed.append("retry_state")
        wake("billing.tasks.plan_retries")
    invoice.save(update_fields=changed)
    if until is None:
        summary = _("Retries of %(invoice)s may go on.") % {"invoice": invoice}
    else:
        summary = _("No retry of %(invoice)s before %(day)s.") % {"invoice": invoice, "day": f"{until:%Y-%m-%d %H:%M}"}
    record(
        Entry(
            customer_id=invoice.customer_id,
            at=now,
            kind="retry.held" if until else "retry.released",
            summary=summary,
            body=reason.strip(),
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"invoice:{invoice.pk}",
        )
    )


@transaction.atomic
def retry_method_choose(*, invoice_id: int, payment_method_id: int | None, actor_id: int, now: datetime) -> None:
    """Has the retries of an open invoice use this stored method before all others; None goes back to the default.

    What was planned is planned anew, and what had stopped is asked again: a method not tried yet is charged at once.
    The card's limits and marks bind as before. Raises SollecitoError (`not_collectible`, `no_method`).
    """
    invoice = lock_invoice(invoice_id)
    if invoice is None or invoice.status != InvoiceStatus.OPEN:
        raise SollecitoError(_("Only an open invoice is retried."), code="not_collectible")
    method = None
    if payment_method_id is not None:
        stored = PaymentMethod.objects.filter(
            customer_id=invoice.customer_id, source=invoice.source, held_as=invoice.held_as
        )
        method = stored.filter(pk=payment_method_id).first()
        if method is None or not usable(method):
            raise SollecitoError(_("This payment method cannot be charged."), code="no_method")
    if invoice.retry_method_id == payment_method_id:
        return
    invoice.retry_method = method
    changed = ["retry_method", "updated_at"]
    if invoice.retry_state in (RetryState.PLANNED, RetryState.STOPPED):
        planned_cancel(invoice_id=invoice.pk, reason=_("Planned anew: another payment method was chosen."), now=now)
        invoice.retry_state, invoice.retry_reason = RetryState.NEEDS_PLAN, ""
        changed += ["retry_state", "retry_reason"]
        wake("billing.tasks.plan_retries")
    invoice.save(update_fields=changed)
    if method is not None:
        summary = _("Retries of %(invoice)s use %(method)s first.") % {"invoice": invoice, "method": method}
    else:
        summary = _("Retries of %(invoice)s use the default again.") % {"invoice": invoice}
    record(
        Entry(
            customer_id=invoice.customer_id,
            at=now,
            kind="retry.method_chosen",
            summary=summary,
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"invoice:{invoice.pk}",
        )
    )
