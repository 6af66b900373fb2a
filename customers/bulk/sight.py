"""Owns who sees bulk jobs and the rows in them: whoever asked, and whoever decides about what others asked for."""

from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.db.models import Exists, OuterRef, QuerySet

from customers.bulk.acts import act_known, second_persons
from customers.models import BulkItem, BulkJob, Sees
from customers.visibility import seen, sees


def jobs_shown(rows: QuerySet[BulkJob], user: Any) -> QuerySet[BulkJob]:
    """The jobs `user` may look at, with all their rows; whose sight is narrowed sees their own, and those they decide,
    or decided, about as a second person."""
    if sees(user) == Sees.ALL:
        return rows
    deciding = {pk for second in second_persons() for pk in second.shown_to(user)}
    return seen(rows, user, asked_by="asked_by") | rows.filter(pk__in=deciding)


def jobs_seen(job_ids: Collection[int], user: Any) -> dict[int, bool]:
    """Of these jobs those with rows of customers `user` sees: True where they see every row's that is still there.

    Two queries, and one more for each further model acted on; none where `user` sees everybody.
    """
    if sees(user) == Sees.ALL:
        return dict.fromkeys(job_ids, True)
    by_model: dict[str, list[int]] = {}
    for pk, slug in BulkJob.objects.filter(pk__in=job_ids).values_list("pk", "act"):
        if act := act_known(slug):
            by_model.setdefault(act.model, []).append(pk)
    found: dict[int, bool] = {}
    for name, ids in by_model.items():
        there = apps.get_model(name)._default_manager.filter(pk=OuterRef("target")).order_by()
        items = BulkItem.objects.filter(job=OuterRef("pk")).order_by()
        theirs = Exists(seen(there, user))
        # Each look ends at the first such row: a job may have a hundred thousand.
        hidden = Exists(items.filter(Exists(there), ~theirs))
        rows = BulkJob.objects.filter(Exists(items.filter(theirs)), pk__in=ids).order_by().annotate(more=hidden)
        found |= {pk: not more for pk, more in rows.values_list("pk", "more")}
    return found
