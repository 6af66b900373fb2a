"""The escalate loop: each step once, in a constant number of queries, under any number of workers."""

from datetime import timedelta

import pytest

from campaigns.engine.run import escalate_all, escalate_due
from campaigns.models import Case, Message, StepRun
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def test_a_due_case_queues_one_message_and_moves_on():
    case = factories.case(factories.customer())
    result = escalate_due(now=NOW)
    assert (result.claimed, result.done, result.messages) == (1, 1, 1)
    message = Message.objects.get()
    run = StepRun.objects.get()
    assert message.key == f"step:{run.pk}:0:email"
    assert (message.status, message.recipient, message.language) == ("queued", case.customer.email, "en")
    assert message.send_at == NOW
    assert run.decision == "done"
    case.refresh_from_db()
    assert case.position == 1
    assert case.next_action_at == case.anchor_at + timedelta(days=3)
    assert "Step 2" in case.next_action_reason
    assert Interaction.objects.get(kind="step.done").subject == f"case:{case.pk}"


def test_repeated_ticks_act_once():
    factories.case(factories.customer())
    for _ in range(3):
        list(escalate_all(now=NOW))
    assert Message.objects.count() == 1
    assert Case.objects.get().position == 1


def test_queries_do_not_grow_with_the_batch(django_assert_num_queries):
    ladder = factories.ladder()

    def queries(count):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        for _ in range(count):
            factories.case(factories.customer(), ladder_version=ladder)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            result = escalate_due(now=NOW)
        assert result.done == count
        return len(captured)

    assert queries(1) == queries(200) <= 20
