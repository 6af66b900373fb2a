"""Closing the work people were given: what it does to the ladder that waits for it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from campaigns.models import CaseState, Task
from campaigns.services.tasks import task_cancel, task_complete
from customers.errors import SollecitoError
from tests import factories as f

pytestmark = pytest.mark.django_db

LATER = f.NOW + timedelta(hours=12)


@pytest.fixture
def staff() -> int:
    return User.objects.create_user("anna", is_staff=True).pk


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
