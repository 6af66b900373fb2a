"""Owns whose customers somebody sees, and narrows every list and page of the back office to them.

`seen` is the one place that says it: whatever shows rows about customers to staff passes its queryset through it. Who
looks after whom is known to a higher app; settings.CUSTOMER_OWNERSHIP names what answers that.
"""

from collections import defaultdict
from collections.abc import Collection
from functools import cache, reduce
from operator import or_
from typing import Any, Protocol, TypeVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import BooleanField, F, ForeignKey, Func, Model, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from customers.errors import SollecitoError
from customers.models import Contact, Customer, Sees, Suppression, Team

M = TypeVar("M", bound=Model)

#: How far a customer is looked for behind foreign keys: an attempt's invoice's customer.
_DEEPEST = 3
#: Staff and the processor's mirror lead to no customer of ours.
_OUTSIDE = frozenset({"auth", "contenttypes", "djstripe", "django_celery_beat", "sessions"})
#: Holds for no row.
NOBODY = Q(pk__in=[])
_WIDEST = (Sees.ALL, Sees.TEAM, Sees.OWN)


class Ownership(Protocol):
    """What the app that knows owners answers."""

    def __call__(self, user_ids: Collection[int], *, unowned: bool, path: str = "pk") -> Q:
        """A condition on rows whose customer, found at `path`, these people look after; with `unowned` also on those
        nobody does."""


def sees(user: Any) -> Sees:
    """What somebody sees; their teams' settings go before their roles', and the widest counts.

    Two queries, once per request: the answer is kept on the user. None for superusers.
    """
    if user.is_superuser:
        return Sees.ALL
    known: Sees | None = getattr(user, "_sees", None)
    if known is None:
        sees_read([user])
        known = user._sees
    return known


def sees_read(users: Collection[Any]) -> None:
    """Has `sees` know the answer for all of these: two queries."""
    ids = [user.pk for user in users]
    teams, roles = defaultdict(set), defaultdict(set)
    for pk, found in Team.objects.filter(members__in=ids).exclude(sees="").values_list("members", "sees"):
        teams[pk].add(found)
    for pk, found in Group.objects.filter(user__in=ids).values_list("user", "visibility__sees"):
        # A role without a setting sees everybody.
        roles[pk].add(found or Sees.ALL)
    for user in users:
        settings_of = teams[user.pk] or roles[user.pk]
        user._sees = next((Sees(each) for each in _WIDEST if each in settings_of), Sees.ALL)


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


def seen(queryset: QuerySet[M], user: Any, *, asked_by: str | None = None) -> QuerySet[M]:
    """The rows of those customers that `user` may see; rows that belong to no customer stay.

    Where these tell of many, `asked_by` is the field that names who asked for them ("" where nobody did): whoever does
    not see every customer keeps what they asked for themselves, and nothing else of it.
    """
    scope = sees(user)
    if scope == Sees.ALL:
        return queryset
    mine = Q((asked_by, user.pk)) if asked_by else NOBODY
    path = path_to_customer(queryset.model)
    if path is None:
        return queryset if asked_by is None else queryset.filter(mine)
    theirs = _condition(user, scope, path or "pk")
    # Asked only where a row can be without a customer: an OR that never holds makes the database read the whole table.
    if not _may_miss(queryset.model, path):
        return queryset.filter(theirs)
    nobodys = Q((f"{path}__isnull", True))
    return queryset.filter(theirs | (nobodys if asked_by is None else nobodys & mine))


def seen_suppressions(queryset: QuerySet[Suppression], user: Any) -> QuerySet[Suppression]:
    """Those of the addresses of customers that `user` may see, and of people there: a suppression names nobody."""
    if sees(user) == Sees.ALL:
        return queryset
    theirs = [seen(model._default_manager.all(), user) for model in (Customer, Contact)]
    mails = [Q(address__in=people.order_by().values_list(Lower("email"))) for people in theirs]
    phones = [Q(address__in=people.order_by().values_list("phone")) for people in theirs]
    return queryset.filter(reduce(or_, [*mails, *phones]))


def must_see(user: Any, customer_id: int | None) -> None:
    """Raises SollecitoError (`customer_unseen`) unless `user` may see the customer; None stands for all of them."""
    if sees(user) == Sees.ALL:
        return
    if customer_id is None or not seen(Customer.objects.filter(pk=customer_id), user).exists():
        raise SollecitoError(_("Name one of the customers you see."), code="customer_unseen")


def _may_miss(model: type[Model], path: str) -> bool:
    """Whether rows need not lead to a customer."""
    for name in filter(None, path.split("__")):
        field: Any = model._meta.get_field(name)
        if field.null:
            return True
        model = field.related_model
    return False


class _Among(Func):
    template = "(%(expressions)s))"
    arg_joiner = " = ANY("
    output_field = BooleanField()


def among(ids: Collection[int], *, path: str = "pk") -> Q:
    """A condition on rows: what stands at `path` is one of these ids, however many they are."""
    # One parameter: a list would be one for each, and a statement takes 65,535 at most. As text: adapted one by one,
    # fifty thousand ids take a second.
    return Q(_Among(F(path), RawSQL("%s::bigint[]", [f"{{{','.join(map(str, ids))}}}"])))


def seen_ids(user: Any) -> list[int] | None:
    """Ids of the customers `user` may see, for plain SQL; None where that is everybody."""
    scope = sees(user)
    if scope == Sees.ALL:
        return None
    if scope == Sees.OWN:
        return _own(user)
    return list(Customer.objects.filter(_condition(user, scope, "pk")).order_by("pk").values_list("pk", flat=True))


def only_seen(ids: list[int], theirs: list[int] | None) -> list[int]:
    """Those of `ids` that are among `theirs`, what `seen_ids` says: all of them where that is None. In order."""
    return ids if theirs is None else sorted(set(ids).intersection(theirs))


def _condition(user: Any, scope: Sees, path: str) -> Q:
    if scope == Sees.OWN:
        return among(_own(user), path=path)
    mates: list[int] | None = getattr(user, "_mates", None)
    if mates is None:
        teams = Team.objects.filter(members=user.pk).values("pk")
        members = Team.members.through.objects.filter(team__in=teams).values_list("user_id", flat=True)
        mates = user._mates = sorted({user.pk, *members})
    return _ownership()(mates, unowned=True, path=path)


def _own(user: Any) -> list[int]:
    """Ids of the customers somebody looks after themselves: few, so they are read once per request, like `sees`, and
    every list of the page begins with them instead of with the whole table."""
    known: list[int] | None = getattr(user, "_own", None)
    if known is None:
        rows = Customer.objects.filter(_ownership()([user.pk], unowned=False)).order_by("pk")
        known = user._own = list(rows.values_list("pk", flat=True))
    return known


def _ownership() -> Ownership:
    found: Ownership = import_string(settings.CUSTOMER_OWNERSHIP)
    return found
