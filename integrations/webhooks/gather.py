"""Owns finding what is to be told: the log's lines and staff's tasks since an endpoint last looked.

The log is the durable record, so nothing depends on a signal reaching anybody: what a crash kept from being told is
found by the next look. Rows get their numbers before they are committed, so each look goes back a little and passes
over what is queued already.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max
from django.urls import reverse

from campaigns.models import Task
from customers.models import Customer, Interaction
from customers.wake import wake
from integrations.models import Endpoint, Event, EventDelivery

#: Numbers a look goes back: more than are given out while the longest transaction runs (a batch of cases, seconds).
LOOK_BACK = 50_000

_LINES = """
    SELECT i.id
      FROM customers_interaction i
      JOIN customers_customer c ON c.id = i.customer_id
     WHERE i.id > %s AND i.id <= %s AND i.kind = ANY(%s) AND i.id > %s
       AND (%s::bigint IS NULL OR c.brand_id = %s)
       AND NOT EXISTS (SELECT 1 FROM integrations_eventdelivery d
                        WHERE d.endpoint_id = %s AND d.event_id = 'log:' || i.id)
     ORDER BY i.id
     LIMIT %s
"""
_TASKS = """
    SELECT t.id
      FROM campaigns_task t
      JOIN customers_customer c ON c.id = t.customer_id
     WHERE t.id > %s AND t.id <= %s AND t.id > %s AND (%s::bigint IS NULL OR c.brand_id = %s)
       AND NOT EXISTS (SELECT 1 FROM integrations_eventdelivery d
                        WHERE d.endpoint_id = %s AND d.event_id = 'task:' || t.id)
     ORDER BY t.id
     LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class GatherResult:
    """Endpoints looked at, and events queued for them."""

    endpoints: int = 0
    queued: int = 0


def endpoint_begin(endpoint: Endpoint) -> None:
    """Has an endpoint begin with what happens from now on; saves nothing else of it."""
    endpoint.seen_interaction = endpoint.began_interaction = _newest(Interaction)
    endpoint.seen_task = endpoint.began_task = _newest(Task)


def gather_events(*, now: datetime, limit: int = 500) -> GatherResult:
    """Queues up to `limit` new events of each source for every active endpoint. Safe with any number of workers."""
    queued = 0
    ids = list(Endpoint.objects.filter(active=True).order_by("id").values_list("pk", flat=True))
    for pk in ids:
        with transaction.atomic():
            endpoint = Endpoint.objects.select_for_update(skip_locked=True).filter(pk=pk, active=True).first()
            if endpoint is not None:
                queued += _gather(endpoint, now, limit)
    if queued:
        wake("integrations.tasks.deliver_events")
    return GatherResult(len(ids), queued)


def _gather(endpoint: Endpoint, now: datetime, limit: int) -> int:
    rows: list[EventDelivery] = []
    kinds = [kind for kind in endpoint.events if kind not in (Event.TASK_CREATED, Event.STEP_WEBHOOK)]
    newest = _newest(Interaction)
    if kinds:
        ids = _ids(
            _LINES,
            [endpoint.seen_interaction - LOOK_BACK, newest, kinds, endpoint.began_interaction, endpoint.brand_id,
             endpoint.brand_id, endpoint.pk, limit],
        )  # fmt: skip
        lines = Interaction.objects.filter(pk__in=ids).select_related("customer__brand").order_by("pk")
        rows += [_row(endpoint, f"log:{line.pk}", line.kind, of_line(line), now) for line in lines]
        newest = ids[-1] if len(ids) == limit else newest
    newest_task = _newest(Task)
    if Event.TASK_CREATED in endpoint.events:
        ids = _ids(
            _TASKS,
            [endpoint.seen_task - LOOK_BACK, newest_task, endpoint.began_task, endpoint.brand_id, endpoint.brand_id,
             endpoint.pk, limit],
        )  # fmt: skip
        tasks = Task.objects.filter(pk__in=ids).select_related("customer__brand").order_by("pk")
        rows += [_row(endpoint, f"task:{task.pk}", Event.TASK_CREATED, of_task(task), now) for task in tasks]
        newest_task = ids[-1] if len(ids) == limit else newest_task
    EventDelivery.objects.bulk_create(rows, ignore_conflicts=True)
    Endpoint.objects.filter(pk=endpoint.pk).update(seen_interaction=newest, seen_task=newest_task)
    return len(rows)


def _ids(statement: str, values: list[Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [pk for (pk,) in cursor.fetchall()]


def _newest(model: Any) -> int:
    return int(model.objects.aggregate(newest=Max("pk"))["newest"] or 0)


def _row(endpoint: Endpoint, event_id: str, kind: str, payload: dict[str, Any], now: datetime) -> EventDelivery:
    return EventDelivery(endpoint=endpoint, event_id=event_id, kind=kind, payload=payload, created_at=now, next_at=now)


def of_line(line: Interaction) -> dict[str, Any]:
    """A line of the log as it is told. Texts people wrote stay in the house."""
    return {
        "id": f"log:{line.pk}",
        "type": line.kind,
        "timestamp": line.at.isoformat(),
        "customer": of_customer(line.customer),
        "summary": line.summary,
        "subject": line.subject,
        "data": line.data,
        "url": customer_url(line.customer_id),
    }


def of_task(task: Task) -> dict[str, Any]:
    """A task as it is told."""
    return {
        "id": f"task:{task.pk}",
        "type": Event.TASK_CREATED.value,
        "timestamp": task.created_at.isoformat(),
        "customer": of_customer(task.customer),
        "summary": task.title,
        "subject": f"task:{task.pk}",
        "data": {"kind": task.kind, "due_at": task.due_at.isoformat(), "case": task.case_id},
        "url": customer_url(task.customer_id),
    }


def of_customer(customer: Customer) -> dict[str, Any]:
    """Who it is about, by the ids other systems know."""
    return {
        "id": customer.pk,
        "source": customer.source,
        "external_id": customer.external_id,
        "name": str(customer),
        "brand": customer.brand.code,
    }


def customer_url(customer_id: int) -> str:
    """The customer's page in the back office."""
    return f"{settings.BASE_URL}{reverse('admin:customers_customer_change', args=[customer_id])}"
