"""How a customer has paid in the last twelve months, as a band anybody can check by hand; nothing is predicted.

One point each for a fifth of the invoices late, a fifth of the charges declined, one promise broken; two for half of
the invoices, half of the charges, two promises. No point is a low risk, three or more are a high one. Below
LEAST_INVOICES invoices nothing is said. A chance that is learned is another field; this one
stays what it is, so that segments written with it do not change their meaning.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from campaigns.segments.kinds import Source

DAYS = 365
#: Paid within so many days of its first failure or due date an invoice is not late: transfers take their time.
GRACE_DAYS = 7
LEAST_INVOICES = 3
SOME, MANY = 0.2, 0.5
HIGH_FROM = 3


class Band(TextChoices):
    LOW = "low", _("Low")
    MEDIUM = "medium", _("Medium")
    HIGH = "high", _("High")


SOURCE = Source(
    "behaved",
    """(
        SELECT i.customer_id, 'invoice' AS what,
               COALESCE(i.due_at, i.first_failed_at, i.issued_at, i.created_at) AS at,
               CASE WHEN i.collection_method = 'manual' THEN i.due_at ELSE i.first_failed_at END AS since,
               CASE WHEN i.status = 'paid' THEN i.paid_at END AS ended, false AS declined
          FROM billing_invoice i WHERE i.status IN ('open', 'paid', 'uncollectible')
        UNION ALL
        SELECT i.customer_id, 'charge', a.at, NULL, NULL, a.status = 'declined'
          FROM billing_paymentattempt a JOIN billing_invoice i ON i.id = a.invoice_id
         WHERE a.status IN ('succeeded', 'declined')
        UNION ALL
        SELECT p.customer_id, 'promise', COALESCE(p.closed_at, p.expires_at), NULL, NULL, false
          FROM billing_promise p WHERE p.status = 'broken'
    ) h WHERE true""",
    "h.customer_id",
)

_RECENT = f"h.at <= {{now}} AND h.at > {{now}} - interval '{DAYS} days'"


def _count(what: str, condition: str = "true") -> str:
    return f"count(*) FILTER (WHERE h.what = '{what}' AND {_RECENT} AND {condition})"


_LATE = _count("invoice", f"COALESCE(h.ended, {{now}}) > h.since + interval '{GRACE_DAYS} days'")
_INVOICES = _count("invoice")
_DECLINED = _count("charge", "h.declined")
_CHARGES = _count("charge")
_BROKEN = _count("promise")


def _points(part: str, whole: str) -> str:
    return f"CASE WHEN {part} >= {MANY} * {whole} THEN 2 WHEN {part} >= {SOME} * {whole} THEN 1 ELSE 0 END"


_SCORE = (
    f"{_points(_LATE, _INVOICES)} + CASE WHEN {_CHARGES} = 0 THEN 0 ELSE {_points(_DECLINED, _CHARGES)} END"
    f" + LEAST({_BROKEN}, 2)"
)
BAND = (
    f"CASE WHEN {_INVOICES} < {LEAST_INVOICES} THEN NULL WHEN {_SCORE} >= {HIGH_FROM} THEN 'high'"
    f" WHEN {_SCORE} > 0 THEN 'medium' ELSE 'low' END"
)


@dataclass(frozen=True, slots=True)
class Risk:
    """A customer's band with what it was counted from; `band` is empty where there is not enough to say."""

    band: str
    invoices: int
    late: int
    charges: int
    declined: int
    broken: int


def risk_of(customer_ids: Collection[int], now: datetime) -> dict[int, Risk]:
    """Risk by customer at `now` (aware UTC), of those with any history. One query."""
    columns = ", ".join((BAND, _INVOICES, _LATE, _CHARGES, _DECLINED, _BROKEN))
    sql = f"SELECT h.customer_id, {columns} FROM {SOURCE.body} AND h.customer_id = ANY(%(ids)s) GROUP BY h.customer_id"
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("{now}", "%(now)s"), {"now": now, "ids": list(customer_ids)})  # noqa: S608
        return {row[0]: Risk(row[1] or "", *row[2:]) for row in cursor.fetchall()}
