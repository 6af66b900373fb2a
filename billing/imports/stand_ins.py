"""Owns payments that were made up for invoices a file told paid: they give way when the file of payments comes."""

import json
from collections.abc import Sequence

from django.db import connection

from billing.imports.charge_batches import allocated_to
from billing.matching import ChargeFact
from billing.models import Invoice, Payment

_STAND_INS = """
    SELECT a.invoice_id, a.payment_id, a.amount
      FROM billing_allocation a JOIN billing_payment p ON p.id = a.payment_id
     WHERE a.invoice_id = ANY(%s) AND p.method = 'import' AND p.amount = p.allocated AND p.refunded = 0
     ORDER BY a.payment_id
       FOR NO KEY UPDATE OF p
"""
_SHRINK = """
    WITH less AS (SELECT * FROM jsonb_to_recordset(%s) AS l(payment bigint, invoice bigint, amount bigint)),
         gone AS (DELETE FROM billing_allocation a USING less l
                   WHERE a.payment_id = l.payment AND a.invoice_id = l.invoice AND a.amount = l.amount),
         left_over AS (UPDATE billing_allocation a SET amount = a.amount - l.amount FROM less l
                        WHERE a.payment_id = l.payment AND a.invoice_id = l.invoice AND a.amount > l.amount)
    UPDATE billing_payment p SET amount = p.amount - l.amount, allocated = p.allocated - l.amount FROM less l
     WHERE p.id = l.payment AND p.amount > l.amount
"""


def stand_ins_yield(charges: Sequence[tuple[Invoice, ChargeFact]]) -> None:
    """Makes room for charges on invoices a file told paid without saying by what: the payment that was made up for it
    gives way to the real one, so that no money is counted twice. The invoices are locked by the caller."""
    wanted: dict[int, int] = {}
    invoices = {}
    for invoice, fact in charges:
        if fact.succeeded:
            wanted[invoice.pk] = wanted.get(invoice.pk, 0) + fact.amount
            invoices[invoice.pk] = invoice
    with connection.cursor() as cursor:
        cursor.execute(_STAND_INS, [list(wanted)])
        found = cursor.fetchall()
    if not found:
        return
    allocated = allocated_to(list(wanted))
    less = []
    for invoice_id, payment_id, amount in found:
        invoice = invoices[invoice_id]
        room = invoice.amount_due - invoice.amount_credited - allocated[invoice_id]
        given = min(amount, max(0, wanted[invoice_id] - room))
        if given:
            wanted[invoice_id] -= given
            less.append({"payment": payment_id, "invoice": invoice_id, "amount": given})
    with connection.cursor() as cursor:
        cursor.execute(_SHRINK, [json.dumps(less)])
    Payment.objects.filter(pk__in=[one["payment"] for one in less], allocations__isnull=True).delete()
