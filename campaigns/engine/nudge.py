"""Has the escalate loop look at cases at once: a notice of theirs did not arrive, or the person they wait for has
acted."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import F, Value
from django.db.models.functions import Least

from campaigns.models import Case, CaseState
from customers.wake import wake


def cases_nudge(case_ids: Collection[int], now: datetime) -> int:
    """Brings the next action of open cases forward to `now` (aware UTC), in the caller's transaction; returns how
    many. Takes the cases' locks: after the customers', before the messages'."""
    if not case_ids:
        return 0
    nudged = Case.objects.filter(
        pk__in=sorted(set(case_ids)), state=CaseState.OPEN, next_action_at__isnull=False
    ).update(next_action_at=Least(F("next_action_at"), Value(now)))
    if nudged:
        wake("campaigns.tasks.escalate_due")
    return nudged
