"""How customers paid in the last twelve months, counted as anybody can by hand, and the rating that follows from it.

One point each for a fifth of the invoices late, a fifth of the charges declined, one promise broken; two for half of
the invoices, half of the charges, two promises. No point is an A, one a B, two a C, three a D, more an E. Below
LEAST_INVOICES invoices nothing is said.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import connection

from billing.models import Band, Rating

DAYS = 365
#: Paid within so many days of its first failure or due date an invoice is not late: transfers take their time.
GRACE_DAYS = 7
LEAST_INVOICES = 3
SOME, MANY = 0.2, 0.5
_BY_POINTS = (Rating.A, Rating.B, Rating.C, Rating.D, Rating.E)
#: From which chance of being paid late each band begins.
BAND_FROM = {Band.HIGH: 0.5, Band.MEDIUM: 0.2, Band.LOW: 0.0}
#: The band where no model foretells a chance.
BAND_OF_RATING = {
    Rating.A: Band.LOW,
    Rating.B: Band.MEDIUM,
    Rating.C: Band.MEDIUM,
    Rating.D: Band.HIGH,
    Rating.E: Band.HIGH,
}

_SQL = f"""
    SELECT h.customer_id,
           count(*) FILTER (WHERE h.what = 'invoice'),
           count(*) FILTER (WHERE h.what = 'invoice'
                              AND COALESCE(h.ended, %(now)s) > h.since + interval '{GRACE_DAYS} days'),
           count(*) FILTER (WHERE h.what = 'charge'),
           count(*) FILTER (WHERE h.what = 'charge' AND h.declined),
           count(*) FILTER (WHERE h.what = 'promise')
      FROM (
        SELECT i.customer_id, 'invoice' AS what,
               COALESCE(i.due_at, i.first_failed_at, i.issued_at, i.created_at) AS at,
               CASE WHEN i.collection_method = 'manual' THEN i.due_at ELSE i.first_failed_at END AS since,
               CASE WHEN i.status = 'paid' THEN i.paid_at END AS ended, false AS declined
          FROM billing_invoice i
         WHERE i.customer_id = ANY(%(ids)s) AND i.status IN ('open', 'paid', 'uncollectible')
        UNION ALL
        SELECT i.customer_id, 'charge', a.at, NULL, NULL, a.status = 'declined'
          FROM billing_paymentattempt a JOIN billing_invoice i ON i.id = a.invoice_id
         WHERE i.customer_id = ANY(%(ids)s) AND a.status IN ('succeeded', 'declined')
        UNION ALL
        SELECT p.customer_id, 'promise', COALESCE(p.closed_at, p.expires_at), NULL, NULL, false
          FROM billing_promise p WHERE p.customer_id = ANY(%(ids)s) AND p.status = 'broken'
      ) h
     WHERE h.at <= %(now)s AND h.at > %(now)s - interval '{DAYS} days'
     GROUP BY h.customer_id
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a customer's rating is counted from."""

    invoices: int = 0
    late: int = 0
    charges: int = 0
    declined: int = 0
    broken: int = 0

    @property
    def points(self) -> int:
        """0 (without a blemish) to 6."""
        return _points(self.late, self.invoices) + _points(self.declined, self.charges) + min(self.broken, 2)

    @property
    def rating(self) -> Rating | None:
        """None where there is not enough to say."""
        if self.invoices < LEAST_INVOICES:
            return None
        return _BY_POINTS[min(self.points, len(_BY_POINTS) - 1)]

    def counts(self) -> dict[str, int]:
        """As plain data."""
        return asdict(self)


def _points(part: int, whole: int) -> int:
    if whole == 0 or part < SOME * whole:
        return 0
    return 2 if part >= MANY * whole else 1


def behaviour_of(customer_ids: Collection[int], now: datetime) -> dict[int, Behaviour]:
    """By customer at `now` (aware UTC), of those with any history in the twelve months before. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, {"now": now, "ids": list(customer_ids)})
        return {row[0]: Behaviour(*row[1:]) for row in cursor.fetchall()}


def band_of(chance: float | None, rating: Rating | None) -> Band | None:
    """The one definition of a band: of the chance of being paid late (0 to 1) where a model gives one, else of the
    rating; None where neither says anything."""
    if chance is not None:
        return next(band for band, least in BAND_FROM.items() if chance >= least)
    return BAND_OF_RATING[rating] if rating is not None else None


def lifetime_of(customer_ids: Collection[int]) -> Mapping[int, dict[str, int]]:
    """Payments less refunds by customer and currency, in minor units. One query."""
    sums: dict[int, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, currency, sum(amount - refunded) FROM billing_payment"
            " WHERE customer_id = ANY(%s) GROUP BY 1, 2 ORDER BY 1, 2",
            [list(customer_ids)],
        )
        for customer_id, currency, total in cursor.fetchall():
            sums.setdefault(customer_id, {})[currency] = int(total)
    return sums
