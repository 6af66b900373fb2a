"""Filters of the worklist that somebody keeps for themselves."""

from django.utils.translation import gettext as _

from campaigns.models import WorkFilter
from customers.errors import SollecitoError

#: More are not found again anyway.
MOST_FILTERS = 30


def filter_save(*, user_id: int, name: str, query: str) -> WorkFilter:
    """Keeps a query string under a name, in the place of what had that name. Raises SollecitoError without a name, or
    with MOST_FILTERS kept already."""
    name = name.strip()[:60]
    if not name:
        raise SollecitoError(_("Give the filter a name."), code="name_missing")
    others = WorkFilter.objects.filter(user=user_id).exclude(name=name).count()
    if others >= MOST_FILTERS:
        raise SollecitoError(_("At most %(most)d filters are kept.") % {"most": MOST_FILTERS}, code="too_many")
    found, _made = WorkFilter.objects.update_or_create(user_id=user_id, name=name, defaults={"query": query[:500]})
    return found


def filter_delete(*, user_id: int, name: str) -> None:
    """Drops one's own filter of that name; no error if there is none."""
    WorkFilter.objects.filter(user=user_id, name=name).delete()
