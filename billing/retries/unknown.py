"""Owns the counting of decline codes the table does not hold, in the transaction of the decline that brought them."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

# The example is the latest decline, whatever order declines are told in.
_COUNT = """
    INSERT INTO billing_unknowncode AS u (field, code, seen, first_seen_at, last_seen_at, example_id)
    SELECT field, code, count(*), min(at), max(at), (array_agg(attempt ORDER BY at DESC, place DESC))[1]
      FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bigint[])
           WITH ORDINALITY AS t(field, code, at, attempt, place)
     GROUP BY field, code ORDER BY field, code
    ON CONFLICT (field, code) DO UPDATE SET
        seen = u.seen + excluded.seen,
        first_seen_at = LEAST(u.first_seen_at, excluded.first_seen_at),
        example_id = CASE WHEN excluded.last_seen_at >= u.last_seen_at THEN excluded.example_id ELSE u.example_id END,
        last_seen_at = GREATEST(u.last_seen_at, excluded.last_seen_at)
"""


def unknown_codes_count(codes: Iterable[str], *, attempt_id: int, at: datetime) -> None:
    """Counts codes ("field:code", as in DeclineVerdict.unknown_codes) that an attempt's decline at `at` (UTC) brought.

    Call it once for each code an attempt learns, in the transaction that writes it: told again, a decline changes
    nothing and counts nothing.
    """
    unknown_codes_count_many([(codes, attempt_id, at)])


def unknown_codes_count_many(brought: Iterable[tuple[Iterable[str], int, datetime]]) -> None:
    """Counts the codes many attempts brought, in one statement: (codes, attempt's id, moment of its decline)."""
    told = [
        (field, code[:60], at, attempt_id)
        for codes, attempt_id, at in brought
        for field, _sep, code in (each.partition(":") for each in sorted(set(codes)))
    ]
    if told:
        with connection.cursor() as cursor:
            # Grouped and in one order, so that two declines with the same codes do not wait for each other in turn.
            cursor.execute(_COUNT, [list(column) for column in zip(*told, strict=True)])
