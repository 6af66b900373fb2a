"""Owns which customers somebody looks after, by the owners of their cases; named by settings.CUSTOMER_OWNERSHIP."""

from collections.abc import Collection

from django.db.models import Exists, OuterRef, Q

from campaigns.models import Case
from campaigns.models.case import LIVE_STATES


def customers_of(user_ids: Collection[int], *, unowned: bool) -> Q:
    """Which customers these people have or had a case of, live or ended; with `unowned` also those without a live
    case that somebody has. A condition on Customer."""
    theirs = Q(pk__in=Case.objects.filter(owner__in=list(user_ids)).values("customer_id"))
    if not unowned:
        return theirs
    owned = Case.objects.filter(customer=OuterRef("pk"), state__in=LIVE_STATES, owner__isnull=False)
    return theirs | ~Q(Exists(owned))
