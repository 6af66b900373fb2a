"""Changes to customers that other apps ask for."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction

from customers.addresses import normalise
from customers.errors import SollecitoError
from customers.models import Suppression

# Plain SQL: every batch of every loop says so, and LEAST passes over NULL.
_REASSESS = "UPDATE customers_customer SET reassess_at = LEAST(reassess_at, %s) WHERE id = ANY(%s)"


def customers_reassess(ids: Iterable[int], at: datetime) -> None:
    """Has the campaign side look at these customers at `at` (aware UTC) or earlier, in the caller's transaction.

    An earlier moment that is set already stays. Takes the customers' row locks: call it before invoices are
    locked (see billing.locks).
    """
    wanted = sorted(set(ids))
    if wanted:
        with connection.cursor() as cursor:
            cursor.execute(_REASSESS, [at, wanted])


#: The weightier reason stands where an address has several; staff's own word outweighs all.
_WEIGHT = {
    Suppression.Reason.HARD_BOUNCE: 0,
    Suppression.Reason.OPT_OUT: 1,
    Suppression.Reason.COMPLAINT: 2,
    Suppression.Reason.WRONG_NUMBER: 3,
    Suppression.Reason.MANUAL: 4,
}


def suppression_add(
    *, channel: str, address: str, reason: str, evidence: str, now: datetime, country: str = ""
) -> Suppression:
    """Has an address no longer used on a channel, since `now` (aware UTC).

    Where one is in force already, the earliest moment and the weightiest reason stand, so that the order in which
    reasons become known makes no difference. `reason` is one of Suppression.Reason, `evidence` what was said or
    seen; `country` reads local telephone numbers. Safe against two callers at once. Raises SollecitoError without
    an address.
    """
    spelled = normalise(channel, address, country)
    if not spelled:
        raise SollecitoError("There is no address to suppress.", code="no_address")
    with transaction.atomic():
        Suppression.objects.bulk_create(
            [Suppression(channel=channel, address=spelled, reason=reason, evidence=evidence, created_at=now)],
            ignore_conflicts=True,
        )
        row = Suppression.objects.select_for_update().get(channel=channel, address=spelled, lifted_at__isnull=True)
        old, new = _WEIGHT[Suppression.Reason(row.reason)], _WEIGHT[Suppression.Reason(reason)]
        if new > old or (new == old and (now, evidence) < (row.created_at, row.evidence)):
            row.reason, row.evidence = reason, evidence
        row.created_at = min(row.created_at, now)
        row.save(update_fields=["reason", "evidence", "created_at"])
    return row


def suppression_lift(*, suppression_id: int, now: datetime) -> Suppression:
    """Lets an address be used again. Who did it stands in the history. Raises SollecitoError if not in force."""
    with transaction.atomic():
        row = Suppression.objects.select_for_update().filter(pk=suppression_id, lifted_at__isnull=True).first()
        if row is None:
            raise SollecitoError("This suppression is not in force.", code="not_in_force")
        row.lifted_at = now
        row.save(update_fields=["lifted_at"])
    return row
