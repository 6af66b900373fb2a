"""Notes that mention colleagues."""

import pytest
from django.contrib.auth.models import User

from campaigns.models import Task
from campaigns.services.notes import Noted, note_write
from customers.errors import SollecitoError
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def staff(name: str, **fields: object) -> User:
    return User.objects.create_user(name, is_staff=True, **fields)


def test_who_is_mentioned_gets_a_task() -> None:
    boss, anna, bert = staff("boss"), staff("anna.rossi"), staff("Bert")
    staff("gone", is_active=False)
    customer = make.customer()
    case = make.case(customer)
    text = "Ask @ANNA.ROSSI. Mail pay@bert.example; @gone, @nobody and @boss know.\nSecond line."
    noted = note_write(customer_id=customer.pk, text=text, actor_id=boss.pk, now=NOW, tell=[bert.pk], case_id=case.pk)
    assert noted == Noted(("anna.rossi", "Bert"), ("gone", "nobody"))
    tasks = Task.objects.order_by("id")
    assert [(t.assignee, t.case, t.due_at, t.status) for t in tasks] == [
        (anna, case, NOW, "open"),
        (bert, case, NOW, "open"),
    ]
    assert tasks[0].title.startswith("boss mentioned you: Ask @ANNA.ROSSI.")
    line = customer.interactions.get()
    assert (line.kind, line.subject, line.data) == (
        "note.added",
        f"case:{case.pk}",
        {"mentions": ["anna.rossi", "Bert"]},
    )


def test_a_note_without_words_tells_nobody() -> None:
    boss, anna = staff("boss"), staff("anna")
    customer = make.customer()
    with pytest.raises(SollecitoError):
        note_write(customer_id=customer.pk, text="  \n", actor_id=boss.pk, now=NOW, tell=[anna.pk])
    assert not Task.objects.exists()
    assert not customer.interactions.exists()
