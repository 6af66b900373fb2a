"""Owns the order in which rows are locked: customer, then invoice, then its attempts and payments.

Two workers that lock the same rows in different order wait for each other for ever. The customer comes first
because every line of its log and every re-assessment touches its row.
"""

from billing.models import Invoice
from customers.models import Customer
from customers.rows import row


def lock_invoice(invoice_id: int, *, skip_locked: bool = False) -> Invoice | None:
    """Locks an invoice after its customer, until the transaction ends; both come fresh from the database.

    None when the invoice does not exist or, with `skip_locked`, when somebody else holds either row.
    """
    lock = "FOR NO KEY UPDATE SKIP LOCKED" if skip_locked else "FOR NO KEY UPDATE"
    owner = row(Customer, f"id = (SELECT customer_id FROM billing_invoice WHERE id = %s) {lock}", [invoice_id])
    if owner is None:
        return None
    invoice = row(Invoice, f"id = %s {lock}", [invoice_id])
    if invoice is not None and invoice.customer_id != owner.pk:
        # Merged while we waited for the duplicate's row.
        owner = row(Customer, f"id = %s {lock}", [invoice.customer_id])
        if owner is None:
            return None
    if invoice is not None:
        invoice.customer = owner
    return invoice
