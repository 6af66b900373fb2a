"""Owns up to what amount somebody gives money up alone: the highest limit of their roles, per act and currency."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Max

from billing import money
from billing.approvals.acts import Act
from billing.models import Adjustment, ApprovalLimit

#: What one person gave up on a customer counts together for so long: a large sum is not many small ones.
TOGETHER = timedelta(days=30)
#: Superusers belong to no group; they have this one's limits.
SUPERUSERS = "admin"
#: What a new installation begins with, in major units; other currencies have none until somebody sets them.
FIRST = {"senior": Decimal(100), "manager": Decimal(1000), "admin": Decimal(1000)}
FIRST_CURRENCIES = {"EUR": 1, "USD": 1, "GBP": 1, "CHF": 1, "PLN": 4}
FIRST_ACTS = (Adjustment.Kind.WRITE_OFF, Adjustment.Kind.CREDIT, Adjustment.Kind.WAIVER)


def limit_of(*, actor_id: int, act: str, currency: str) -> int:
    """The most in minor units that somebody does alone; 0 where no role of theirs has a limit. One query."""
    user = get_user_model().objects.filter(pk=actor_id)
    mine = Group.objects.filter(user=actor_id)
    groups = mine | Group.objects.filter(name=SUPERUSERS) if user.filter(is_superuser=True).exists() else mine
    rows = ApprovalLimit.objects.filter(act=act, currency=currency, group__in=groups.values("pk"))
    return rows.aggregate(most=Max("amount"))["most"] or 0


def within_limit(
    *, act: Act, customer_ids: Collection[int], amounts: Mapping[str, int], actor_id: int, now: datetime
) -> bool:
    """Whether somebody may do this alone: together with what they gave up on these customers in the last thirty days
    (`now` is aware UTC) no currency exceeds their limit. Without settings.FOUR_EYES everybody may everything."""
    if not settings.FOUR_EYES:
        return True
    for currency, amount in amounts.items():
        before = act.spent(actor_id, customer_ids, currency, now - TOGETHER)
        if amount + before > limit_of(actor_id=actor_id, act=act.slug, currency=currency):
            return False
    return True


def limits_sync() -> int:
    """Gives a new installation its first limits; returns how many. Once anybody touched a limit, they stay as they
    are: what was deleted must not come back with the next deployment."""
    if ApprovalLimit.history.exists():
        return 0
    groups = {group.name: group for group in Group.objects.filter(name__in=FIRST)}
    rows = [
        ApprovalLimit(act=act, group=group, currency=currency, amount=money.to_minor(FIRST[name] * times, currency))
        for act in FIRST_ACTS
        for name, group in groups.items()
        for currency, times in FIRST_CURRENCIES.items()
    ]
    for row in rows:
        row.save()
    return len(rows)
