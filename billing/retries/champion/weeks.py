"""Reads how a model's predictions met what came of them, week by week."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection

from billing.models import RetryModel
from customers.statistics import wilson

WEEKS = 12

_SQL = """
    SELECT date_trunc('week', at AT TIME ZONE 'UTC')::date, count(*), avg(probability),
           count(*) FILTER (WHERE status = 'succeeded'),
           avg((probability - (status = 'succeeded')::int) ^ 2)
      FROM billing_paymentattempt
     WHERE retry_model_id = %s AND at >= %s AND status IN ('succeeded', 'declined') AND probability IS NOT NULL
     GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Week:
    """One week (its Monday, UTC) of a model's charges: mean chance foretold, share approved with its 95 % interval."""

    week: date
    charges: int
    predicted: float
    approved: float
    low: float
    high: float
    brier: float


def weeks_of(model: RetryModel, now: datetime) -> list[Week]:
    """The last WEEKS weeks in which it had charges made, oldest first. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, [model.pk, now - timedelta(weeks=WEEKS)])
        found = cursor.fetchall()
    return [
        Week(week, charges, predicted, approved / charges, *wilson(approved, charges), brier)
        for week, charges, predicted, approved, brier in found
    ]
