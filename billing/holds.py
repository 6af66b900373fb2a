"""Staff's say over automatic retries of an invoice: no charge before a day they name."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from billing.locks import lock_invoice
from billing.models import InvoiceStatus, RetryState
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
