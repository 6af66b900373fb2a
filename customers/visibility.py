"""Owns whose customers somebody sees, and narrows every list and page of the back office to them.

`seen` is the one place that says it: whatever shows rows about customers to staff passes its queryset through it. Who
looks after whom is known to a higher app; settings.CUSTOMER_OWNERSHIP names what answers that.
"""

from collections.abc import Collection
from functools import cache
from typing import Any, Protocol, TypeVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import ForeignKey, Model, Q, QuerySet
from django.utils.module_loading import import_string

from customers.models import Customer, Sees, Team

M = TypeVar("M", bound=Model)

#: How far a customer is looked for behind foreign keys: an attempt's invoice's customer.
_DEEPEST = 3
#: Staff and the processor's mirror lead to no customer of ours.
_OUTSIDE = frozenset({"auth", "contenttypes", "djstripe", "django_celery_beat", "sessions"})
_WIDEST = (Sees.ALL, Sees.TEAM, Sees.OWN)


class Ownership(Protocol):
    """What the app that knows owners answers."""

    def __call__(self, user_ids: Collection[int], *, unowned: bool) -> Q:
        """Which customers (a condition on Customer) these people look after; with `unowned` also those nobody does."""


def sees(user: Any) -> Sees:
    """What somebody sees; their teams' settings go before their roles', and the widest counts.

    Two queries, once per request: the answer is kept on the user. None for superusers.
    """
    if user.is_superuser:
        return Sees.ALL
    known = getattr(user, "_sees", None)
    if known is None:
        known = user._sees = _widest(user)
    return known


def _widest(user: Any) -> Sees:
    found = set(Team.objects.filter(members=user.pk).exclude(sees="").values_list("sees", flat=True))
    if not found:
        # A role without a setting sees everybody.
        roles = Group.objects.filter(user=user.pk).values_list("visibility__sees", flat=True)
        found = {known or Sees.ALL for known in roles}
    return next((Sees(each) for each in _WIDEST if each in found), Sees.ALL)


@cache
def path_to_customer(model: type[Model]) -> str | None:
    """How a model's rows lead to their customer ("invoice__customer"), by the fewest foreign keys; "" for customers
    themselves, None for what belongs to no customer."""
    if model is Customer:
        return ""
    frontier: list[tuple[str, type[Model]]] = [("", model)]
    for _depth in range(_DEEPEST):
        following = []
        for path, at in frontier:
            for field in at._meta.concrete_fields:
                if not isinstance(field, ForeignKey):
                    continue
                name = f"{path}__{field.name}" if path else field.name
                if field.related_model is Customer:
                    return name
                if isinstance(field.related_model, type) and field.related_model._meta.app_label not in _OUTSIDE:
                    following.append((name, field.related_model))
        frontier = following
    return None


def seen(queryset: QuerySet[M], user: Any) -> QuerySet[M]:
    """The rows of those customers that `user` may see; rows that belong to no customer stay."""
    scope = sees(user)
    if scope == Sees.ALL:
        return queryset
    path = path_to_customer(queryset.model)
    if path is None:
        return queryset
    theirs = Customer.objects.filter(_condition(user, scope)).values("pk")
    if not path:
        return queryset.filter(pk__in=theirs)
    return queryset.filter(Q((f"{path}__in", theirs)) | Q((f"{path}__isnull", True)))


def seen_ids(user: Any) -> list[int] | None:
    """Ids of the customers `user` may see, for plain SQL; None where that is everybody."""
    scope = sees(user)
    if scope == Sees.ALL:
        return None
    return list(Customer.objects.filter(_condition(user, scope)).order_by("pk").values_list("pk", flat=True))


def _condition(user: Any, scope: Sees) -> Q:
    ownership: Ownership = import_string(settings.CUSTOMER_OWNERSHIP)
    if scope == Sees.OWN:
        return ownership([user.pk], unowned=False)
    mates = Team.objects.filter(members=user.pk).values("pk")
    members = Team.members.through.objects.filter(team__in=mates).values_list("user_id", flat=True)
    return ownership([user.pk, *members], unowned=True)
