"""What publishing refuses, and that each refusal names the place."""

import pytest

from campaigns.models import Ladder, LadderVersion, Step, Template
from campaigns.services.versions import ladder_draft, ladder_publish
from customers.errors import SollecitoError
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def draft(*steps, code="draft", **fields):
    ladder = Ladder.objects.create(code=code, name=code.title(), trigger=fields.pop("trigger", "payment_failed"))
    version = LadderVersion.objects.create(ladder=ladder, number=1, **fields)
    for position, values in enumerate(steps, start=1):
        row = {"key": f"s{position}", "name": f"Step {position}", "action": "message", "channel": "email", "offset": 0}
        row |= values
        if row["action"] == "message" and "template" not in row:
            row["template"] = factories.template()
        Step.objects.create(version=version, position=position, **row)
    return version


def act(action, **fields):
    return {"action": action, "channel": ""} | fields


def refusal(version):
    with pytest.raises(SollecitoError) as error:
        ladder_publish(version_id=version.pk, actor_id=None, now=NOW)
    version.refresh_from_db()
    assert version.status == "draft"
    return error.value.code, str(error.value)


@pytest.mark.parametrize(
    ("steps", "fields", "code", "place"),
    [
        ([], {}, "ladder_empty", "step"),
        ([{"enabled": False}], {}, "ladder_empty", "step"),
        ([{}, {"condition": {"moon": "full"}}], {}, "unknown_condition", "Step 2 “Step 2”"),
        ([{"condition": {"days_overdue": {"at_least": -1}}}], {}, "bad_condition", "Step 1"),
        ([{}, act("tag")], {}, "bad_params", "Step 2 “Step 2”"),
        ([act("tag", params={"tag": "x" * 51})], {}, "bad_params", "50"),
        ([act("late_fee", params={"regime": "moon"})], {}, "bad_params", "regime"),
        ([act("suspend_service", params={"speed": "1"})], {}, "bad_params", "speed"),
        ([{"fallback_channels": ["sms"]}], {}, "template_without_channel", "Step 1 “Step 1”"),
        ([{"fallback_channels": ["call", "call"]}], {}, "channel_twice", "Step 1"),
        ([{"offset": -1}], {}, "step_before_the_day", "Step 1"),
        ([{"offset": 1}], {"trigger": "invoice_due"}, "step_after_the_day", "Step 1"),
        ([act("late_fee", offset=-1)], {"trigger": "invoice_due"}, "action_too_early", "Step 1"),
        ([{"offset": -1}], {"trigger": "card_expiring", "end_actions": ["tag"]}, "action_too_early", "end"),
        ([{}], {"end_actions": ["tag"]}, "bad_params", "end"),
        ([{}], {"end_params": {"tag": {"tag": "x"}}}, "bad_params", "end"),
        ([act("start_ladder", params={"ladder": "nowhere"})], {}, "ladder_missing", "nowhere"),
        ([act("start_ladder", params={"ladder": "draft"})], {}, "ladder_cycle", "draft → draft"),
    ],
)
def test_what_is_refused(steps, fields, code, place):
    found, words = refusal(draft(*steps, **fields))
    assert found == code
    assert place in words


def test_a_template_without_published_text_is_refused_by_its_step():
    silent = Template.objects.create(code="silent", name="Silent one")
    code, words = refusal(draft({}, {"template": silent}))
    assert code == "template_unpublished"
    assert "Step 2 “Step 2”" in words
    assert "Silent one" in words


def test_ladders_in_a_circle_are_refused_with_the_way_round():
    factories.ladder(code="b", steps=[act("start_ladder", offset=0, params={"ladder": "c"})])
    factories.ladder(code="c", steps=[{"offset": 0}], end_actions=["start_ladder"],
                     end_params={"start_ladder": {"ladder": "a"}})  # fmt: skip
    code, words = refusal(draft({}, act("start_ladder", params={"ladder": "b"}), code="a"))
    assert (code, "a → b → c → a" in words) == ("ladder_cycle", True)


def test_what_is_accepted():
    factories.ladder(code="other")
    factories.text(factories.template(), channel="sms")
    version = draft(
        {"fallback_channels": ["sms", "whatsapp", "call"]},
        {"offset": -2, "anchor": "month_end"},
        act("interest", params={"regime": "uk", "on_payment": "forgive"}),
        act("start_ladder", params={"ladder": "other"}, offset=9),
        {"template": Template.objects.create(code="no", name="No"), "enabled": False},
        end_actions=["tag", "write_off"],
        end_params={"tag": {"tag": "lost"}},
    )
    ladder_publish(version_id=version.pk, actor_id=None, now=NOW)
    version.refresh_from_db()
    assert version.status == "published"
    copy = ladder_draft(ladder_id=version.ladder_id)
    assert copy.end_params == {"tag": {"tag": "lost"}}
    assert list(copy.steps.values_list("params", flat=True)) == list(version.steps.values_list("params", flat=True))
