"""Closing the work people were given; each closing is a line in the customer's log."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from campaigns.engine.nudge import cases_nudge
from campaigns.models import Task
from campaigns.worklist.marks import work_mark
from customers.errors import SollecitoError, check_transition
from customers.log import Entry, record
from customers.models import ActorKind, CallOutcome, Channel, Direction

_TRANSITIONS = {source.value: frozenset(map(str, targets)) for source, targets in Task.TRANSITIONS.items()}


def task_complete(*, task_id: int, outcome: str, actor_id: int, now: datetime, call: str = "") -> None:
    """Marks an open task done at `now` (aware UTC), with what came of it; of a call task `call` says how it ended
    (CallOutcome): the guard counts the call, and without that word takes it for a conversation.

    Raises SollecitoError if there is no such task, IllegalTransition if it is cancelled, and `task_closed`
    if it is done already: two people may have the list open.
    """
    if call and call not in CallOutcome.values:
        raise SollecitoError(_("Say what came of the call."), code="call_outcome")
    _close(task_id, Task.Status.DONE, outcome, actor_id, now, call)


def task_cancel(*, task_id: int, reason: str, actor_id: int, now: datetime) -> None:
    """Takes an open task off the list undone; raises as task_complete does."""
    _close(task_id, Task.Status.CANCELLED, reason, actor_id, now)


def tasks_close(*, tasks: QuerySet[Task], status: Task.Status, now: datetime) -> int:
    """Closes the open ones among `tasks` at `now` (aware UTC), in the caller's transaction, and returns how many.

    Ladders that wait for whoever had them go on at once, and their customers are ranked anew. A fixed number of
    statements. Takes the locks of the cases before those of the tasks: a caller that holds a message's has the case's
    already. Whoever closes tasks because their case leaves its ladder has nobody to wake and need not come here.
    """
    found = list(tasks.filter(status=Task.Status.OPEN).order_by("pk").values_list("pk", "case_id", "customer_id"))
    if not found:
        return 0
    cases_nudge({case_id for _pk, case_id, _customer_id in found if case_id is not None}, now)
    closed = Task.objects.filter(pk__in=[pk for pk, *_ in found], status=Task.Status.OPEN).update(
        status=status, closed_at=now
    )
    work_mark((customer_id for _pk, _case_id, customer_id in found), now)
    return closed


def _close(task_id: int, status: Task.Status, words: str, actor_id: int, now: datetime, call: str = "") -> None:
    with transaction.atomic():
        closed = tasks_close(tasks=Task.objects.filter(pk=task_id), status=status, now=now)
        task = Task.objects.filter(pk=task_id).first()
        if task is None:
            raise SollecitoError(_("There is no such task."), code="task_missing")
        if not closed:
            check_transition(_TRANSITIONS, what="Task", source=task.status, target=status)
            raise SollecitoError(_("The task was closed already."), code="task_closed")
        done = status == Task.Status.DONE
        called = done and task.kind == Task.Kind.CALL
        record(
            Entry(
                customer_id=task.customer_id,
                at=now,
                kind="task.done" if done else "task.cancelled",
                summary=(_("Done: %(title)s") if done else _("Cancelled: %(title)s")) % {"title": task.title},
                body=words.strip(),
                channel=Channel.CALL if task.kind == Task.Kind.CALL else "",
                direction=Direction.OUT if called else Direction.INTERNAL,
                outcome=call if called else "",
                actor_kind=ActorKind.USER,
                actor_id=actor_id,
                subject=f"task:{task.pk}",
                data={"case_id": task.case_id},
            )
        )
