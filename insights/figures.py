"""The dashboard's figures in plain SQL, a fixed number of statements; each is defined in docs/insights.md.

Amounts are minor units, always with their currency and never summed across currencies. Days and months are
those of the site's time zone. `customers` narrows a figure to these customers; None: everybody.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from campaigns.engine.arrays import array
from campaigns.models.case import LIVE_STATES
from customers.models.customer import PRACTICE

COHORT_MONTHS = 12
CHART_DAYS = 60
#: Upper edges of the ageing buckets in days past due; the last has none.
AGEING = ((0, "current"), (30, "1-30"), (60, "31-60"), (90, "61-90"), (None, "90+"))
LIVE = sorted(state.value for state in LIVE_STATES)
#: Ids of customers a figure is narrowed to; None: everybody.
Customers = list[int] | None


def _of(column: str) -> str:
    """The condition that a row's customer is among %(customers)s, if these are given, and none to practise on."""
    among = f"(%(customers)s::bigint[] IS NULL OR {column} = ANY(%(customers)s::bigint[]))"
    return f"{among} AND {column} NOT IN (SELECT id FROM customers_customer WHERE source = '{PRACTICE}')"


@dataclass(frozen=True, slots=True)
class Sum:
    """So many rows worth so much, in minor units of `currency`; `key` is what they were grouped by."""

    currency: str
    count: int
    amount: int
    key: str = ""
    cases: int = 0


@dataclass(frozen=True, slots=True)
class Cohort:
    """Invoices of one currency by month of first failure. Closed: no live case can recover any of them."""

    month: date
    currency: str
    closed: bool
    failed: int
    failed_amount: int
    recovered: int
    recovered_amount: int

    @property
    def rate(self) -> float | None:
        """Share of the amount recovered, in percent; None while the cohort is open."""
        return 100 * self.recovered_amount / self.failed_amount if self.closed and self.failed_amount else None

    @property
    def count_rate(self) -> float | None:
        """Share of the invoices recovered, in percent; None while the cohort is open."""
        return 100 * self.recovered / self.failed if self.closed and self.failed else None


@dataclass(frozen=True, slots=True)
class Work:
    """What falls due before `until`: counts of rows."""

    cases: int
    tasks: int
    retries: int
    messages: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How long the oldest due row of a loop has been waiting, in seconds; None if nothing is due."""

    loop: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Day:
    """Invoices that failed for the first time, and failed ones that were recovered, on one day."""

    day: date
    failed: int
    recovered: int


def _rows(sql: str, **params: Any) -> list[tuple[Any, ...]]:
    if params.get("customers") is not None:
        # As one text: psycopg takes seconds to spell a hundred thousand numbers as often as a statement names them.
        params["customers"] = array(params["customers"])
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def at_risk(customers: Customers = None) -> list[Sum]:
    """Open balance of invoices that are in a live case, per currency. Reads case_by_state."""
    rows = _rows(
        f"""
        SELECT i.currency, count(*), sum(i.balance), count(DISTINCT c.id)
          FROM campaigns_case c
          JOIN campaigns_caseinvoice ci ON ci.case_id = c.id AND ci.left_at IS NULL
          JOIN billing_invoice i ON i.id = ci.invoice_id AND i.status = 'open'
         WHERE c.state = ANY(%(live)s) AND {_of("c.customer_id")}
         GROUP BY i.currency ORDER BY 3 DESC
        """,
        live=LIVE,
        customers=customers,
    )
    return [Sum(currency, n, int(amount), cases=cases) for currency, n, amount, cases in rows]


def recovered_since(since: datetime, customers: Customers = None) -> list[Sum]:
    """Recovered invoices paid at or after `since`, by source and currency. Reads invoice_recovered."""
    rows = _rows(
        f"""
        SELECT currency, recovered_by, count(*), sum(amount_paid)
          FROM billing_invoice
         WHERE recovered_by <> '' AND paid_at >= %(since)s AND {_of("customer_id")}
         GROUP BY currency, recovered_by ORDER BY 4 DESC
        """,
        since=since,
        customers=customers,
    )
    return [Sum(currency, n, int(amount), key=source) for currency, source, n, amount in rows]


def cohorts(now: datetime, zone: str, customers: Customers = None) -> list[Cohort]:
    """The last COHORT_MONTHS months of first failures, newest first. Reads invoice_failed.

    A recovery counts if it was paid before the cohort closed, so that a closed cohort stays as it is.
    """
    rows = _rows(_COHORTS, now=now, zone=zone, months=COHORT_MONTHS - 1, live=LIVE, customers=customers)
    return [Cohort(m, cur, closed, n, int(a), rn, int(ra)) for m, cur, closed, n, a, rn, ra in rows]


_COHORTS = f"""
    WITH failed AS (
        SELECT i.id, i.currency, i.amount_due - i.amount_credited AS amount, i.amount_paid,
               i.recovered_by <> '' AS recovered, i.paid_at,
               date_trunc('month', i.first_failed_at AT TIME ZONE %(zone)s) AS month
          FROM billing_invoice i
         WHERE i.status <> 'void' AND {_of("i.customer_id")}
           AND i.first_failed_at >= (date_trunc('month', %(now)s::timestamptz AT TIME ZONE %(zone)s)
                                     - make_interval(months => %(months)s)) AT TIME ZONE %(zone)s
    ), lives AS (
        SELECT f.month, f.currency,
               bool_or(c.state = ANY(%(live)s) AND ci.left_at IS NULL) AS live,
               max(c.closed_at) AS last_closed
          FROM failed f
          JOIN campaigns_caseinvoice ci ON ci.invoice_id = f.id
          JOIN campaigns_case c ON c.id = ci.case_id
         GROUP BY 1, 2
    ), counted AS (
        SELECT f.*, COALESCE(l.live, false) AS live,
               f.month + interval '1 month' <= %(now)s::timestamptz AT TIME ZONE %(zone)s AS past,
               f.recovered AND (COALESCE(l.live, false) OR f.paid_at <= GREATEST(
                   l.last_closed, (f.month + interval '1 month') AT TIME ZONE %(zone)s)) AS kept
          FROM failed f
          LEFT JOIN lives l ON l.month = f.month AND l.currency = f.currency
    )
    SELECT month::date, currency, past AND NOT live, count(*), sum(amount),
           count(*) FILTER (WHERE kept), COALESCE(sum(amount_paid) FILTER (WHERE kept), 0)
      FROM counted
     GROUP BY month, currency, past, live
     ORDER BY month DESC, 5 DESC
"""


def due_before(until: datetime, customers: Customers = None) -> Work:
    """Rows of each work list that fall due before `until` (aware UTC). Reads the loops' own partial indexes."""
    row = _rows(
        f"""
        SELECT (SELECT count(*) FROM campaigns_case WHERE next_action_at < %(until)s AND {_of("customer_id")}),
               (SELECT count(*) FROM campaigns_task
                 WHERE status = 'open' AND due_at < %(until)s AND {_of("customer_id")}),
               (SELECT count(*) FROM billing_paymentattempt a JOIN billing_invoice i ON i.id = a.invoice_id
                 WHERE a.status = 'planned' AND a.scheduled_for < %(until)s AND {_of("i.customer_id")}),
               (SELECT count(*) FROM campaigns_message
                 WHERE status = 'queued' AND send_at < %(until)s AND {_of("customer_id")})
        """,
        until=until,
        customers=customers,
    )[0]
    return Work(*row)


def lags(now: datetime) -> list[Lag]:
    """How far behind each loop is at `now` (aware UTC). Reads the first entry of each loop's index."""
    row = _rows(
        """
        SELECT (SELECT min(COALESCE(retry_at, received_at)) FROM billing_inboxevent
                 WHERE status IN ('pending', 'failed')),
               (SELECT min(reassess_at) FROM customers_customer WHERE reassess_at IS NOT NULL),
               (SELECT min(next_action_at) FROM campaigns_case WHERE next_action_at IS NOT NULL),
               (SELECT min(scheduled_for) FROM billing_paymentattempt WHERE status = 'planned'),
               (SELECT min(send_at) FROM campaigns_message WHERE status = 'queued')
        """
    )[0]
    names = ("ingest", "assess", "escalate", "retry", "deliver")
    return [
        Lag(name, (now - oldest).total_seconds() if oldest is not None and oldest <= now else None)
        for name, oldest in zip(names, row, strict=True)
    ]


def ageing(now: datetime, customers: Customers = None) -> list[Sum]:
    """Open balance by days past due and currency; an invoice without a due date counts as not yet due.
    Reads invoice_open_due."""
    rows = _rows(
        f"""
        SELECT currency,
               CASE WHEN due_at IS NULL OR due_at > %(now)s THEN 'current'
                    WHEN due_at > %(now)s - interval '30 days' THEN '1-30'
                    WHEN due_at > %(now)s - interval '60 days' THEN '31-60'
                    WHEN due_at > %(now)s - interval '90 days' THEN '61-90'
                    ELSE '90+' END AS bucket,
               count(*), sum(balance)
          FROM billing_invoice WHERE status = 'open' AND balance > 0 AND {_of("customer_id")}
         GROUP BY 1, 2
        """,
        now=now,
        customers=customers,
    )
    return [Sum(currency, n, int(amount), key=bucket) for currency, bucket, n, amount in rows]


def per_day(first: date, last: date, zone: str, customers: Customers = None) -> list[Day]:
    """Failed and recovered invoices of each day from `first` to `last`, days without either included.
    Reads invoice_failed and invoice_recovered."""
    return [Day(*row) for row in _rows(_PER_DAY, first=first, last=last, zone=zone, customers=customers)]


_PER_DAY = f"""
    WITH edges AS (
        SELECT %(first)s::timestamp AT TIME ZONE %(zone)s AS a,
               (%(last)s::timestamp + interval '1 day') AT TIME ZONE %(zone)s AS b
    ), failed AS (
        SELECT (first_failed_at AT TIME ZONE %(zone)s)::date AS day, count(*) AS n
          FROM billing_invoice, edges
         WHERE first_failed_at >= a AND first_failed_at < b AND {_of("customer_id")} GROUP BY 1
    ), recovered AS (
        SELECT (paid_at AT TIME ZONE %(zone)s)::date AS day, count(*) AS n
          FROM billing_invoice, edges
         WHERE recovered_by <> '' AND paid_at >= a AND paid_at < b AND {_of("customer_id")} GROUP BY 1
    )
    SELECT d::date, COALESCE(f.n, 0), COALESCE(r.n, 0)
      FROM generate_series(%(first)s::timestamp, %(last)s::timestamp, interval '1 day') d
      LEFT JOIN failed f ON f.day = d::date LEFT JOIN recovered r ON r.day = d::date
     ORDER BY 1
"""


def is_empty() -> bool:
    """True before the first invoice: there is nothing to show yet."""
    return not _rows("SELECT EXISTS (SELECT 1 FROM billing_invoice)")[0][0]
