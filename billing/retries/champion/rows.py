"""Reads the installation's own charges as the history rows that strategies learn from, one streaming query each."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from billing.retries.loading import local_zone

#: Of one customer, newest first: what a strategy is told besides what it was fitted on.
LATELY = 64

_COLUMNS = (
    "invoice_id", "customer_id", "country", "timezone", "brand", "funding", "issuer", "amount", "currency",
    "tenure_months", "cross_border", "attempt_number", "at", "approved", "decline_code", "network_decline_code",
    "advice_code", "network_advice_code", "origin", "brand_timezone",
)  # fmt: skip
# `attempt_number` 0 is the first charge, approved ones too: they show when a customer's money is there.
_ROWS = """
    SELECT i.id::text, i.customer_id::text, c.country, c.timezone,
           CASE WHEN m.type = 'card' THEN m.brand ELSE COALESCE(m.type, '') END, COALESCE(m.funding, ''),
           COALESCE(m.issuer, ''),
           a.amount, a.currency, extract(epoch FROM a.at - s.started_at)::float / (86400 * 30.44),
           c.country <> '' AND m.country <> '' AND c.country <> m.country,
           a.number - 1, a.at, a.status = 'succeeded', NULLIF(a.decline_code, ''),
           NULLIF(a.network_decline_code, ''), NULLIF(a.advice_code, ''), NULLIF(a.network_advice_code, ''),
           a.origin, b.timezone
      FROM billing_paymentattempt a
      JOIN billing_invoice i ON i.id = a.invoice_id
      JOIN customers_customer c ON c.id = i.customer_id
      JOIN customers_brand b ON b.id = i.brand_id
      LEFT JOIN billing_subscription s ON s.id = i.subscription_id
      LEFT JOIN billing_paymentmethod m ON m.id = a.payment_method_id
     WHERE a.status IN ('succeeded', 'declined') AND a.at IS NOT NULL
"""


def history_rows(*, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """Every finished charge made from `since` up to but not including `until` (aware UTC), oldest first.

    Read through a cursor of the database, so that memory does not grow with the history; the transaction stays open
    until the last row is taken.
    """
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(f"{_ROWS} AND a.at >= %s AND a.at < %s ORDER BY a.at, a.id", [since, until])
        while batch := cursor.fetchmany(2000):
            yield from map(_row, batch)


def rows_lately(customer_ids: Collection[int], since: datetime) -> list[dict[str, Any]]:
    """The newest LATELY finished charges of each customer from `since` (aware UTC) on, oldest first. One query."""
    newest = f"""
        SELECT x.* FROM unnest(%s::bigint[]) AS who(id) CROSS JOIN LATERAL (
            {_ROWS} AND i.customer_id = who.id AND a.at >= %s ORDER BY a.at DESC, a.id DESC LIMIT {LATELY}
        ) x ORDER BY x.at
    """
    with connection.cursor() as cursor:
        cursor.execute(newest, [sorted(customer_ids), since])
        return [_row(values) for values in cursor.fetchall()]


def newest_since(limit: int, *, before: datetime) -> tuple[int, datetime | None]:
    """How many finished charges were made before a moment (aware UTC), up to `limit`; when the oldest of those was."""
    newest = """
        SELECT count(*), min(at) FROM (
            SELECT at FROM billing_paymentattempt
             WHERE status IN ('succeeded', 'declined') AND at < %s ORDER BY at DESC, id DESC LIMIT %s
        ) newest
    """
    with connection.cursor() as cursor:
        cursor.execute(newest, [before, limit])
        count, oldest = cursor.fetchone()
    return count, oldest


def _row(values: tuple[Any, ...]) -> dict[str, Any]:
    row = dict(zip(_COLUMNS, values, strict=True))
    row["timezone"] = local_zone(row["timezone"], row["country"], row.pop("brand_timezone"))
    return row
