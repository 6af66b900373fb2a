"""Owns the order in which rows are locked: customer, then invoice, then its attempts and payments.

Two workers that lock the same rows in different order wait for each other for ever. The customer comes first
because every line of its log and every re-assessment touches its row.
"""

from billing.models import Invoice
from customers.models import Customer


def lock_invoice(invoice_id: int, *, skip_locked: bool = False) -> Invoice | None:
    """Locks an invoice after its customer, until the transaction ends; both come fresh from the database.

    None when the invoice does not exist or, with `skip_locked`, when somebody else holds either row.
    """
    owner = (
        Customer.objects.select_related("brand")
        .filter(invoices=invoice_id)
        .select_for_update(of=("self",), no_key=True, skip_locked=skip_locked)
        .first()
    )
    if owner is None:
        return None
    invoice = (
        Invoice.objects.select_related(
            "subscription", "subscription__default_payment_method", "default_payment_method"
        )
        .filter(id=invoice_id)
        .select_for_update(of=("self",), no_key=True, skip_locked=skip_locked)
        .first()
    )
    if invoice is not None:
        invoice.customer = owner
    return invoice
