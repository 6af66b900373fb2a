"""Owns what comes in while an agency collects, its share, and the end of a hand-over whose case went on or ended.

Counted from the allocations of payments, by their own time: told late, twice or in any order it is the same sum. A
refund takes its part of the share back.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from campaigns.agencies.services import handovers_end
from campaigns.models import Case, CaseState, Handover, HandoverStatus
from customers.models import Customer

#: A hand-over that ended so long ago is closed for good: what is refunded later is settled by hand.
OPEN_FOR = timedelta(days=400)
BATCH = 500

# Integer arithmetic in minor units; half a unit is rounded up, for the agency. An allocation two hand-overs could
# claim (the tail of a recalled one and its successor) is the later one's.
_COUNT = """
    INSERT INTO campaigns_agencyrecovery AS r (handover_id, allocation_id, amount, commission, currency, at)
    SELECT DISTINCT ON (c.allocation_id) c.handover_id, c.allocation_id, c.amount,
           (c.amount * c.commission_bps + 5000) / 10000, c.currency, c.received_at
      FROM (SELECT h.id AS handover_id, h.handed_at, h.commission_bps, a.id AS allocation_id, p.currency,
                   p.received_at, GREATEST(a.amount - p.refunded * a.amount / p.amount, 0) AS amount
              FROM campaigns_handover h
              JOIN campaigns_handoverinvoice hi ON hi.handover_id = h.id
              JOIN billing_allocation a ON a.invoice_id = hi.invoice_id
              JOIN billing_payment p ON p.id = a.payment_id
             WHERE (h.status = 'open' OR h.ended_at > %s)
               AND p.received_at >= h.handed_at
               AND (h.status = 'open'
                    OR (h.status = 'ended' AND p.received_at <= h.ended_at)
                    OR (h.status = 'recalled' AND p.received_at < h.ended_at + h.tail_days * interval '1 day'))) c
     ORDER BY c.allocation_id, c.handed_at DESC
    ON CONFLICT (allocation_id) DO UPDATE SET amount = EXCLUDED.amount, commission = EXCLUDED.commission
     WHERE r.handover_id = EXCLUDED.handover_id AND (r.amount, r.commission) <> (EXCLUDED.amount, EXCLUDED.commission)
"""


@dataclass(frozen=True, slots=True)
class FollowResult:
    """Recoveries written or corrected, and hand-overs ended."""

    counted: int = 0
    ended: int = 0


def handovers_follow(*, now: datetime) -> FollowResult:
    """Counts what came in by `now` (aware UTC) and ends hand-overs whose case is not at the agency any more: it was
    recovered, ended, or goes on with us. Again changes nothing. Safe with any number of workers."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [now - OPEN_FOR])
        counted = cursor.rowcount
    ended = 0
    while gone := list(_gone()[:BATCH]):
        with transaction.atomic():
            owners = [customer_id for _pk, customer_id in gone]
            list(
                Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True).values_list("pk")
            )
            states = dict(
                Case.objects.filter(pk__in=[pk for pk, _owner in gone])
                .exclude(state=CaseState.AGENCY)
                .values_list("pk", "state")
            )
            ended += handovers_end(
                case_ids=list(states),
                status=HandoverStatus.ENDED,
                reasons={
                    pk: _("The case: %(state)s.") % {"state": CaseState(state).label} for pk, state in states.items()
                },
                now=now,
            )
    return FollowResult(counted, ended)


def _gone() -> QuerySet[Handover, tuple[int, int]]:
    rows = Handover.objects.filter(status=HandoverStatus.OPEN).exclude(case__state=CaseState.AGENCY).order_by("pk")
    return rows.values_list("case_id", "case__customer_id")
