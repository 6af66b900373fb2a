"""Owns the facts of charge.dispute.*: a payment the customer's bank takes back."""

from django.utils.translation import gettext as _

from billing.fees.reopening import fees_reopen
from billing.gateways import JSON
from billing.ingest.facts.charges import write_charge
from billing.ingest.facts.customers import lock_owner
from billing.ingest.facts.unit import Unit, moment, ref, write
from billing.models import Allocation, Dispute, Payment
from billing.money import display

_CLOSED = {
    "won": Dispute.Status.WON,
    "lost": Dispute.Status.LOST,
    "warning_closed": Dispute.Status.WITHDRAWN,
    "prevented": Dispute.Status.WITHDRAWN,
}


def write_dispute(unit: Unit, obj: JSON, *, closing: bool = False) -> None:
    """Applies a dispute; a closed one stays closed. One about a charge that paid no invoice is only logged.

    `closing`: told by the event that closes it, which alone dates the line of the log.
    """
    charge_id = ref(obj.get("charge")) or ""
    payment = Payment.objects.select_related("customer").filter(source=unit.source, external_id=charge_id).first()
    if payment is None:
        charge = unit.read("charge", charge_id)
        if charge is None or not ref(charge.get("customer")):
            return
        write_charge(unit, charge)
        payment = Payment.objects.select_related("customer").filter(source=unit.source, external_id=charge_id).first()
        if payment is None:
            return
    customer = lock_owner(unit, payment.customer)
    opened = moment(obj["created"]) or unit.stamp
    status = _CLOSED.get(obj["status"], Dispute.Status.OPEN)
    allocation = Allocation.objects.filter(payment=payment).order_by("id").first()
    subject = ""
    if allocation is not None:
        subject = f"invoice:{allocation.invoice_id}"
        row, _made = Dispute.objects.get_or_create(
            source=unit.source,
            external_id=obj["id"],
            defaults={
                "invoice_id": allocation.invoice_id,
                "amount": obj["amount"],
                "currency": obj["currency"].upper(),
                "reason": (obj.get("reason") or "")[:100],
                "opened_at": opened,
            },
        )
        if status != Dispute.Status.OPEN and row.status == Dispute.Status.OPEN:
            write(row, {"status": status, "closed_at": unit.stamp})
        elif status != Dispute.Status.OPEN and row.closed_at is not None and unit.stamp < row.closed_at:
            write(row, {"closed_at": unit.stamp})
        unit.touched.add(allocation.invoice_id)
        unit.reassess.add(customer.pk)
    elif status == Dispute.Status.LOST:
        fees_reopen(source=unit.source, charge_id=charge_id, why="Taken back by the bank", now=unit.now)
    amount = display(obj["amount"], obj["currency"])
    unit.log(
        customer.pk,
        "dispute.opened",
        _("Payment of {amount} disputed: {reason}.").format(amount=amount, reason=obj.get("reason") or "?"),
        at=opened,
        key=f"{obj['id']}:opened",
        subject=subject,
    )
    if closing:
        unit.log(
            customer.pk,
            "dispute.closed",
            _("Dispute over {amount}: {status}.").format(amount=amount, status=status.label),
            at=unit.stamp,
            key=f"{obj['id']}:closed",
            outcome=str(status),
            subject=subject,
        )
