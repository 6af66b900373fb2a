"""Owns reading invoices and incidents as the learner wants them; what is void or a draft was never owed."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from billing import money
from billing.behaviour import GRACE_DAYS
from customers.errors import SollecitoError
from insights.risk.history import Bill, Incident

_DAY = 86_400.0
#: An automatic invoice is due when it is issued, and late only after a charge failed.
_BILLS = """
    SELECT i.id, i.customer_id, COALESCE(i.issued_at, i.created_at), i.collection_method, i.due_at, i.first_failed_at,
           CASE WHEN i.status = 'paid' THEN i.paid_at END, i.amount_due, i.currency,
           (SELECT min(d.opened_at) FROM billing_dispute d WHERE d.invoice_id = i.id)
      FROM billing_invoice i
     WHERE i.amount_due > 0 AND (i.status IN ('open', 'uncollectible') OR i.status = 'paid' AND i.paid_at IS NOT NULL)
       AND i.customer_id NOT IN (SELECT id FROM customers_customer WHERE source = 'practice')
"""
_OF = " AND i.customer_id = ANY(%s)"
_NEWEST = " ORDER BY i.id DESC LIMIT %s"
_INCIDENTS = """
    SELECT p.customer_id, COALESCE(p.closed_at, p.expires_at), 'broken' FROM billing_promise p
     WHERE p.status = 'broken' AND p.customer_id = ANY(%(ids)s)
    UNION ALL
    SELECT i.customer_id, a.at, CASE a.status WHEN 'declined' THEN 'declined' ELSE 'charged' END
      FROM billing_paymentattempt a JOIN billing_invoice i ON i.id = a.invoice_id
     WHERE a.status IN ('succeeded', 'declined') AND a.at IS NOT NULL AND i.customer_id = ANY(%(ids)s)
"""


def days(moment: datetime) -> float:
    """Days since 1970 of an aware moment."""
    return moment.timestamp() / _DAY


def moment_of(at: float) -> datetime:
    """The moment, aware UTC, of days since 1970."""
    return datetime.fromtimestamp(at * _DAY, tz=UTC)


def bills_of(customer_ids: Collection[int]) -> list[Bill]:
    """All that these customers were ever billed. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_BILLS + _OF, [list(customer_ids)])
        return [bill for row in cursor.fetchall() if (bill := _bill(row)) is not None]


def newest_bills(most: int) -> Iterator[Bill]:
    """The newest invoices, `most` at most, streamed."""
    # A named cursor lives in a transaction; fetchall would hold every row twice.
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(_BILLS + _NEWEST, [most])
        while rows := cursor.fetchmany(5000):
            yield from (bill for row in rows if (bill := _bill(row)) is not None)


def incidents_of(customer_ids: Collection[int]) -> list[Incident]:
    """Broken promises and charges of these customers. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_INCIDENTS, {"ids": list(customer_ids)})
        return [Incident(payer, days(at), what) for payer, at, what in cursor.fetchall()]


def _bill(row: tuple[Any, ...]) -> Bill | None:
    key, payer, issued_at, method, due_at, failed_at, paid_at, amount, currency, disputed_at = row
    issued = days(issued_at)
    missed = due_at if method == "manual" else failed_at
    try:
        major = float(money.to_major(amount, currency))
    except SollecitoError:
        return None  # a currency nobody knows: its size says nothing
    return Bill(
        key=key,
        payer=payer,
        issued=issued,
        due=days(due_at) if method == "manual" and due_at else issued,
        late_at=days(missed) + GRACE_DAYS if missed else float("inf"),
        paid=days(paid_at) if paid_at else None,
        amount=major,
        currency=currency,
        disputed=days(disputed_at) if disputed_at else None,
    )
