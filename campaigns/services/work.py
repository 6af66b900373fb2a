"""Taking work from the worklist and giving it out: claim, assign, snooze, done; each with its line in the log."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from campaigns.models import Case, Task, WorkItem
from campaigns.models.case import LIVE_STATES
from campaigns.services.case_acts import assign_act, cases_do
from campaigns.services.tasks import task_complete
from campaigns.worklist.marks import work_mark
from campaigns.worklist.refresh import work_refresh
from customers.bulk import BulkResult, batches
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Customer

#: The longest somebody may put a customer aside; longer is a pause of the case, which needs a reason.
SNOOZE_AT_MOST = timedelta(days=30)
#: After "done" a customer comes back a day later, should they still owe.
AFTER_DONE = timedelta(hours=20)


def work_claim(*, customer_id: int, actor_id: int, now: datetime) -> None:
    """Makes a customer nobody looks after one's own: the live cases without owner and the open tasks of nobody.

    Of two who click at once one is told who was quicker (SollecitoError `claimed`). Raises `work_missing` where there
    is nothing to do. Claiming twice changes nothing.
    """
    with transaction.atomic():
        item = _locked(customer_id)
        if item.owner_id == actor_id:
            return
        if item.owner_id is not None:
            who = get_user_model().objects.filter(pk=item.owner_id).first()
            raise SollecitoError(_("%(who)s was quicker.") % {"who": who}, code="claimed")
        _give([customer_id], actor_id, actor_id, now, only_free=True)
        WorkItem.objects.filter(pk=customer_id).update(owner_id=actor_id)


def work_release(*, customer_id: int, actor_id: int, now: datetime) -> None:
    """Gives one's own customer back to nobody. Raises SollecitoError where it is not one's own."""
    with transaction.atomic():
        item = _locked(customer_id)
        if item.owner_id != actor_id:
            raise SollecitoError(_("Only your own work can be given back."), code="not_yours")
        _give([customer_id], None, actor_id, now, only_free=False)
        WorkItem.objects.filter(pk=customer_id).update(owner_id=None)


def work_snooze(*, customer_id: int, until: datetime, actor_id: int, now: datetime, reason: str = "") -> None:
    """Takes a customer off the list until `until` (aware UTC), or until news: a word from them, a broken promise.

    Raises SollecitoError for a moment that is past or more than SNOOZE_AT_MOST away, or where there is nothing to do.
    """
    if not now < until <= now + SNOOZE_AT_MOST:
        raise SollecitoError(
            _("A snooze ends within %(days)d days; for longer, pause the case.") % {"days": SNOOZE_AT_MOST.days},
            code="snooze_span",
        )
    with transaction.atomic():
        _locked(customer_id)
        _put_aside(customer_id, until, now)
        _tell(customer_id, now, actor_id, "work.snoozed", _("Put aside until %(until)s UTC.") % {
            "until": f"{until:%Y-%m-%d %H:%M}"
        }, reason)  # fmt: skip
        work_refresh(now=now, only=[customer_id])


def work_done(*, customer_id: int, actor_id: int, now: datetime, outcome: str = "", call: str = "") -> int:
    """Finishes what is due: the open tasks whose time has come are done, and the customer comes back tomorrow.

    `call` says how a call ended (CallOutcome); without it tasks to call stay open, for nobody said that one was made.
    Returns the number of tasks closed. Raises SollecitoError where there is nothing to do.
    """
    with transaction.atomic():
        _locked(customer_id)
        tasks = Task.objects.filter(customer_id=customer_id, status=Task.Status.OPEN, due_at__lte=now)
        if not call:
            tasks = tasks.exclude(kind=Task.Kind.CALL)
        ids = list(tasks.order_by("pk").values_list("pk", flat=True))
        for pk in ids:
            task_complete(task_id=pk, outcome=outcome, call=call, actor_id=actor_id, now=now)
        _put_aside(customer_id, now + AFTER_DONE, now)
        _tell(customer_id, now, actor_id, "work.done", _("Done for today."), outcome)
        work_refresh(now=now, only=[customer_id])
    return len(ids)


def work_assign(
    *, customer_ids: Collection[int], owner_ids: Sequence[int], actor_id: int, now: datetime
) -> BulkResult:
    """Gives customers to members of staff in turn, whoever has least first; with no `owner_ids` to nobody.

    A second call with the same people may give otherwise: it goes by who has how much. Raises SollecitoError if one of
    them is no active member of staff.
    """
    loads = Counter(dict.fromkeys(owner_ids, 0))
    for row in WorkItem.objects.filter(owner__in=owner_ids).values("owner").annotate(n=Count("pk")):
        loads[row["owner"]] = row["n"]
    active = get_user_model().objects.filter(pk__in=owner_ids, is_active=True, is_staff=True).count()
    if active != len(loads):
        raise SollecitoError(_("Work is given to active staff."), code="owner_unfit")
    ordered = list(
        WorkItem.objects.filter(pk__in=list(customer_ids)).order_by("-rank", "pk").values_list("pk", "owner_id")
    )
    done, alike = 0, 0
    for owner_id, ids in distribute(ordered, loads).items():
        for batch in batches(ids):
            with transaction.atomic():
                _give(batch, owner_id, actor_id, now, only_free=False)
                WorkItem.objects.filter(pk__in=batch).update(owner_id=owner_id)
            done += len(batch)
    alike = len(ordered) - done
    return BulkResult(done, {_("They have this owner already."): alike} if alike else {})


def distribute(rows: Sequence[tuple[int, int | None]], loads: Counter[int]) -> dict[int | None, list[int]]:
    """Whom each row (customer, owner now) goes to: in order, each to whoever has least, ties to the lower number.

    A row that has one of these owners already stays with them. Without owners all go to nobody. Pure.
    """
    loads = Counter(loads)
    given: dict[int | None, list[int]] = {}
    for customer_id, owner_id in rows:
        if owner_id in loads or (not loads and owner_id is None):
            continue
        chosen = min(loads, key=lambda pk: (loads[pk], pk), default=None)
        if chosen is not None:
            loads[chosen] += 1
        given.setdefault(chosen, []).append(customer_id)
    return given


def _locked(customer_id: int) -> WorkItem:
    """The row, locked after its customer, cases and tasks, in the order the loops lock them."""
    Customer.objects.select_for_update(no_key=True).filter(pk=customer_id).first()
    cases = Case.objects.filter(customer=customer_id, state__in=LIVE_STATES).order_by("pk")
    list(cases.select_for_update(no_key=True).values_list("pk"))
    tasks = Task.objects.filter(customer=customer_id, status=Task.Status.OPEN).order_by("pk")
    list(tasks.select_for_update(no_key=True).values_list("pk"))
    work = WorkItem.objects.select_for_update().filter(pk=customer_id).first()
    if work is None:
        raise SollecitoError(_("There is nothing to do for this customer any more."), code="work_missing")
    return work


def _give(
    customer_ids: Collection[int], owner_id: int | None, actor_id: int, now: datetime, *, only_free: bool
) -> None:
    """Sets the owner of live cases and of open tasks; the worklist's own column is the caller's."""
    cases = Case.objects.filter(customer__in=customer_ids, state__in=LIVE_STATES)
    tasks = Task.objects.filter(customer__in=customer_ids, status=Task.Status.OPEN)
    if only_free:
        cases, tasks = cases.filter(owner=None), tasks.filter(assignee=None)
    ids = list(cases.values_list("pk", flat=True))
    cases_do(case_ids=ids, act=assign_act(owner_id=owner_id), actor_id=actor_id, now=now)
    tasks.update(assignee_id=owner_id)


def _put_aside(customer_id: int, until: datetime, now: datetime) -> None:
    WorkItem.objects.filter(pk=customer_id).update(snoozed_at=now, snoozed_until=until)
    work_mark([customer_id], now)


def _tell(customer_id: int, now: datetime, actor_id: int, kind: str, summary: str, body: str) -> None:
    record(
        Entry(
            customer_id=customer_id,
            at=now,
            kind=kind,
            summary=summary,
            body=body.strip(),
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
        )
    )
