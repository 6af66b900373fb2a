"""Owns marking rows of the worklist for ranking anew, in the transaction of whatever changed."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

# A customer gets a row once there is a live case or an open task; one who has a row is looked at whatever comes.
_MARK = """
    INSERT INTO campaigns_workitem
           (customer_id, refresh_at, action, rank, score, chance, reasons, flags, rest, tasks, call_rule, balances,
            currency, balance, ageing, invoices, oldest_days, reason, country, language, zone, touched)
    SELECT u.id, %s, 'call', 0, 0, 0, '[]', '[]', '', 0, '', '{}', '', 0, '[]', 0, 0, '', '', '', '', ''
      FROM unnest(%s::bigint[]) AS u(id)
     WHERE EXISTS (SELECT 1 FROM campaigns_case c WHERE c.customer_id = u.id AND c.closed_at IS NULL)
        OR EXISTS (SELECT 1 FROM campaigns_task t WHERE t.customer_id = u.id AND t.status = 'open')
        OR EXISTS (SELECT 1 FROM campaigns_workitem w WHERE w.customer_id = u.id)
     ORDER BY u.id
    ON CONFLICT (customer_id) DO UPDATE
       SET refresh_at = LEAST(campaigns_workitem.refresh_at, excluded.refresh_at)
"""


def work_mark(customer_ids: Iterable[int], now: datetime) -> None:
    """Has these customers ranked anew at `now` (aware UTC), in the caller's transaction. One statement, or none.

    Takes their rows in order of number: two callers never wait for each other in a circle.
    """
    wanted = sorted(set(customer_ids))
    if wanted:
        with connection.cursor() as cursor:
            cursor.execute(_MARK, [now, wanted])
