"""Owns what counts as paid on a promise or a plan: one sum, for whoever asks."""

from collections.abc import Collection

from django.db import connection

# What has come in since a promise or plan `p` was made, in its currency. Money that went to another brand's invoices
# keeps nobody's word to this one, nor does money for others than the invoices `n.named`, where there are any.
PAID_SINCE = """
           (SELECT COALESCE(SUM(GREATEST(y.amount - y.refunded - COALESCE(o.elsewhere, 0), 0)), 0)
              FROM billing_payment y
              LEFT JOIN LATERAL (
                   SELECT SUM(a.amount) AS elsewhere
                     FROM billing_allocation a JOIN billing_invoice i ON i.id = a.invoice_id
                    WHERE a.payment_id = y.id AND (i.brand_id <> p.brand_id OR i.id <> ALL(n.named))
              ) o ON true
             WHERE y.customer_id = p.customer_id AND y.currency = p.currency AND y.received_at >= p.created_at)
"""
_PLANS = f"""
    SELECT p.id, {PAID_SINCE}
      FROM billing_paymentplan p
     CROSS JOIN LATERAL (
           SELECT array_agg(m.invoice_id) AS named FROM billing_paymentplan_invoices m WHERE m.paymentplan_id = p.id
     ) n
     WHERE p.id = ANY(%s)
"""


def plans_paid(plan_ids: Collection[int]) -> dict[int, int]:
    """By plan, what has come in for its invoices since it was made, in minor units. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_PLANS, [list(plan_ids)])
        return {pk: int(paid) for pk, paid in cursor.fetchall()}
