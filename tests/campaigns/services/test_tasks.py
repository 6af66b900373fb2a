"""Closing the work people were given: what it does to the ladder that waits for it, whichever way it is closed."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.engine.run import escalate_due
from campaigns.models import Case, CaseState, Letter, Message, MessageStatus, PrintBatch, Step, Task
from campaigns.services.calls import call_record
from campaigns.services.messages import message_confirm_sent, message_resend
from campaigns.services.prints import print_batch_create, print_batch_printed
from campaigns.services.tasks import task_cancel, task_complete, tasks_close
from customers.errors import SollecitoError
from tests import factories as f

pytestmark = pytest.mark.django_db

LATER = f.NOW + timedelta(hours=12)
#: The one notice of its ladder has had its time by then.
AT_THE_END = f.NOW + timedelta(days=30)


@pytest.fixture
def staff() -> int:
    return User.objects.create_user("anna", is_staff=True).pk


def at_the_end(status: str, now: datetime, channel: str = "email") -> Case:
    """A case past the only step of its ladder, whose notice is `status`, after the engine has looked at it."""
    case = f.case(f.customer(phone="+39021234567"), ladder_version=f.ladder(steps=[{"offset": 0}]))
    escalate_due(now=f.NOW)
    Step.objects.update(channel=channel)
    Message.objects.update(status=status, send_at=None, channel=channel)
    Case.objects.update(next_action_at=now)
    assert escalate_due(now=now).claimed == 1
    case.refresh_from_db()
    assert (case.state, case.next_action_at) == ("open", now + timedelta(hours=12))
    return case


def _done(case: Case, staff: int, now: datetime) -> None:
    task_complete(task_id=Task.objects.get().pk, outcome="", actor_id=staff, now=now)


def _cancelled(case: Case, staff: int, now: datetime) -> None:
    task_cancel(task_id=Task.objects.get().pk, reason="", actor_id=staff, now=now)


def _found_sent(case: Case, staff: int, now: datetime) -> None:
    message_confirm_sent(message_id=Message.objects.get().pk, actor_id=staff, now=now)


def _sent_again(case: Case, staff: int, now: datetime) -> None:
    message_resend(message_id=Message.objects.get().pk, actor_id=staff, now=now)


def _called(case: Case, staff: int, now: datetime) -> None:
    # Where no written way is left the task is to call.
    Task.objects.update(kind=Task.Kind.CALL)
    call_record(customer_id=case.customer_id, outcome="spoke", actor_id=staff, now=now)


@pytest.mark.parametrize(
    ("status", "close", "state"),
    [
        (MessageStatus.BOUNCED, _done, "lost"),
        (MessageStatus.BOUNCED, _cancelled, "lost"),
        (MessageStatus.BOUNCED, _called, "lost"),
        (MessageStatus.AMBIGUOUS, _found_sent, "lost"),
        (MessageStatus.FAILED, _sent_again, "open"),  # until it has left
    ],
)
def test_a_ladder_at_its_end_goes_on_at_once_whichever_way_its_task_is_closed(
    staff: int, status: str, close: Callable[[Case, int, datetime], None], state: str
) -> None:
    case = at_the_end(status, AT_THE_END)
    later = AT_THE_END + timedelta(minutes=1)
    close(case, staff, later)
    assert Task.objects.get().status != Task.Status.OPEN
    assert escalate_due(now=later).claimed == 1
    case.refresh_from_db()
    assert case.state == state


def test_a_call_nobody_answered_leaves_the_ladder_waiting(staff: int) -> None:
    case = at_the_end(MessageStatus.BOUNCED, AT_THE_END)
    Task.objects.update(kind=Task.Kind.CALL)
    call_record(customer_id=case.customer_id, outcome="no_answer", actor_id=staff, now=AT_THE_END)
    assert escalate_due(now=AT_THE_END + timedelta(minutes=1)).claimed == 0


def test_a_ladder_goes_on_at_once_when_its_letter_is_posted(staff: int) -> None:
    case = at_the_end(MessageStatus.TO_PRINT, AT_THE_END, "letter")
    batch = PrintBatch.objects.create(created_at=AT_THE_END, created_by_id=staff, copies=1)
    Letter.objects.create(message=Message.objects.get(), batch=batch, pdf=b"%PDF", pages=1, created_at=f.NOW)
    later = AT_THE_END + timedelta(minutes=1)
    assert print_batch_printed(batch_id=batch.pk, actor_id=staff, now=later) == 1
    assert escalate_due(now=later).claimed == 1
    case.refresh_from_db()
    assert case.state == "lost"


def test_a_ladder_goes_on_at_once_when_its_letter_is_called_back(staff: int) -> None:
    at_the_end(MessageStatus.TO_PRINT, AT_THE_END, "letter")
    Message.objects.update(recipient="")
    Letter.objects.create(message=Message.objects.get(), pdf=b"%PDF", pages=1, created_at=f.NOW)
    later = AT_THE_END + timedelta(minutes=1)
    assert print_batch_create(actor_id=staff, now=later).cancelled == 1
    assert escalate_due(now=later).claimed == 1
    # No letter without an address: somebody is asked how to reach them.
    assert Task.objects.get().kind == Task.Kind.REVIEW


@pytest.mark.parametrize("act", [_found_sent, _sent_again])
def test_a_message_is_locked_after_its_case_as_the_loops_do_it(
    staff: int, act: Callable[[Case, int, datetime], None]
) -> None:
    case = at_the_end(MessageStatus.AMBIGUOUS, AT_THE_END)
    with CaptureQueriesContext(connection) as captured:
        act(case, staff, AT_THE_END)
    locks = [query["sql"] for query in captured if " FOR " in query["sql"] and "UPDATE" in query["sql"]]
    assert locks[0].endswith('FOR NO KEY UPDATE OF "campaigns_case"')
    assert 'FROM "campaigns_message"' in locks[1]


def test_closing_costs_the_same_for_one_task_and_for_fifty() -> None:
    def queries(count: int) -> int:
        rows = [f.case(f.customer(), next_action_at=LATER) for _ in range(count)]
        Task.objects.bulk_create(
            Task(customer=row.customer, case=row, kind="review", title="Look", due_at=f.NOW, created_at=f.NOW)
            for row in rows
        )
        with CaptureQueriesContext(connection) as captured:
            assert tasks_close(tasks=Task.objects.all(), status=Task.Status.DONE, now=f.NOW) == count
        assert Case.objects.filter(next_action_at=f.NOW, pk__in=[row.pk for row in rows]).count() == count
        return len(captured)

    assert queries(1) == queries(50) <= 4


@pytest.mark.parametrize("close", ["complete", "cancel"])
def test_a_ladder_that_waits_for_a_person_goes_on_once_they_have_closed_their_task(staff: int, close: str) -> None:
    case = f.case(f.customer(), next_action_at=LATER)
    task = Task.objects.create(
        customer=case.customer, case=case, kind="review", title="Look", due_at=f.NOW, created_at=f.NOW
    )
    if close == "complete":
        task_complete(task_id=task.pk, outcome="", actor_id=staff, now=f.NOW)
    else:
        task_cancel(task_id=task.pk, reason="", actor_id=staff, now=f.NOW)
    case.refresh_from_db()
    assert case.next_action_at == f.NOW


def test_a_case_that_rests_goes_on_resting(staff: int) -> None:
    case = f.case(f.customer(), state=CaseState.PAUSED, rests_until=LATER, next_action_at=LATER)
    task = Task.objects.create(
        customer=case.customer, case=case, kind="review", title="Look", due_at=f.NOW, created_at=f.NOW
    )
    task_complete(task_id=task.pk, outcome="", actor_id=staff, now=f.NOW)
    case.refresh_from_db()
    assert case.next_action_at == LATER


def test_a_task_closed_twice_leaves_the_case_as_it_was(staff: int) -> None:
    case = f.case(f.customer(), next_action_at=LATER)
    task = Task.objects.create(
        customer=case.customer, case=case, kind="review", title="Look", due_at=f.NOW, created_at=f.NOW, status="done",
        closed_at=f.NOW,
    )  # fmt: skip
    with pytest.raises(SollecitoError):
        task_complete(task_id=task.pk, outcome="", actor_id=staff, now=f.NOW)
    case.refresh_from_db()
    assert case.next_action_at == LATER
