"""Who is in a segment: of given customers, in a queryset, and how many in all. The front door of segments."""

import hashlib
import logging
import math
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL

from campaigns.segments.compile import customer_ids_sql
from campaigns.segments.language import SegmentError, parse
from customers.statistics import wilson

logger = logging.getLogger(__name__)

#: How long the form waits for an exact count before it estimates, in milliseconds.
PATIENCE_MS = 800
#: Seconds for which a list goes on with whom it found in a segment.
LATELY = 60
#: Customers drawn for an estimate.
DRAWN = 4000
#: Customers shown as examples.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Count:
    """How many customers answer to a query, and some of them, newest first.

    `exact` is False where counting took too long; then `low` and `high` hold the 95% interval of the estimate.
    """

    count: int
    exact: bool
    low: int
    high: int
    sample: tuple[int, ...]


def query_contains(query: str, customer_ids: Collection[int], now: datetime) -> set[int]:
    """Those of the customers who answer to the query at `now` (aware UTC). One query. Raises SegmentError."""
    if not customer_ids:
        return set()
    sql = customer_ids_sql(parse(query), now, customer_ids)
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.params)
        return {pk for (pk,) in cursor.fetchall()}


def count_among(query: str, customer_ids: Collection[int], now: datetime) -> Count:
    """How many of these customers answer to a query at `now`, exactly. One query. Raises SegmentError."""
    found = sorted(query_contains(query, customer_ids, now), reverse=True)
    return Count(len(found), True, len(found), len(found), tuple(found[:SHOWN]))


def segments_of(queries: Mapping[int, str], customer_ids: Collection[int], now: datetime) -> dict[int, frozenset[int]]:
    """For each customer the ids of the segments they are in, of `queries` (segment id → query). One query.

    Made for loops: a query that cannot be read any more (a field was removed) contains nobody and is logged.
    """
    parts = []
    for pk, query in queries.items():
        try:
            sql = customer_ids_sql(parse(query), now, customer_ids)
        except SegmentError as error:
            logger.error("segment %s cannot be evaluated and contains nobody: %s", pk, error.message)
            continue
        parts.append((f"SELECT %s::bigint AS segment, m.id FROM ({sql.text}) m", (pk, *sql.params)))
    found: dict[int, set[int]] = {}
    if parts and customer_ids:
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(text for text, _ in parts), [p for _, params in parts for p in params])
            for segment_id, customer_id in cursor.fetchall():
                found.setdefault(customer_id, set()).add(segment_id)
    return {customer_id: frozenset(ids) for customer_id, ids in found.items()}


def in_segment(query: str, now: datetime, *, path: str = "pk") -> Q:
    """A filter for querysets: rows whose customer (at `path`, for example `customer_id`) is in the segment.

    Raises SegmentError.
    """
    sql = customer_ids_sql(parse(query), now)
    return Q(**{f"{path}__in": RawSQL(sql.text, sql.params)})


def segment_ids(query: str, now: datetime) -> list[int]:
    """Everybody in the segment at `now`, in one query, for who needs it more than once. Raises SegmentError."""
    sql = customer_ids_sql(parse(query), now)
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.params)
        return [pk for (pk,) in cursor.fetchall()]


def segment_ids_lately(query: str, now: datetime) -> list[int]:
    """As `segment_ids`, as of at most LATELY ago: for lists, of which people turn page after page. Not for acts."""
    key = f"segment:{hashlib.sha256(query.encode()).hexdigest()}:{int(now.timestamp() // LATELY)}"
    found: list[int] = cache.get_or_set(key, lambda: segment_ids(query, now), LATELY)  # type: ignore[assignment]
    return found


def query_count(query: str, now: datetime, *, patience_ms: int = PATIENCE_MS) -> Count:
    """How many customers answer to a query at `now`; an estimate where counting takes longer than patience.

    A constant number of queries. Raises SegmentError.
    """
    sql = customer_ids_sql(parse(query), now)
    counted = (
        f"WITH found AS MATERIALIZED ({sql.text}) SELECT (SELECT count(*) FROM found),"
        f" ARRAY(SELECT id FROM found ORDER BY id DESC LIMIT {SHOWN})"
    )
    try:
        # Rolled back with its time limit if it is too slow, released without trace if not.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('statement_timeout'), set_config('statement_timeout', %s, true)",
                [str(patience_ms)],
            )
            before, _set = cursor.fetchone()
            cursor.execute(counted, sql.params)
            count, sample = cursor.fetchone()
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
    except OperationalError:
        return _estimate(query, now)
    return Count(count, True, count, count, tuple(sample))


def _estimate(query: str, now: datetime) -> Count:
    """From customers drawn at random; the same ones for the same query, so that the figure does not flicker."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = 'customers_customer'::regclass")
        (total,) = cursor.fetchone()
        cursor.execute("SELECT MIN(id), MAX(id) FROM customers_customer")
        low, high = cursor.fetchone()
        if low is None:
            return Count(0, True, 0, 0, ())
        drawn = random.Random(query).sample(range(low, high + 1), min(DRAWN, high - low + 1))
        cursor.execute("SELECT count(*) FROM customers_customer WHERE id = ANY(%s)", [drawn])
        (seen,) = cursor.fetchone()
    found = query_contains(query, drawn, now)
    below, above = wilson(len(found), seen)
    scale = max(total, seen)
    return Count(
        round(len(found) / seen * scale) if seen else 0,
        False,
        math.floor(below * scale),
        math.ceil(above * scale),
        tuple(sorted(found, reverse=True)[:SHOWN]),
    )
