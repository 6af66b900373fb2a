"""What brought the money: the last touch before a recovered invoice was paid.

An invoice is recovered if it had failed, or had to be paid by the customer and was overdue, and was paid then.
By the first rule that fits:

1. The paying charge was started by the customer in the portal, or made on a new method after they had entered a
   card there since the invoice failed or fell due: portal. A new method that came another way (the processor's own
   pages, a bank that renewed a card) goes by the rules below.
2. It was started by staff: staff.
3. A message that asks for payment went out for a case of this invoice (sent or later, not bounced), after the
   invoice failed or fell due, before it was paid and at most 14 days before: e-mail.
4. A retry of ours or of the processor paid it and nobody had written: silent retry.
5. Otherwise (transfer, hosted page, by hand) unprompted.
"""

from collections.abc import Collection

from django.db import connection

#: A message older than this at the payment is not what brought it.
WINDOW_DAYS = 14

_ATTRIBUTE = """
    WITH touched AS (
        SELECT i.id, a.origin,
               EXISTS (
                   SELECT 1 FROM campaigns_caseinvoice ci
                     JOIN campaigns_message m ON m.case_id = ci.case_id
                    WHERE ci.invoice_id = i.id AND m.purpose = 'dunning'
                      AND m.status IN ('sent', 'delivered', 'opened', 'clicked', 'complained')
                      AND m.sent_at <= i.paid_at AND m.sent_at >= i.paid_at - make_interval(days => %s)
                      AND m.sent_at >= COALESCE(i.first_failed_at, i.due_at)
               ) AS written,
               EXISTS (
                   SELECT 1 FROM customers_interaction l
                    WHERE l.customer_id = i.customer_id AND l.kind = 'portal.card_updated'
                      AND l.at >= COALESCE(i.first_failed_at, i.due_at)
                      -- paid_at is the processor's clock, in whole seconds.
                      AND l.at <= i.paid_at + interval '2 minutes'
               ) AS card_entered
          FROM billing_invoice i
          LEFT JOIN LATERAL (
               SELECT origin FROM billing_paymentattempt
                WHERE invoice_id = i.id AND status = 'succeeded'
                ORDER BY at DESC NULLS LAST, id DESC LIMIT 1
          ) a ON true
         WHERE i.id = ANY(%s) AND i.status = 'paid' AND i.paid_at IS NOT NULL
           AND (i.first_failed_at IS NOT NULL OR (i.collection_method = 'manual' AND i.due_at < i.paid_at))
    )
    UPDATE billing_invoice i
       SET recovered_by = CASE
               WHEN t.origin = 'portal' OR (t.origin = 'new_method' AND t.card_entered) THEN 'portal'
               WHEN t.origin = 'staff' THEN 'staff'
               WHEN t.written THEN 'email'
               WHEN t.origin IN ('retry', 'processor') THEN 'silent_retry'
               ELSE 'unprompted'
           END
      FROM touched t
     WHERE i.id = t.id
"""


def attribute(invoice_ids: Collection[int]) -> int:
    """Writes Invoice.recovered_by of those that were recovered; returns how many. One statement; the caller
    holds the customers' locks (billing.locks)."""
    if not invoice_ids:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_ATTRIBUTE, [WINDOW_DAYS, sorted(invoice_ids)])
        return int(cursor.rowcount)
