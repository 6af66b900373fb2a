from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from campaigns.models import Ladder, LadderVersion, Step
from campaigns.services.ladder_checks import ladder_problems
from campaigns.services.ladder_copies import ladder_copy, ladder_restore
from campaigns.services.rungs import rung_delete, rung_duplicate, rung_enable, rung_move, rung_save
from campaigns.services.versions import ladder_draft, ladder_publish
from customers.errors import SollecitoError
from tests import factories as make
from tests.factories import NOW


def drafted(**fields: Any) -> LadderVersion:
    return ladder_draft(ladder_id=make.ladder(**fields).ladder_id)


def keys(version: LadderVersion) -> list[str]:
    rows = list(version.steps.order_by("position").values_list("position", "key"))
    assert [position for position, _key in rows] == list(range(1, len(rows) + 1))
    return [key for _position, key in rows]


@pytest.mark.django_db
def test_rungs_are_moved_duplicated_switched_off_and_deleted() -> None:
    draft = drafted()
    first, second, third = draft.steps.order_by("position")
    rung_move(step_id=third.pk, to=1)
    assert keys(draft) == ["step-3", "step-1", "step-2"]
    rung_move(step_id=third.pk, to=99)
    assert keys(draft) == ["step-1", "step-2", "step-3"]
    twin = rung_duplicate(step_id=first.pk)
    assert (twin.position, twin.name) == (2, "Step 1 (copy)")
    assert keys(draft) == ["step-1", "step_1", "step-2", "step-3"]
    rung_enable(step_id=twin.pk, enabled=False)
    twin.refresh_from_db()
    assert not twin.enabled
    assert rung_delete(step_id=second.pk) == "Step 2"
    assert keys(draft) == ["step-1", "step_1", "step-3"]
    with pytest.raises(SollecitoError, match="deleted meanwhile"):
        rung_delete(step_id=second.pk)


@pytest.mark.django_db
def test_a_published_version_refuses_every_edit() -> None:
    version = make.ladder()
    step = version.steps.first()
    assert step is not None
    for edit in (
        lambda: rung_save(step=step),
        lambda: rung_move(step_id=step.pk, to=2),
        lambda: rung_duplicate(step_id=step.pk),
        lambda: rung_enable(step_id=step.pk, enabled=False),
        lambda: rung_delete(step_id=step.pk),
    ):
        with pytest.raises(SollecitoError, match="is published and never changes"):
            edit()


@pytest.mark.django_db
def test_a_step_added_goes_where_its_time_puts_it_with_a_key_of_its_own() -> None:
    draft = drafted()
    for offset, unit in ((9, "days"), (73, "hours")):
        rung_save(step=Step(version=draft, name="Step-1", offset=offset, offset_unit=unit, action="call_task"))
    rung_save(step=Step(version=draft, name="After", offset=1, anchor="previous", action="call_task"))
    assert keys(draft) == ["step-1", "step-2", "step_1_2", "step-3", "step_1", "after"]


class Moves(TestCase):
    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(-2, 8)), max_size=6))
    def test_any_moves_keep_every_step_and_number_them_from_one(self, moves: list[tuple[int, int]]) -> None:
        draft = drafted(steps=[{"offset": n} for n in range(5)])
        ids = list(draft.steps.order_by("position").values_list("pk", flat=True))
        expected = list(ids)
        for which, to in moves:
            rung_move(step_id=ids[which], to=to)
            expected.remove(ids[which])
            expected.insert(min(max(to, 1), 5) - 1, ids[which])
        keys(draft)
        assert list(draft.steps.order_by("position").values_list("pk", flat=True)) == expected


@pytest.mark.django_db
def test_edits_keep_who_made_them_and_what_was_before() -> None:
    draft = drafted()
    step = draft.steps.get(position=1)
    step.offset = 2
    rung_save(step=step)
    rung_move(step_id=step.pk, to=2)
    told = Step.history.filter(version_id=draft.pk).order_by("history_id").values_list("id", "offset", "position")
    assert list(told) == [(step.pk, 2, 1), (step.pk, 2, 2)]


@pytest.mark.django_db
def test_a_copy_is_a_draft_that_comes_before_its_original() -> None:
    live = make.ladder(end_actions=["cancel_subscription"])
    draft = ladder_copy(ladder_id=live.ladder_id, code="mine", name="Mine")
    assert (draft.status, draft.ladder.priority, draft.end_actions) == ("draft", 99, ["cancel_subscription"])
    assert keys(draft) == keys(live)
    assert not set(draft.steps.values_list("pk", flat=True)) & set(live.steps.values_list("pk", flat=True))
    with pytest.raises(SollecitoError, match="already"):
        ladder_copy(ladder_id=live.ladder_id, code="mine", name="Mine")


@pytest.mark.django_db
def test_going_back_makes_a_draft_and_leaves_the_old_version_alone() -> None:
    old = make.ladder()
    draft = ladder_draft(ladder_id=old.ladder_id)
    rung_delete(step_id=draft.steps.get(position=3).pk)
    ladder_publish(version_id=draft.pk, actor_id=None, now=NOW, note="Shorter")
    back = ladder_restore(version_id=old.pk)
    assert (back.number, back.status, back.note) == (3, "draft", "Back to version 1")
    assert keys(back) == keys(old) == ["step-1", "step-2", "step-3"]
    rung_delete(step_id=back.steps.get(position=1).pk)
    with pytest.raises(SollecitoError, match="is being drafted"):
        ladder_restore(version_id=old.pk)
    assert keys(ladder_restore(version_id=old.pk, replace=True)) == keys(old)
    with pytest.raises(SollecitoError, match="This is the draft"):
        ladder_restore(version_id=back.pk)


# --- what is refused when a version is published


def refused(version: LadderVersion, message: str) -> None:
    with pytest.raises(SollecitoError, match=message):
        ladder_publish(version_id=version.pk, actor_id=None, now=NOW)
    version.refresh_from_db()
    assert version.status == "draft"


@pytest.mark.django_db
def test_a_ladder_without_a_step_that_is_on_is_refused() -> None:
    draft = drafted()
    draft.steps.update(enabled=False)
    refused(draft, "at least one step that is switched on")


@pytest.mark.django_db
def test_a_step_whose_template_has_no_text_is_refused_by_name() -> None:
    draft = drafted()
    template = make.template()
    template.versions.all().delete()
    refused(draft, "Step 1 “Step 1”: it sends “Reminder”, which has no published text")


@pytest.mark.django_db
def test_ladders_that_start_each_other_in_a_circle_are_refused_with_the_circle() -> None:
    a = make.ladder(code="a", name="A")
    b = make.ladder(code="b", name="B", steps=[{"offset": 1, "action": "start_ladder", "params": {"ladder": "c"}}])
    c = make.ladder(code="c", name="C", end_actions=["start_ladder"])
    LadderVersion.objects.filter(pk=c.pk).update(end_params={"start_ladder": {"ladder": "a"}})
    draft = ladder_draft(ladder_id=a.ladder_id)
    rung_save(step=Step(version=draft, name="On", offset=30, action="start_ladder", params={"ladder": "b"}))
    refused(draft, "Step 4 “On”: the ladders start each other in a circle: a → b → c → a")
    Step.objects.filter(version=b).update(enabled=False)
    assert [p.code for p in ladder_problems(draft) if p.is_error] == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"condition": {"moon": "full"}}, "Step 1 “Step 1”: Unknown condition 'moon'"),
        ({"action": "tag", "template": None, "channel": "", "params": {}}, "Step 1 “Step 1”: Parameters: .*needs"),
        ({"window_days": [9]}, "weekdays are numbers"),
        ({"offset": 99}, "“Step 2” falls due before"),
        (
            {"action": "start_ladder", "template": None, "channel": "", "params": {"ladder": "x"}},
            "there is no ladder “x” in use",
        ),
        ({"fallback_channels": ["email"]}, "Step 1 “Step 1”: it names a channel twice"),
        ({"channel": "sms"}, "Step 1 “Step 1”: “Reminder” has no text for SMS"),
    ],
)
def test_what_would_fail_at_night_is_refused_at_the_desk(fields: dict[str, Any], message: str) -> None:
    draft = drafted()
    Step.objects.filter(version=draft, position=1).update(**fields)
    refused(draft, message)


@pytest.mark.django_db
def test_what_is_only_doubtful_is_a_warning(settings: Any) -> None:
    settings.CHANNELS = {}
    draft = drafted()
    Step.objects.filter(version=draft, position=1).update(fallback_channels=["letter", "call"])
    codes = {problem.code for problem in ladder_problems(draft)}
    assert codes == {"channel_unconfigured", "language_missing"}
    ladder_publish(version_id=draft.pk, actor_id=None, now=NOW)
    assert Ladder.objects.get(pk=draft.ladder_id).versions.filter(status="published").get() == draft
