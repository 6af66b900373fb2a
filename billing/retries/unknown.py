"""Owns the counting of decline codes the table does not hold, in the transaction of the decline that brought them."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

# The example is the latest decline, whatever order declines are told in.
_COUNT = """
    INSERT INTO billing_unknowncode AS u (field, code, seen, first_seen_at, last_seen_at, example_id)
    VALUES (%s, %s, 1, %s, %s, %s)
    ON CONFLICT (field, code) DO UPDATE SET
        seen = u.seen + 1,
        first_seen_at = LEAST(u.first_seen_at, excluded.first_seen_at),
        example_id = CASE WHEN excluded.last_seen_at >= u.last_seen_at THEN excluded.example_id ELSE u.example_id END,
        last_seen_at = GREATEST(u.last_seen_at, excluded.last_seen_at)
"""


def unknown_codes_count(codes: Iterable[str], *, attempt_id: int, at: datetime) -> None:
    """Counts codes ("field:code", as in DeclineVerdict.unknown_codes) that an attempt's decline at `at` (UTC) brought.

    Call it once for each code an attempt learns, in the transaction that writes it: told again, a decline changes
    nothing and counts nothing.
    """
    # Always in one order, so that two declines with the same codes do not wait for each other in turn.
    told = [(field, code) for field, _sep, code in (each.partition(":") for each in sorted(set(codes)))]
    if told:
        with connection.cursor() as cursor:
            cursor.executemany(_COUNT, [(field, code[:60], at, at, attempt_id) for field, code in told])
