"""Owns which customers somebody looks after, by the owners of their cases; named by settings.CUSTOMER_OWNERSHIP."""

from collections.abc import Collection

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.lookups import IsNull

from campaigns.models import Case
from campaigns.models.case import LIVE_STATES


def customers_of(user_ids: Collection[int], *, unowned: bool, path: str = "pk") -> Q:
    """A condition on rows whose customer, at `path`, these people have or had a case of, live or ended; with `unowned`
    also on those of customers without a live case that somebody has."""
    cases = Case.objects.filter(owner__in=list(user_ids))
    if not unowned:
        return Q((f"{path}__in", cases.values("customer_id")))
    # Both asked of each row that is looked at, and a list looks at few: as EXISTS the database would gather the cases
    # of everybody first.
    of_row = Q(customer=OuterRef(path))
    owned = Case.objects.filter(of_row, state__in=LIVE_STATES, owner__isnull=False)
    return Q(_some(cases.filter(of_row), True)) | Q(_some(owned, False))


def _some(rows: QuerySet[Case], expected: bool) -> IsNull:
    """Whether there are such rows, or none, by a look at the first."""
    return IsNull(Subquery(rows.order_by().values("pk")[:1]), not expected)
