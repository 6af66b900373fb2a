import datetime
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.retries.taxonomy import Category
from campaigns.ladder_yaml import LadderDoc, StepDoc, read_ladder, write_ladder
from campaigns.models.ladder import Action, EndAction, StepAnchor, Trigger
from campaigns.shipped_set import shipped_ladders
from campaigns.yaml_reading import LadderFileError, Span, parse
from customers.models import Channel

GOOD = """
schema: 1
code: x
name: X
trigger: payment_failed
steps:
  - {key: a, name: A, after: 1d, action: message, channel: email, template: t}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema: 1", "schema: 2", "ladder, line 2: schema: schema 2 is newer than 1"),
        ("schema: 1", "schema: true", "schema: 1 is expected"),
        ("schema: 1", "schema: one", "schema: 1 is expected"),
        ("schema: 1", "", "schema: 1 is expected"),
        ("code: x", "", "code is missing"),
        ("code: x", "code: X y", "line 3: code: 'X y' is not a code"),
        ("payment_failed", "full_moon", "line 5: trigger: 'full_moon' is none of"),
        ("after: 1d", "after: soon", "line 7: step 1: after: 'soon' is not a time"),
        ("after: 1d", "after: 1d, wehn: 2", "line 7: step 1: wehn: unknown: wehn"),
        ("action: message", "action: shout", "step 1: action: 'shout' is none of"),
        (", template: t", "", "step 1: action: a message needs a template"),
        (", template: t", ", template: t, window: {days: fri-mon}", "step 1: window: days: 'fri-mon' is not a range"),
        (", template: t", ", template: t, window: {from: 9}", "9 is not a time such as"),
        (", template: t", ", template: t, window: {from: '25:00'}", "'25:00' is not a time such as"),
        (", template: t", ", template: t, fallback: [email]", "fallback: other channels"),
        (", template: t", ", template: t, enabled: maybe", "'maybe' is neither true nor false"),
        (", template: t", ", template: t, wait_for_retry: -3h", "'-3h' is not a time"),
        (", template: t", ", template: t, wait_for_retry: 9999d", "9999d is longer than 32767 hours"),
        (", template: t", ", template: t, condition: {moon: full}", "step 1: condition: moon: Unknown condition"),
        (", template: t", ", template: t, condition: {decline_category: [nope]}", "unknown values: nope"),
        ("name: X", "name: X\nname: Y", "line 5: name is given twice"),
        ("name: X", "name: 2026-01-01", "'2026-01-01' is neither a text"),
        ("name: X", "name: !!python/object:os.system x", "could not determine a constructor"),
        ("name: X", "name: X\nend_actions: [explode]", "end_actions: 'explode' is none of"),
        ("name: X", "name: X\npriority: 1000000", "priority: 1000000 is not a whole number"),
        ("schema: 1", "schema: [", ": not YAML: "),
        ("steps:", "steps: []\nstep:", "line 7: step: unknown: step"),
        ("key: a", "1: a", "the key '1' is not a word"),
    ],
)
def test_a_ladder_file_that_breaks_the_schema_is_refused_with_the_line(old: str, new: str, message: str) -> None:
    assert read_ladder(GOOD).steps[0].key == "a"
    with pytest.raises(LadderFileError, match=re.escape(message)):
        read_ladder(GOOD.replace(old, new, 1))


def test_two_steps_of_one_key_are_refused() -> None:
    with pytest.raises(LadderFileError, match="line 8: step 2: key: two steps have the key 'a'"):
        read_ladder(GOOD + GOOD.splitlines()[-1])


@pytest.mark.parametrize(
    "source",
    [
        "",
        "- 1",
        "&a [*a]",
        "a: &x [1]\nb: *x",
        "{" * 5000,
        "x" * 200_001,
        "? [1]\n: 2",
        "a: .inf",
        "a: .nan",
        "a: !!binary AAAA",
        "\0",
        "schema: 1\n---\nschema: 1",
    ],
)
def test_what_is_no_ladder_at_all_is_refused(source: str) -> None:
    with pytest.raises(LadderFileError):
        read_ladder(source)


def test_a_file_of_aliases_does_not_unfold() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{m}, *{m}]\n" for m, n in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(LadderFileError, match="anchors and aliases are not taken"):
        read_ladder(bomb)


@pytest.mark.parametrize("doc", shipped_ladders(), ids=lambda doc: doc.code)
def test_the_shipped_ladders_survive_being_written(doc: LadderDoc) -> None:
    assert read_ladder(write_ladder(doc)) == doc


def test_the_written_form_is_the_one_people_review() -> None:
    doc = LadderDoc(
        code="polite",
        name="Polite: first",
        trigger="payment_failed",
        steps=(
            StepDoc(
                key="first",
                name="First",
                after=Span(4, "hours"),
                action="message",
                channel="email",
                fallback_channels=("sms", "letter"),
                template="card_failed_1",
                window_days=(1, 2, 3, 4, 5, 7),
                window_from=datetime.time(9),
                business_days=True,
                wait_for_retry_hours=24,
                condition={"decline_category": ["expired"], "balance": {"at_least": {"USD": 5, "EUR": "50.00"}}},
            ),
            StepDoc(key="call", name="Call", after=Span(-2, "days"), action="call_task", enabled=False),
        ),
        end_actions=("cancel_subscription",),
    )
    text = """\
schema: 1
code: polite
name: 'Polite: first'
trigger: payment_failed
min_gap: 20h
pause_after_reply: 3d
steps:
  - key: first
    name: First
    after: 4h
    window:
      days: mon-fri,sun
      from: '09:00'
    business_days: true
    action: message
    channel: email
    fallback: [sms, letter]
    template: card_failed_1
    wait_for_retry: 1d
    condition:
      balance:
        at_least:
          EUR: '50.00'
          USD: 5
      decline_category: [expired]
  - key: call
    name: Call
    enabled: false
    after: -2d
    action: call_task
end_after: 3d
end_actions: [cancel_subscription]
"""
    assert write_ladder(doc) == text
    assert read_ladder(text) == doc


words = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=60
)  # what PostgreSQL can hold
codes = st.from_regex(r"[a-z0-9_-]{1,20}", fullmatch=True)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "decline_category": st.lists(st.sampled_from([c.value for c in Category]), min_size=1, unique=True),
        "country": st.fixed_dictionaries({"not": st.lists(st.sampled_from(["IT", "FR", "NO"]), min_size=1)}),
        "retries_left": st.booleans(),
        "balance": st.fixed_dictionaries(
            {"at_least": st.dictionaries(st.sampled_from(["EUR", "USD"]), st.integers(1, 9**9), min_size=1)}
        ),
    },
)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=4,
)


@st.composite
def steps(draw: Any) -> StepDoc:
    action = draw(st.sampled_from(Action.values))
    channel = draw(st.sampled_from(Channel.values)) if action == "message" else ""
    others = [name for name in Channel.values if name != channel]
    return StepDoc(
        key=draw(codes),
        name=draw(words),
        after=Span(draw(st.integers(-9999, 9999)), draw(st.sampled_from(["hours", "days"]))),
        action=action,
        anchor=draw(st.sampled_from(StepAnchor.values)),
        enabled=draw(st.booleans()),
        channel=channel,
        fallback_channels=tuple(draw(st.lists(st.sampled_from(others), unique=True))) if channel else (),
        template=draw(codes) if channel else "",
        params=draw(st.dictionaries(words, json, max_size=2)),
        window_days=tuple(sorted(draw(st.sets(st.integers(1, 7))))),
        window_from=draw(st.none() | st.times().map(lambda t: t.replace(second=0, microsecond=0))),
        window_to=draw(st.none() | st.times().map(lambda t: t.replace(second=0, microsecond=0))),
        business_days=draw(st.booleans()),
        wait_for_retry_hours=draw(st.integers(0, 9999)),
        condition=draw(conditions),
    )


@st.composite
def ladders(draw: Any) -> LadderDoc:
    ends = tuple(draw(st.lists(st.sampled_from(EndAction.values), unique=True)))
    return LadderDoc(
        code=draw(codes),
        name=draw(words),
        trigger=draw(st.sampled_from(Trigger.values)),
        steps=tuple(draw(st.lists(steps(), min_size=1, max_size=3, unique_by=lambda step: step.key))),
        description=draw(st.just("") | words),
        brand=draw(st.just("") | codes),
        segment=draw(st.just("") | codes),
        priority=draw(st.integers(-32768, 32767)),
        end_actions=ends,
        end_params={name: {"x": draw(words)} for name in ends if draw(st.booleans())},
        end_after_hours=draw(st.integers(0, 9999)),
        min_gap_hours=draw(st.integers(0, 9999)),
        silent_hours=draw(st.integers(0, 9999)),
        pause_after_reply_days=draw(st.integers(0, 1000)),
    )


@given(ladders())
def test_whatever_is_written_is_read_the_same_and_written_to_the_same_bytes(doc: LadderDoc) -> None:
    text = write_ladder(doc)
    again = read_ladder(text)
    assert again == doc
    assert write_ladder(again) == text


@pytest.mark.parametrize(
    "value",
    [
        "2020-13-45", "9" * 5000, "!!timestamp foo", "!!int ''", "!!bool perhaps", "!!float x", "2020-01-01T99:00:00Z",
        '"a\\0b"', '"\\ud800"', "{? \"a\\0\" : 1}",
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_read_or_stored_is_named_by_its_line(value):
    with pytest.raises(LadderFileError, match="^ladder, line 2: "):
        parse(f"a: 1\nb: {value}\n", "ladder")
