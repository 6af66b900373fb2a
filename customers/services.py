"""Changes to customers that other apps ask for."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Value
from django.db.models.functions import Coalesce, Least

from customers.models import Customer


def customers_reassess(ids: Iterable[int], at: datetime) -> None:
    """Has the campaign side look at these customers at `at` (aware UTC) or earlier, in the caller's transaction.

    An earlier moment that is set already stays. Takes the customers' row locks: call it before invoices are
    locked (see billing.locks).
    """
    wanted = sorted(set(ids))
    if wanted:
        Customer.objects.filter(id__in=wanted).update(reassess_at=Least(Coalesce("reassess_at", Value(at)), Value(at)))
