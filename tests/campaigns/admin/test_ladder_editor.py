"""The editor as a manager's browser uses it, with and without scripts; and as a collector may not."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from campaigns.admin.conditions import FACT, condition_words
from campaigns.admin.ladder_diff import compare
from campaigns.admin.sentences import sentence
from campaigns.engine.conditions import FACTS
from campaigns.models import Ladder, LadderVersion, Step, Template
from campaigns.services.versions import ladder_draft
from customers import clock
from customers.bulk.run import jobs_run
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> Client:
    return make.desk(make.staff("manager"))


@pytest.fixture
def draft() -> LadderVersion:
    return ladder_draft(ladder_id=make.ladder(name="Mine").ladder_id)


def page(version: LadderVersion, **query: Any) -> str:
    url = reverse("admin:campaigns_ladderversion_change", args=[version.pk])
    return url + "?" + "&".join(f"{name}={value}" for name, value in {"section": "steps", **query}.items())


def rungs(version: LadderVersion) -> str:
    return reverse("admin:campaigns_ladderversion_rungs", args=[version.pk])


def do(row: Any, slug: str) -> str:
    return reverse(f"admin:campaigns_{row._meta.model_name}_do", args=[row.pk, slug])


RUNG = {
    "do": "save", "step": "new", "name": "Text them", "amount": "5", "offset_unit": "days", "before": "",
    "anchor": "case", "action": "message", "channel": "email", "template_code": "reminder",
    "wait_for_retry_hours": "24", "window_from": "09:00", "window_to": "17:00", "weekdays": ["1", "2", "3", "4", "5"],
    "business_days": "on", "fallback_1": "letter", "c0-fact": "decline_category", "c0-operator": "in",
    "c0-value": ["expired", "fraud"], "c1-fact": "balance", "c1-operator": "at_least", "c1-value": "50 eur, 60 USD",
}  # fmt: skip


def test_a_step_is_added_as_the_sentence_says(manager: Client, draft: LadderVersion) -> None:
    words = (
        "Day 5, 09:00–17:00 customer time, Mon–Fri, business days: e-mail “Reminder”; if that does not reach them: "
        "letter; only if the bank&#x27;s reason is card expired or suspicion of fraud and the balance is at least 50 "
        "EUR or 60 USD; waits while a retry is due within 24 h."
    )
    preview = manager.post(rungs(draft), {**RUNG, "do": "preview"}, headers={"HX-Request": "true"})
    assert f"<strong>{words}</strong>" in preview.content.decode()
    assert draft.steps.count() == 3
    answer = manager.post(rungs(draft), RUNG)
    assert answer.status_code == 302
    step = draft.steps.get(position=3)
    assert (step.key, step.offset, step.fallback_channels) == ("text_them", 5, ["letter"])
    assert step.condition == {
        "decline_category": ["expired", "fraud"],
        "balance": {"at_least": {"EUR": "50", "USD": "60"}},
    }
    assert words in manager.get(page(draft)).content.decode()
    again = manager.get(page(draft, edit=step.pk)).content.decode()
    assert 'value="50 EUR, 60 USD"' in again
    edits = manager.get(page(draft).replace("steps", "edits")).content.decode()
    assert words in edits
    assert "manager" in edits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "Name: This field is required."),
        ({"amount": "-1"}, "How long: Ensure this value is greater than or equal to 0."),
        ({"template_code": ""}, "Template: Choose what is sent."),
        ({"channel": ""}, "Channel: Choose the channel."),
        ({"fallback_2": "letter"}, "If that does not reach them: Name each channel once."),
        ({"before": "1"}, "before or after: Nothing is known before that day"),
        ({"before": "1", "anchor": "previous"}, "A step cannot come before the step above."),
        ({"window_from": "18:00"}, "Not after: The window ends before it opens."),
        ({"c0-value": []}, "Only if: the bank&#x27;s reason: This field is required."),
        ({"c0-value": ["moon"]}, "Only if: the bank&#x27;s reason: Select a valid choice."),
        ({"c1-value": "fifty"}, "Only if: the balance: Write each amount with its currency"),
        ({"c1-value": "50 XXQ"}, "Only if: the balance:"),
        ({"c1-fact": "decline_category", "c1-operator": "in", "c1-value": ["expired"]}, "asked twice"),
        ({"action": "tag"}, "Tag: This field is required."),
        ({"action": "start_ladder", "p-start_ladder-ladder": "nonesuch"}, "Ladder: Select a valid choice."),
    ],
)
def test_what_is_wrong_is_said_with_the_step_and_the_field(
    manager: Client, draft: LadderVersion, changes: dict[str, Any], message: str
) -> None:
    make.template()
    answer = manager.post(rungs(draft), {**RUNG, **changes})
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert "The new step is not saved:" in shown
    assert message in shown
    first = draft.steps.get(position=1)
    shown = manager.post(rungs(draft), {**RUNG, **changes, "step": str(first.pk)}).content.decode()
    assert "Step 1 “" in shown
    assert "is not saved:" in shown
    assert (draft.steps.count(), draft.steps.get(position=1).name) == (3, "Step 1")


def test_conditions_are_added_and_dropped_without_saving_or_losing_what_was_typed(
    manager: Client, draft: LadderVersion
) -> None:
    shown = manager.post(rungs(draft), {**RUNG, "do": "add", "name": "Half"}).content.decode()
    assert shown.count('name="c2-fact"') == 1
    assert 'value="Half"' in shown
    shown = manager.post(rungs(draft), {**RUNG, "do": "drop-c0"}).content.decode()
    assert 'name="c1-fact"' not in shown
    assert 'value="50 eur, 60 USD"' in shown
    assert "is not saved" not in shown


def test_the_form_takes_the_shape_of_the_action(manager: Client, draft: LadderVersion) -> None:
    shown = manager.post(rungs(draft), {**RUNG, "do": "preview", "action": "tag"}).content.decode()
    assert 'name="p-tag-tag"' in shown
    assert 'name="template_code"' not in shown
    answer = manager.post(rungs(draft), {**RUNG, "action": "tag", "p-tag-tag": "late"})
    assert answer.status_code == 302
    step = draft.steps.get(position=3)
    assert (step.params, step.channel, step.template, step.fallback_channels) == ({"tag": "late"}, "", None, [])


def test_buttons_move_duplicate_switch_and_delete(manager: Client, draft: LadderVersion) -> None:
    def order() -> list[str]:
        return list(draft.steps.order_by("position").values_list("name", flat=True))

    first, second, third = draft.steps.order_by("position")
    for data in (
        {"do": "down", "step": first.pk, "position": 1},
        {"do": "move", "step": third.pk, "to": 1},
        {"do": "duplicate", "step": second.pk},
        {"do": "disable", "step": second.pk},
        {"do": "delete", "step": third.pk},
        {"do": "up", "step": first.pk, "position": 3},
    ):
        answer = manager.post(rungs(draft), data, headers={"HX-Request": "true"})
        assert answer.status_code == 200
        assert 'role="status">' in answer.content.decode()
    assert order() == ["Step 2", "Step 1", "Step 2 (copy)"]
    assert not draft.steps.get(position=1).enabled
    assert manager.post(rungs(draft), {"do": "explode", "step": first.pk}).status_code == 404
    gone = manager.post(rungs(draft), {"do": "delete", "step": third.pk}, headers={"HX-Request": "true"})
    assert "This step was deleted meanwhile." in gone.content.decode()


def test_gaps_and_the_end_are_edited(manager: Client, draft: LadderVersion) -> None:
    data = {
        "do": "save", "step": "frame", "min_gap_hours": "48", "silent_hours": "12", "pause_after_reply_days": "0",
        "end_after_hours": "120", "end_1": "cancel_subscription", "end_2": "tag", "p-tag-tag": "lost",
    }  # fmt: skip
    assert manager.post(rungs(draft), {**data, "p-tag-tag": ""}).status_code == 200
    assert manager.post(rungs(draft), data).status_code == 302
    draft.refresh_from_db()
    assert (draft.min_gap_hours, draft.end_actions) == (48, ["cancel_subscription", "tag"])
    assert draft.end_params == {"tag": {"tag": "lost"}}
    shown = manager.get(page(draft)).content.decode()
    assert "At least 2 days between two messages." in shown
    assert "5 days after the last step: cancel the subscription and tag the customer (lost); then" in shown


def test_collectors_read_and_edit_nothing(draft: LadderVersion) -> None:
    collector = make.desk(make.staff("collector"))
    shown = collector.get(page(draft, edit="new"))
    assert shown.status_code == 200
    assert "rung-form" not in shown.content.decode()
    assert "Add a step" not in shown.content.decode()
    assert collector.post(rungs(draft), RUNG).status_code == 403
    assert collector.get(do(draft, "publish")).status_code == 403
    assert collector.get(do(draft.ladder, "copy")).status_code == 403
    assert collector.get(reverse("admin:campaigns_ladder_import")).status_code == 403
    assert collector.get(reverse("admin:campaigns_ladderversion_export", args=[draft.pk])).status_code == 200


def test_a_published_version_is_read_only(manager: Client) -> None:
    version = make.ladder()
    assert "rung-form" not in manager.get(page(version, edit="new")).content.decode()
    answer = manager.post(rungs(version), RUNG, headers={"HX-Request": "true"})
    assert "is published and never changes" in answer.content.decode()
    assert version.steps.count() == 3


def test_publishing_shows_what_changes_and_who_keeps_what(manager: Client, draft: LadderVersion) -> None:
    make.case(make.customer(), ladder_version=draft.ladder.versions.get(status="published"))
    manager.post(rungs(draft), RUNG)
    manager.post(rungs(draft), {"do": "delete", "step": draft.steps.get(position=1).pk})
    shown = manager.get(do(draft, "publish")).content.decode()
    assert "1 live cases follow this ladder" in shown
    assert "<del>Day 0: e-mail “Reminder”.</del>" in shown
    assert "Text them" in shown
    manager.post(do(draft, "publish"), {"note": "Shorter"})
    draft.refresh_from_db()
    assert (draft.status, draft.note) == ("published", "Shorter")
    assert draft.published_by is not None
    ladder = reverse("admin:campaigns_ladder_change", args=[draft.ladder_id])
    assert "Shorter" in manager.get(f"{ladder}?section=versions").content.decode()
    assert "<del>Day 0" in manager.get(f"{ladder}?section=compare&a=1&b=2").content.decode()
    old = draft.ladder.versions.get(number=1)
    back = manager.post(do(old, "restore"), {})
    assert back.status_code == 302
    assert draft.ladder.versions.get(number=3).note == "Back to version 1"


def test_cases_in_flight_are_moved_after_a_preview(
    manager: Client, draft: LadderVersion, django_assert_max_num_queries: Any
) -> None:
    old = draft.ladder.versions.get(status="published")
    cases = [make.case(make.customer(name=f"Ada {n}"), ladder_version=old) for n in range(3)]
    assert "Move cases here" not in manager.get(page(draft)).content.decode()
    Step.objects.filter(version=draft, position=1).update(name="Softer")
    manager.post(do(draft, "publish"), {"note": ""})
    with django_assert_max_num_queries(42):
        shown = manager.get(do(draft, "move")).content.decode()
    assert "3 live cases follow other versions." in shown
    assert "Ada 2" in shown
    assert "Softer" in shown
    assert manager.post(do(draft, "move"), {"reason": ""}).status_code == 200
    job = manager.post(do(draft, "move"), {"reason": "Softer words"}, follow=True).content.decode()
    assert 'role="progressbar"' in job
    jobs_run(now=clock.now())
    for case in cases:
        case.refresh_from_db()
        assert case.ladder_version_id == draft.pk
    assert "follows this version already" in manager.get(do(draft, "move")).content.decode()


def test_what_stands_against_publishing_takes_the_button_away(manager: Client, draft: LadderVersion) -> None:
    Template.objects.get().versions.all().delete()
    shown = manager.get(do(draft, "publish")).content.decode()
    assert "It cannot be published yet:" in shown
    assert 'type="submit" class="sol-button sol-button-primary"' not in shown
    manager.post(do(draft, "publish"), {"note": ""})
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_one_is_told_when_another_ladder_takes_all_cases(manager: Client, draft: LadderVersion) -> None:
    make.ladder(name="Greedy", priority=1)
    assert "“Greedy” comes first (priority 1)" in manager.get(do(draft, "publish")).content.decode()


def test_a_copy_is_made_with_one_click(manager: Client) -> None:
    live = make.ladder(code="card", name="Card")
    form = manager.get(do(live.ladder, "copy")).context["form"]
    answer = manager.post(do(live.ladder, "copy"), {name: form[name].value() for name in form.fields})
    copy = Ladder.objects.get(code="card_copy")
    assert answer.url == page(copy.versions.get()).replace("&", "?")
    assert (copy.name, copy.priority) == ("Card (copy)", 99)
    assert "already" in manager.post(do(live.ladder, "copy"), {"name": "X", "code": "card_copy"}).content.decode()


def test_a_file_is_imported_as_a_draft_or_refused_with_its_line(manager: Client, draft: LadderVersion) -> None:
    text = manager.get(reverse("admin:campaigns_ladderversion_export", args=[draft.pk])).content.decode()
    url = reverse("admin:campaigns_ladder_import")
    wrong = text.replace("code: ladder", "code: other").replace("action: message", "action: shout", 1)
    shown = manager.post(url, {"text": wrong})
    assert "action: &#x27;shout&#x27; is none of" in shown.content.decode()
    assert "pasted text, line" in shown.content.decode()
    answer = manager.post(url, {"text": text.replace("code: ladder", "code: other")})
    assert answer.status_code == 302
    assert Ladder.objects.get(code__startswith="other").versions.get().steps.count() == 3
    assert "Choose a file" in manager.post(url, {"text": ""}).content.decode()


def test_the_pages_cost_the_same_with_three_steps_and_with_thirty(manager: Client) -> None:
    def costs(count: int) -> list[int]:
        version = ladder_draft(ladder_id=make.ladder(steps=[{"offset": n} for n in range(count)]).ladder_id)
        for step in version.steps.all():
            step.name = f"New {step.name}"
            step.save()
        urls = [
            page(version), page(version, edit="new"), page(version).replace("steps", "edits"), do(version, "publish"),
            *(reverse("admin:campaigns_ladder_change", args=[version.ladder_id]) + f"?section={name}"
              for name in ("read", "versions", "compare")),
        ]  # fmt: skip
        found = []
        for url in urls:
            manager.get(url)
            with CaptureQueriesContext(connection) as asked:
                assert manager.get(url).status_code == 200
            found.append(len(asked))
        Ladder.objects.filter(pk=version.ladder_id).update(active=False)
        return found

    few = costs(3)
    assert costs(30) == few
    assert max(few) < 30


def test_every_fact_has_words() -> None:
    assert set(FACTS) <= set(FACT)
    assert condition_words({"retries_left": False}) == ["no retry is left"]


def test_a_step_reads_as_a_sentence_in_italian() -> None:
    step = Step(
        action="message", channel="sms", offset=3, offset_unit="days", anchor="case", business_days=True,
        fallback_channels=["letter"], wait_for_retry_hours=24, condition={"decline_category": ["expired", "fraud"]},
    )  # fmt: skip
    with translation.override("it"):
        assert sentence(step) == (
            "Giorno 3, giorni lavorativi: SMS «…»; se non arriva: lettera; solo se il motivo della banca è carta "
            "scaduta o sospetto di frode; aspetta finché un nuovo addebito è previsto entro 24 h."
        )


def test_versions_are_compared_in_sentences() -> None:
    old = ladder_draft(ladder_id=make.ladder().ladder_id)
    a, b, c = old.steps.select_related("template").order_by("position")
    d = Step(version=old, key="d", name="D", position=3, offset=9, action="call_task")
    moved = Step.objects.select_related("template").get(pk=a.pk)
    moved.position = 4
    changed = Step.objects.select_related("template").get(pk=c.pk)
    changed.offset, changed.position = 8, 1
    diff = compare(old, [a, b, c], old, [changed, d, moved])
    assert [(change.kind, change.name) for change in diff.steps] == [
        ("removed", "Step 2"),
        ("changed", "Step 3"),
        ("added", "D"),
        ("same", "Step 1"),
    ]
    assert diff.steps[1].before == "Day 7: e-mail “Reminder”."
    assert diff.steps[1].after == "Day 8: e-mail “Reminder”."
    assert compare(old, [a, b, c], old, [a, b, c]).is_empty


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"offset": 0}, "Day 0: e-mail “…”."),
        ({"offset": 4, "offset_unit": "hours"}, "4 hours after the start: e-mail “…”."),
        ({"offset": -3}, "Day −3: e-mail “…”."),
        ({"offset": 1, "anchor": "previous"}, "1 day after the step above: e-mail “…”."),
        ({"offset": 0, "anchor": "previous"}, "Right after the step above: e-mail “…”."),
        ({"offset": -2, "anchor": "month_end"}, "2 days before the end of the month: e-mail “…”."),
        ({"offset": 0, "anchor": "month_end"}, "At the end of the month: e-mail “…”."),
        ({"offset": 3, "window_days": [1, 2, 3, 4, 5, 6, 7]}, "Day 3: e-mail “…”."),
        ({"offset": 3, "window_days": [6, 7, 1]}, "Day 3, Mon, Sat, Sun: e-mail “…”."),
        ({"offset": 3, "action": "tag", "params": {"tag": "late"}}, "Day 3: tag the customer (late)."),
        ({"offset": 3, "condition": {"retries_left": True}}, "Day 3: e-mail “…”; only if a retry is still to come."),
        ({"offset": 3, "wait_for_retry_hours": 48}, "Day 3: e-mail “…”; waits while a retry is due within 2 days."),
    ],
)
def test_a_step_reads_as_a_sentence(fields: dict[str, Any], words: str) -> None:
    values = {"action": "message", "channel": "email", "offset_unit": "days", "anchor": "case", **fields}
    assert sentence(Step(**values)) == words


def seen(page_shown: str) -> str:
    """The mark a form was opened on."""
    return page_shown.split('name="seen" value="')[1].split('"')[0]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_whoever_saves_a_step_second_is_told_and_keeps_what_they_wrote(
    manager: Client, draft: LadderVersion, headers: dict[str, str]
) -> None:
    step = draft.steps.get(position=1)
    data = {**RUNG, "step": str(step.pk)}
    opened = seen(manager.get(page(draft, edit=step.pk)).content.decode())
    hanna = User.objects.create_superuser("hanna", "hanna@example.com", "a-long-password")
    other = make.desk(hanna)
    assert other.post(rungs(draft), {**data, "seen": opened, "name": "Hers"}).status_code == 302
    answer = manager.post(rungs(draft), {**data, "seen": opened, "name": "Mine own"}, headers=headers)
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert "hanna has saved this meanwhile." in shown
    assert 'value="Mine own"' in shown
    assert "<strong>Hers</strong>" in shown
    step.refresh_from_db()
    assert step.name == "Hers"
    assert manager.post(rungs(draft), {**data, "seen": seen(shown), "name": "Mine own"}).status_code == 302
    step.refresh_from_db()
    assert step.name == "Mine own"


def test_what_holds_for_all_steps_is_not_undone_unseen_either(manager: Client, draft: LadderVersion) -> None:
    data = {"do": "save", "step": "frame", "min_gap_hours": "24", "silent_hours": "0", "pause_after_reply_days": "3",
            "end_after_hours": "72"}  # fmt: skip
    data["seen"] = seen(manager.get(page(draft, edit="frame")).content.decode())
    assert manager.post(rungs(draft), {**data, "silent_hours": "5"}).status_code == 302
    answer = manager.post(rungs(draft), {**data, "silent_hours": "9"})
    assert "has saved this meanwhile" in answer.content.decode()
    draft.refresh_from_db()
    assert draft.silent_hours == 5


def test_a_step_moved_or_switched_off_meanwhile_is_nobody_s_text(manager: Client, draft: LadderVersion) -> None:
    step = draft.steps.get(position=1)
    opened = seen(manager.get(page(draft, edit=step.pk)).content.decode())
    manager.post(rungs(draft), {"do": "disable", "step": step.pk})
    manager.post(rungs(draft), {"do": "move", "step": step.pk, "to": 2})
    assert manager.post(rungs(draft), {**RUNG, "step": str(step.pk), "seen": opened}).status_code == 302
    step.refresh_from_db()
    assert (step.name, step.position, step.enabled) == (RUNG["name"], 2, False)
