from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from campaigns import contacts
from campaigns.contacts import CONTACTS_REMEMBERED, Logged, logged
from campaigns.context import load
from campaigns.engine.load import load_cases
from campaigns.guard.types import Contacted
from campaigns.models import MessageStatus, Task
from campaigns.models.message import PENDING
from campaigns.services.tasks import task_cancel, task_complete
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import Interaction
from customers.notes import call_log, note_add
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def staff(django_user_model: Any) -> int:
    return int(django_user_model.objects.create(username="anna").pk)


@pytest.mark.parametrize(
    ("outcome", "direction", "made", "talks"),
    [
        ("spoke", "out", 1, 1),
        ("left_message", "out", 1, 0),
        ("no_answer", "out", 1, 0),
        ("wrong_number", "out", 1, 0),
        ("spoke", "in", 0, 1),
    ],
)
def test_calls_that_were_logged_count(staff: int, outcome: str, direction: str, made: int, talks: int) -> None:
    customer = factories.customer()
    call_log(customer_id=customer.pk, outcome=outcome, direction=direction, actor_id=staff, now=NOW - HOUR)
    found = logged([customer.pk], NOW)[customer.pk]
    assert found == Logged((Contacted("call", NOW - HOUR),) * made, (Contacted("call", NOW - HOUR),) * talks)
    assert Interaction.objects.get().channel == "call"


@pytest.mark.parametrize(("outcome", "direction"), [("", "out"), ("spoke", "internal"), ("shouted", "out")])
def test_a_call_without_outcome_is_no_call(staff: int, outcome: str, direction: str) -> None:
    with pytest.raises(SollecitoError):
        call_log(customer_id=factories.customer().pk, outcome=outcome, direction=direction, actor_id=staff, now=NOW)


def test_notes_replies_and_call_tasks_count_by_what_they_were(staff: int) -> None:
    customer = factories.customer()

    def note(direction: str, channel: str, hours: int) -> None:
        note_add(
            customer_id=customer.pk, text="x", direction=direction, channel=channel, actor_id=staff,
            now=NOW - hours * HOUR,
        )  # fmt: skip

    note("internal", "call", 1)  # a remark about a call is no call
    note("out", "email", 2)
    note("in", "email", 3)
    note("in", "", 4)
    note("out", "call", 5)  # nobody said that nobody answered
    record(Entry(customer.pk, NOW - 6 * HOUR, "reply.received", "Hello", direction="in", channel="sms"))
    record(Entry(customer.pk, NOW - 7 * HOUR, "message.opened", "Opened", direction="in", channel="email"))
    record(Entry(customer.pk, NOW - 8 * HOUR, "reply.automatic", "Away", direction="in", channel="email"))
    for hours, call in ((9, "no_answer"), (10, ""), (11, None)):
        task = Task.objects.create(customer=customer, kind="call", title="Call", due_at=NOW, created_at=NOW)
        if call is None:
            task_cancel(task_id=task.pk, reason="", actor_id=staff, now=NOW - hours * HOUR)
        else:
            task_complete(task_id=task.pk, outcome="", call=call, actor_id=staff, now=NOW - hours * HOUR)
    task = Task.objects.create(customer=customer, kind="review", title="Look", due_at=NOW, created_at=NOW)
    task_complete(task_id=task.pk, outcome="", actor_id=staff, now=NOW - 12 * HOUR)
    call_log(customer_id=customer.pk, outcome="spoke", actor_id=staff, now=NOW - CONTACTS_REMEMBERED)
    found = logged([customer.pk], NOW)[customer.pk]
    assert [(c.channel, (NOW - c.at) / HOUR) for c in found.made] == [
        ("email", 2),
        ("call", 5),
        ("call", 9),
        ("call", 10),
    ]
    assert [(c.channel, (NOW - c.at) / HOUR) for c in found.talks] == [
        ("email", 3), ("", 4), ("call", 5), ("sms", 6), ("call", 10),
    ]  # fmt: skip


def test_who_decides_and_who_sends_see_the_same_calls(staff: int) -> None:
    case = factories.case(factories.customer())
    message = factories.message(case, queued_at=NOW + HOUR)
    call_log(customer_id=case.customer_id, outcome="spoke", actor_id=staff, now=NOW - HOUR)
    deciding = load_cases([case.pk], NOW).cases[0].snapshot.guard
    sending = load([message.pk], NOW)[0].snapshot
    assert deciding.talks == sending.talks == (Contacted("call", NOW - HOUR),)
    assert Contacted("call", NOW - HOUR) in deciding.contacts
    assert sending.contacts == (Contacted("call", NOW - HOUR),)


def test_the_log_is_read_down_its_own_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {contacts._LOGGED}", [[1, 2], NOW])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "interaction_contacts" in plan


@pytest.mark.parametrize("status", MessageStatus.values)
def test_the_engine_and_the_guard_agree_on_which_messages_were_contacts(status: str) -> None:
    made = factories.case(factories.customer())
    at = NOW - 3 * HOUR
    factories.message(made, status=status, queued_at=at, send_at=at, claimed_at=at, sent_at=at)
    due = factories.message(made, status="sending", claimed_at=NOW, queued_at=NOW - 2 * HOUR, purpose="receipt")
    guard = load([due.pk], NOW)[0].snapshot.contacts
    engine = load_cases([made.pk], NOW).cases[0].snapshot.guard.contacts
    # The engine also counts what it has queued itself: the next step is not to be planned on top of it.
    assert engine == guard or (status in PENDING and not guard)
    assert bool(engine) is (status not in ("cancelled", "failed", "bounced"))
