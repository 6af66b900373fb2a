"""Taking many customers out of dunning at once; each a line in the log and in the history."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.translation import gettext as _

from customers.bulk import BulkResult, batches
from customers.errors import SollecitoError
from customers.log import Entry, record_many
from customers.models import ActorKind, Customer
from customers.services import customers_reassess
from customers.signals import announce_exclusions_changed


def no_dunning_plan(*, customer_ids: Collection[int]) -> BulkResult:
    """What `no_dunning_set` would do now; writes nothing."""
    found = BulkResult()
    for batch in batches(customer_ids):
        rows = Customer.objects.filter(pk__in=batch).only("no_dunning", "deleted_at")
        reasons = Counter(_passed_over(row) for row in rows)
        found += BulkResult(reasons.pop("", 0), dict(reasons))
    return found


def no_dunning_set(*, customer_ids: Collection[int], reason: str, actor_id: int, now: datetime) -> BulkResult:
    """Excludes customers from dunning and from charges nobody asked for, at `now` (aware UTC), batch by batch.

    Who is excluded already or deleted at the source is passed over. Raises SollecitoError without a reason.
    """
    reason = reason.strip()
    if not reason:
        raise SollecitoError(_("Say why."), code="reason_missing")
    actor = get_user_model().objects.get(pk=actor_id)
    found = BulkResult()
    for batch in batches(customer_ids):
        with transaction.atomic():
            rows = list(Customer.objects.filter(pk__in=batch).order_by("pk").select_for_update(no_key=True))
            reasons = {row.pk: _passed_over(row) for row in rows}
            fit = [row for row in rows if not reasons[row.pk]]
            ids = [row.pk for row in fit]
            Customer.objects.filter(pk__in=ids).update(no_dunning=True, exclusion_reason=reason[:255])
            for row in fit:
                row.no_dunning, row.exclusion_reason = True, reason[:255]
                announce_exclusions_changed(row.pk)
            Customer.history.bulk_history_create(fit, update=True, default_user=actor)
            customers_reassess(ids, now)
            record_many(
                Entry(
                    customer_id=pk,
                    at=now,
                    kind="customer.edited",
                    summary=_("Excluded from dunning."),
                    body=reason,
                    actor_kind=ActorKind.USER,
                    actor_id=actor_id,
                    data={"fields": ["no_dunning", "exclusion_reason"]},
                )
                for pk in ids
            )
        found += BulkResult(len(fit), dict(Counter(filter(None, reasons.values()))))
    return found


def _passed_over(customer: Customer) -> str:
    if customer.deleted_at is not None:
        return _("Deleted at the source.")
    return _("Excluded already.") if customer.no_dunning else ""
