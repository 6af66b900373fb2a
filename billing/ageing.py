"""Owns what one customer owes by how late it is, and what they have paid so far; never summed across currencies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection
from django.db.models import F, Min, Sum
from django.utils.translation import gettext_lazy as _

from billing.models import Payment

#: What the buckets are called: by days past due, the last without an end.
BUCKETS = (
    _("not due yet"),
    _("1–30 days late"),
    _("31–60 days late"),
    _("61–90 days late"),
    _("over 90 days late"),
)

_OWED = """
    SELECT currency, count(*), sum(balance),
           sum(CASE WHEN late <= 0 THEN balance ELSE 0 END),
           sum(CASE WHEN late > 0 AND late <= 30 THEN balance ELSE 0 END),
           sum(CASE WHEN late > 30 AND late <= 60 THEN balance ELSE 0 END),
           sum(CASE WHEN late > 60 AND late <= 90 THEN balance ELSE 0 END),
           sum(CASE WHEN late > 90 THEN balance ELSE 0 END)
      FROM (SELECT currency, balance, extract(epoch FROM %s - COALESCE(due_at, issued_at, created_at)) / 86400 AS late
              FROM billing_invoice WHERE customer_id = %s AND status = 'open') open_invoices
     GROUP BY currency ORDER BY currency
"""


@dataclass(frozen=True, slots=True)
class Owed:
    """Open balance in one currency, minor units; `buckets` as BUCKETS name them."""

    currency: str
    invoices: int
    total: int
    buckets: tuple[int, ...]

    @property
    def overdue(self) -> int:
        """What is past its day."""
        return sum(self.buckets[1:])


def owed_by(*, customer_id: int, now: datetime) -> list[Owed]:
    """Open balances at `now` (aware UTC), one query."""
    with connection.cursor() as cursor:
        cursor.execute(_OWED, [now, customer_id])
        return [
            Owed(currency, count, int(total), tuple(int(part) for part in parts))
            for currency, count, total, *parts in cursor.fetchall()
        ]


@dataclass(frozen=True, slots=True)
class Value:
    """What came in from a customer less what went back, minor units by currency; `since` the first payment."""

    paid: Mapping[str, int] = field(default_factory=dict)
    since: datetime | None = None


def value_of(*, customer_id: int) -> Value:
    """Payments less refunds so far, one query."""
    rows = list(
        Payment.objects.filter(customer_id=customer_id)
        .values("currency")
        .annotate(net=Sum(F("amount") - F("refunded")), first=Min("received_at"))
        .order_by("currency")
    )
    return Value(
        {row["currency"]: int(row["net"]) for row in rows},
        min((row["first"] for row in rows if row["first"]), default=None),
    )
