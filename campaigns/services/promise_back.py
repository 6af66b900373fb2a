"""Promises taken back as ones noted by mistake, one or many, and let stand again where that was the mistake."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.translation import gettext as _

from billing.models import Promise
from billing.signals import announce_facts_changed
from campaigns.services.promises import cases_rest
from customers.bulk import Did
from customers.errors import SollecitoError
from customers.log import Entry, record_many
from customers.models import ActorKind, Customer
from customers.services import customers_reassess
from customers.wake import wake


def promises_ended(promise_ids: Collection[int]) -> dict[int, str]:
    """Why promises cannot be taken back, by id: those that stand are missing. One query."""
    found = dict.fromkeys(promise_ids, _("It is not there any more."))
    for pk, status in Promise.objects.filter(pk__in=promise_ids).values_list("pk", "status"):
        if status == Promise.Status.OPEN:
            del found[pk]
        else:
            found[pk] = _("Its status is: %(status)s.") % {"status": Promise.Status(status).label}
    return found


@transaction.atomic
def promises_cancel(*, promise_ids: Collection[int], reason: str, actor_id: int, now: datetime) -> dict[int, Did]:
    """Takes promises back at `now` (aware UTC), in a fixed number of statements; says what became of each.

    Their cases go on as if they had not been made. A second call changes nothing. Raises SollecitoError without a
    reason.
    """
    if not reason.strip():
        raise SollecitoError(_("Say why the promise does not stand."), code="reason_missing")
    rows = _locked(promise_ids)
    ended = promises_ended(promise_ids)
    standing = [row for row in rows if row.pk not in ended]
    words = _("The promise to pay by %(day)s was taken back.")
    lines = [
        _line(row, "promise.cancelled", words % {"day": row.promised_on.isoformat()}, reason, actor_id, now)
        for row in standing
    ]
    _write(standing, lines, actor_id, now, status=Promise.Status.CANCELLED, closed_at=now)
    # When they ended says later whether anybody has touched them since.
    did = {row.pk: Did(before={"closed_at": now.isoformat()}) for row in standing}
    return did | {pk: Did.not_done(why) for pk, why in ended.items()}


def promise_cancel(*, promise_id: int, reason: str, actor_id: int, now: datetime) -> None:
    """`promises_cancel` for a single one. Raises SollecitoError without a reason, if there is none, or if it has
    ended."""
    did = promises_cancel(promise_ids=[promise_id], reason=reason, actor_id=actor_id, now=now)
    if not did[promise_id].done:
        raise SollecitoError(_("There is no such promise any more."), code="promise_ended")


def promises_lying(taken: Mapping[int, datetime], now: datetime) -> dict[int, str]:
    """Why promises that were taken back, each at its moment (aware UTC), cannot stand again at `now`, by id: those
    that can are missing. Two queries."""
    rows = list(Promise.objects.filter(pk__in=taken).order_by("pk"))
    others = Promise.objects.filter(customer__in={row.customer_id for row in rows}, status=Promise.Status.OPEN)
    standing = set(others.values_list("customer_id", "brand_id"))
    found = dict.fromkeys(taken, _("It is not there any more."))
    for row in rows:
        del found[row.pk]
        if row.status != Promise.Status.CANCELLED or row.closed_at != taken[row.pk]:
            found[row.pk] = _("Changed since.")
        elif row.expires_at <= now:
            found[row.pk] = _("Its day has passed.")
        elif (row.customer_id, row.brand_id) in standing:
            found[row.pk] = _("Another promise stands already.")
        else:
            standing.add((row.customer_id, row.brand_id))
    return found


@transaction.atomic
def promises_reopen(*, taken: Mapping[int, datetime], actor_id: int, now: datetime) -> dict[int, Did]:
    """Lets promises stand again that were taken back, each at its moment (aware UTC), in a fixed number of statements.

    Cases that are open rest at once. What was paid meanwhile counts, as it is assessed next. A second call changes
    nothing.
    """
    rows = _locked(taken)
    lying = promises_lying(taken, now)
    again = [row for row in rows if row.pk not in lying]
    words = _("The promise to pay by %(day)s stands again.")
    lines = [
        _line(row, "promise.reopened", words % {"day": row.promised_on.isoformat()}, "", actor_id, now)
        for row in again
    ]
    _write(again, [*lines, *cases_rest(again, now)], actor_id, now, status=Promise.Status.OPEN, closed_at=None)
    return {row.pk: Did() for row in again} | {pk: Did.not_done(why) for pk, why in lying.items()}


def _locked(promise_ids: Collection[int]) -> list[Promise]:
    """The promises, locked after their customers, as whoever takes one and the assess loop do."""
    owners = Promise.objects.filter(pk__in=promise_ids).values("customer_id")
    list(Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    return list(Promise.objects.filter(pk__in=promise_ids).order_by("pk").select_for_update())


def _line(row: Promise, kind: str, summary: str, body: str, actor_id: int, now: datetime) -> Entry:
    return Entry(
        customer_id=row.customer_id,
        at=now,
        kind=kind,
        summary=summary,
        body=body.strip(),
        actor_kind=ActorKind.USER,
        actor_id=actor_id,
        subject=f"promise:{row.pk}",
    )


def _write(rows: Sequence[Promise], lines: Sequence[Entry], actor_id: int, now: datetime, **values: Any) -> None:
    if not rows:
        return
    Promise.objects.filter(pk__in=[row.pk for row in rows]).update(**values)
    for row in rows:
        for name, value in values.items():
            setattr(row, name, value)
    actor = get_user_model().objects.get(pk=actor_id)
    Promise.history.bulk_history_create(rows, update=True, default_user=actor)
    owners = {row.customer_id for row in rows}
    customers_reassess(owners, now)
    announce_facts_changed(owners)
    record_many(lines)
    wake("campaigns.tasks.assess_customers")
