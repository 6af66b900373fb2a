"""Who among the staff looks after a case."""

from datetime import datetime

from campaigns.models import Case
from campaigns.services.case_acts import assign_act, case_do


def case_assign(*, case_id: int, owner_id: int | None, actor_id: int, now: datetime) -> bool:
    """Gives a case an owner, or none; returns False if nothing changed.

    Raises SollecitoError if there is no such case, or the owner is not an active member of staff.
    """
    if Case.objects.filter(pk=case_id, owner=owner_id).exists():
        return False
    case_do(case_id=case_id, act=assign_act(owner_id=owner_id), actor_id=actor_id, now=now)
    return True
