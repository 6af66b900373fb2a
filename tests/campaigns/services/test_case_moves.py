"""Cases in flight go over to another version: previewed, logged, and never told the same thing twice."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.engine.run import escalate_all
from campaigns.models import Case, LadderVersion, Message, Step, Task
from campaigns.services.case_moves import cases_migrate, cases_migrate_preview
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def second(version, keys, status="published"):
    """A newer version of the ladder with steps of these keys and days."""
    LadderVersion.objects.filter(pk=version.pk).update(status="retired")
    newer = LadderVersion.objects.create(ladder=version.ladder, number=2, status=status)
    for position, (key, offset) in enumerate(keys, start=1):
        Step.objects.create(
            version=newer, position=position, key=key, name=key, offset=offset, action="message", channel="email",
            template=factories.template(),
        )  # fmt: skip
    return newer


def climb(at):
    list(escalate_all(now=at))
    Message.objects.filter(status="queued").update(status="sent", sent_at=at)


@pytest.fixture
def case():
    version = factories.ladder()  # step-1 on day 0, step-2 on day 3, step-3 on day 7
    row = factories.case(factories.customer(), ladder_version=version, anchor_at=NOW)
    climb(NOW)
    climb(NOW + 3 * DAY)
    row.refresh_from_db()
    assert row.position == 2
    return row


def told():
    return list(Message.objects.order_by("id").values_list("step_run__step__key", flat=True))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        # The same with one more at the end.
        ([("step-1", 0), ("step-2", 3), ("step-3", 5), ("new", 9)], ["step-3", "new"]),
        # Turned round: what was said is not said again, wherever it stands now.
        ([("new", 0), ("step-2", 3), ("step-1", 5), ("step-3", 9)], ["step-3"]),
        # A new one before those taken is over for this case.
        ([("step-1", 0), ("new", 1), ("step-2", 3), ("step-3", 9)], ["step-3"]),
        # Nothing in common: it goes on after the days it has been told of, with the very next.
        ([("a", 0), ("b", 2), ("c", 6), ("d", 9)], ["c", "d"]),
        ([("step-1", 0)], []),
    ],
)
def test_a_step_taken_is_not_taken_again(case, admin_user, keys, expected):
    target = second(case.ladder_version, keys)
    at = NOW + 4 * DAY
    (preview,) = cases_migrate_preview(case_ids=[case.pk], version_id=target.pk, now=at)
    assert [step.step for step in preview.after if step.kind == "sent"] == expected
    assert [step.step for step in preview.before if step.kind == "sent"] == ["step-3"]
    assert Case.objects.get().ladder_version == case.ladder_version, "a preview changes nothing"
    result = cases_migrate(case_ids=[case.pk], version_id=target.pk, actor_id=admin_user.pk, now=at, reason="Softer")
    assert (result.moved, result.refused) == (1, {})
    for day in range(4, 20):
        climb(NOW + day * DAY)
    assert told() == ["step-1", "step-2", *expected]
    line = Interaction.objects.get(kind="case.ladder_moved")
    assert (line.actor_id, line.body, line.data["to"]) == (admin_user.pk, "Softer", target.pk)


def test_a_second_move_changes_nothing_and_ended_cases_stay(case, admin_user):
    target = second(case.ladder_version, [("step-1", 0), ("step-2", 3)])
    ended = factories.case(factories.customer(), state="lost", closed_at=NOW, next_action_at=None,
                           ladder_version=case.ladder_version)  # fmt: skip
    ids = [case.pk, ended.pk]
    assert cases_migrate(case_ids=ids, version_id=target.pk, actor_id=admin_user.pk, now=NOW + 4 * DAY).moved == 1
    again = cases_migrate(case_ids=ids, version_id=target.pk, actor_id=admin_user.pk, now=NOW + 5 * DAY)
    assert again.moved == 0
    assert set(again.refused) == set(ids)
    assert [move.refused for move in cases_migrate_preview(case_ids=ids, version_id=target.pk, now=NOW)] == list(
        again.refused.values()
    )


def test_a_notice_that_did_not_arrive_still_holds_the_case_after_the_move(case, admin_user):
    Message.objects.filter(step_run__step__key="step-2").update(status="bounced")
    target = second(case.ladder_version, [("step-1", 0), ("step-2", 3), ("step-3", 5)])
    cases_migrate(case_ids=[case.pk], version_id=target.pk, actor_id=admin_user.pk, now=NOW + 4 * DAY)
    for day in range(4, 9):
        climb(NOW + day * DAY)
    assert told() == ["step-1", "step-2"]
    Task.objects.update(status="done")
    climb(NOW + 10 * DAY)
    assert told() == ["step-1", "step-2", "step-3"]


def test_what_cannot_be_followed_is_refused(case, admin_user):
    target = second(case.ladder_version, [("step-1", 0)], status="draft")
    with pytest.raises(SollecitoError) as error:
        cases_migrate(case_ids=[case.pk], version_id=target.pk, actor_id=admin_user.pk, now=NOW)
    assert error.value.code == "version_draft"
    early = factories.ladder(trigger="card_expiring", steps=[{"offset": -3}])
    result = cases_migrate(case_ids=[case.pk], version_id=early.pk, actor_id=admin_user.pk, now=NOW)
    assert (result.moved, list(result.refused)) == (0, [case.pk])


def test_queries_do_not_grow_with_the_cases(admin_user):
    version = factories.ladder()
    target = second(version, [("step-1", 0), ("step-2", 3)])

    def queries(count):
        ids = [factories.case(factories.customer(), ladder_version=version).pk for _ in range(count)]
        with CaptureQueriesContext(connection) as captured:
            done = cases_migrate(case_ids=ids, version_id=target.pk, actor_id=admin_user.pk, now=NOW)
        assert done.moved == count
        return len(captured)

    assert queries(1) == queries(40)
