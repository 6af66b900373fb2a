"""Owns the chance that money comes in within a week of a talk: counted here, shrunk to a stated assumption.

The assumption is the share that is collected at all of debts of that age, from a survey among agencies, times the part
of it that we suppose a talk brings within a week. It weighs as much as PRIOR_TALKS talks, so that thirty talks of the
installation's own outweigh it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from campaigns.engine.specs import asks_for
from campaigns.models import WorkChance
from campaigns.worklist.types import BANDS, OVERDUE
from customers.models.customer import PRACTICE
from customers.models.interaction import NO_TALK

#: Within so long of a talk a payment counts as its fruit.
AFTER = timedelta(days=7)
#: How far back talks are counted.
REMEMBERED = timedelta(days=365)
#: Share of delinquent accounts ever collected in full, by the band's first day: a survey by Commercial Collection
#: Agencies of America gives 68.9 % at three months; before that the loss is drawn as a straight line.
COLLECTED: Mapping[int, float] = {0: 1.0, 1: 0.97, 31: 0.86, 61: 0.76, 91: 0.60}
SURVEY = _("Commercial Collection Agencies of America, survey of its members: 68.9 % are collected at three months")
#: Our own supposition, until talks are counted: half of what will ever come, comes within a week of a talk.
WITHIN_A_WEEK = 0.5
PRIOR_TALKS = 20


@dataclass(frozen=True, slots=True)
class Chance:
    """A chance of 1, and the talks it was counted from (0: it is the assumption)."""

    value: float
    talks: int = 0
    paid: int = 0


class Chances:
    """Chances by why it is owed and since when. Counts are (talks, paid) by (reason, band's first day)."""

    def __init__(self, counts: Mapping[tuple[str, int], tuple[int, int]] | None = None) -> None:
        self._counts = dict(counts or {})

    def of(self, reason: str, band: int) -> Chance:
        """The chance for a reason and a place in BANDS."""
        first = BANDS[band]
        talks, paid = self._counts.get((reason, first), (0, 0))
        prior = COLLECTED[first] * WITHIN_A_WEEK
        return Chance((paid + PRIOR_TALKS * prior) / (talks + PRIOR_TALKS), talks, paid)


def chances_load() -> Chances:
    """The chances as last counted. One query."""
    rows = WorkChance.objects.values_list("reason", "band", "talks", "paid")
    return Chances({(reason, band): (talks, paid) for reason, band, talks, paid in rows})


# A talk counts for the oldest invoice that was unpaid when it was held; paid is money from that customer in the week
# after it, whichever invoice it went to.
_COUNT = """
    WITH talks AS (
        SELECT t.customer_id, t.at
          FROM customers_interaction t
         WHERE t.kind IN ('call.logged', 'task.done') AND t.channel = 'call' AND t.direction IN ('in', 'out')
           AND NOT (t.outcome = ANY(%(no_talk)s)) AND t.at > %(since)s AND t.at <= %(ripe)s
           AND t.customer_id NOT IN (SELECT id FROM customers_customer WHERE source = %(practice)s)
    ), seen AS (
        SELECT COALESCE(d.reason, %(overdue)s) AS reason,
               EXTRACT(EPOCH FROM t.at - d.since)::bigint / 86400 AS days,
               EXISTS (SELECT 1 FROM billing_payment p
                        WHERE p.customer_id = t.customer_id AND p.received_at > t.at
                          AND p.received_at <= t.at + make_interval(days => %(after)s)) AS paid
          FROM talks t
         CROSS JOIN LATERAL (
               SELECT CASE WHEN i.collection_method = 'manual' THEN NULL ELSE i.last_decline_category END AS reason,
                      COALESCE(i.first_failed_at, i.due_at) AS since
                 FROM billing_invoice i
                WHERE i.customer_id = t.customer_id AND COALESCE(i.first_failed_at, i.due_at) <= t.at
                  AND i.status IN ('open', 'paid', 'uncollectible') AND (i.paid_at IS NULL OR i.paid_at > t.at)
                ORDER BY 2 LIMIT 1
         ) d
    )
    SELECT reason, days, count(*), count(*) FILTER (WHERE paid) FROM seen GROUP BY 1, 2
"""


def chances_count(*, now: datetime) -> int:
    """Counts the talks of the year before `now` (aware UTC) anew; returns how many there were. A few statements."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _COUNT,
            {
                "no_talk": sorted(NO_TALK),
                "since": now - REMEMBERED,
                "ripe": now - AFTER,
                "after": AFTER.days,
                "overdue": OVERDUE,
                "practice": PRACTICE,
            },
        )
        sums: dict[tuple[str, int], tuple[int, int]] = {}
        for category, days, talks, paid in cursor.fetchall():
            reason = category if category == OVERDUE else asks_for(category)
            key = reason, max(first for first in BANDS if first <= max(days, 0))
            before = sums.get(key, (0, 0))
            sums[key] = before[0] + talks, before[1] + paid
        WorkChance.objects.all().delete()
        WorkChance.objects.bulk_create(
            WorkChance(reason=reason, band=band, talks=talks, paid=paid, counted_at=now)
            for (reason, band), (talks, paid) in sorted(sums.items())
        )
    return sum(talks for talks, _paid in sums.values())
