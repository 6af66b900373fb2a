"""The order of work: what comes first, what rests, and what nobody may be told to do."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.guard.types import Contacted, GuardSnapshot
from campaigns.models import WorkAction
from campaigns.worklist.chances import COLLECTED, PRIOR_TALKS, WITHIN_A_WEEK, Chances
from campaigns.worklist.rank import rank
from campaigns.worklist.types import BANDS, Call, Owed, TaskFact, WorkFacts, band_of
from campaigns.worklist.words import say
from tests.factories import NOW

ADDRESSES = {"call": "+393331234567", "email": "anna@example.com"}
DAY = timedelta(days=1)


def guard(**fields: Any) -> GuardSnapshot:
    values = {
        "customer_id": 1, "kind": "business", "country": "IT", "zone": "Europe/Rome", "case_state": "open",
        "addresses": ADDRESSES,
    }  # fmt: skip
    return GuardSnapshot(**(values | fields))


def owed(balance: int = 10_000, days: int = 40, **fields: Any) -> Owed:
    return Owed(**({"currency": "EUR", "balance": balance, "since": NOW - days * DAY, "reason": "new_card"} | fields))


def facts(**fields: Any) -> WorkFacts:
    values = {"customer_id": 1, "case_id": 7, "state": "open", "zone": "Europe/Rome", "country": "IT"}
    return WorkFacts(**(values | {"guard": guard(), "debts": (owed(),)} | fields))


def ranked(now: datetime = NOW, **fields: Any) -> Any:
    return rank(facts(**fields), Chances(), now)


def task(kind: str = "call", key: str = "", due: timedelta = -DAY) -> TaskFact:
    return TaskFact(5, kind, NOW + due, "Ring them", key, NOW - DAY)


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        pytest.param({}, WorkAction.CALL, id="reachable"),
        pytest.param({"guard": guard(addresses={"email": "a@example.com"})}, WorkAction.WRITE, id="no-number"),
        pytest.param({"guard": guard(addresses={})}, WorkAction.FIND, id="no-address"),
        pytest.param({"guard": guard(do_not_contact=True)}, WorkAction.DECIDE, id="do-not-contact"),
        pytest.param({"guard": guard(vulnerable=True)}, WorkAction.DECIDE, id="vulnerable"),
        pytest.param({"guard": guard(bankrupt=True)}, WorkAction.DECIDE, id="insolvent"),
        pytest.param({"tasks": (task("review", "reply:1:3"),)}, WorkAction.ANSWER, id="they-wrote"),
        pytest.param({"tasks": (task("review"),)}, WorkAction.DECIDE, id="something-to-look-into"),
        pytest.param({"tasks": (task(key="step:7:1:1"),)}, WorkAction.CALL, id="step-asks-for-a-call"),
        pytest.param(
            {"tasks": (task(key="step:7:1:1"),), "guard": guard(do_not_contact=True)},
            WorkAction.DECIDE,
            id="step-asks-for-a-call-that-is-forbidden",
        ),
    ],
)
def test_next_action(fields: dict[str, Any], action: str) -> None:
    row = ranked(**fields)

    assert row.action == action
    assert (row.rest, row.due_at) == ("", NOW)


@pytest.mark.parametrize(
    ("fields", "rest", "until"),
    [
        pytest.param({"promised_until": NOW + DAY}, "promised", NOW + DAY, id="promise"),
        pytest.param({"state": "paused", "rests_until": NOW + DAY}, "paused", NOW + DAY, id="pause"),
        pytest.param({"state": "paused"}, "paused", None, id="pause-without-end"),
        pytest.param({"state": "in_plan"}, "in_plan", None, id="plan"),
        pytest.param({"state": "disputed"}, "disputed", None, id="dispute"),
        pytest.param({"state": "agency"}, "agency", None, id="agency"),
        pytest.param({"debts": (owed(disputed=True),)}, "disputed", None, id="every-invoice-disputed"),
        pytest.param(
            {"calls": (Call(NOW - timedelta(hours=1), talk=False),)}, "tried", NOW + timedelta(hours=3), id="tried"
        ),
        pytest.param(
            {"calls": (Call(NOW - timedelta(hours=1), talk=False), Call(NOW - timedelta(hours=5), talk=False))},
            "tried",
            NOW + timedelta(hours=19),
            id="tried-twice-today",
        ),
        pytest.param(
            {"calls": (Call(NOW - timedelta(hours=1), talk=True),)}, "talked", NOW + timedelta(hours=23), id="talked"
        ),
        pytest.param(
            {"guard": guard(talks=(Contacted("call", NOW - DAY),))}, "contact_rules", NOW + DAY, id="left-in-peace"
        ),
        pytest.param(
            {"snoozed_at": NOW - DAY, "snoozed_until": NOW + 2 * DAY}, "snoozed", NOW + 2 * DAY, id="put-aside"
        ),
        pytest.param(
            {"case_id": None, "debts": (), "guard": None, "tasks": (task(due=DAY),)},
            "task_later",
            NOW + DAY,
            id="task-of-tomorrow",
        ),
    ],
)  # fmt: skip
def test_rests(fields: dict[str, Any], rest: str, until: datetime | None) -> None:
    row = ranked(**fields)

    assert (row.rest, row.due_at) == (rest, until)
    assert row.refresh_at <= (until or row.refresh_at)


@pytest.mark.parametrize("news", ["heard_at", "broken_at"])
def test_news_ends_a_snooze(news: str) -> None:
    aside = {"snoozed_at": NOW - DAY, "snoozed_until": NOW + 2 * DAY}

    assert ranked(**aside, **{news: NOW - 2 * DAY}).rest == "snoozed"
    assert ranked(**aside, **{news: NOW - timedelta(hours=1)}).rest == ""


def test_an_answer_is_due_while_the_debt_rests() -> None:
    row = ranked(state="paused", rests_until=NOW + DAY, tasks=(task("review", "reply:1:3"),))

    assert (row.action, row.rest) == (WorkAction.ANSWER, "")


def test_what_must_come_first() -> None:
    rich = ranked(debts=(owed(10_000_000),))
    asked = ranked(tasks=(task("review", "reply:1:3"),))
    agreed = ranked(tasks=(task(),))
    broken = ranked(broken_at=NOW - timedelta(hours=3), broken=1)

    assert broken.rank > asked.rank > rich.rank
    assert broken.rank > agreed.rank > rich.rank
    assert broken.reasons[0].code == "broken_today"
    # Somebody has spoken with them since, or it was yesterday: in its place by value, sooner than others.
    spoken = ranked(broken_at=NOW - timedelta(hours=3), broken=1, calls=(Call(NOW - timedelta(hours=1), talk=True),))
    yesterday = ranked(broken_at=NOW - DAY, broken=1)
    assert spoken.rank < rich.rank
    assert ranked().rank < yesterday.rank < rich.rank


def test_a_promise_broken_today_is_shown_though_the_rules_ask_for_peace() -> None:
    """Who promised on the telephone yesterday may not be called today: they are written to, and not forgotten."""
    left_in_peace = guard(contacts=(Contacted("call", NOW - DAY),) * 20)
    row = ranked(guard=left_in_peace, broken_at=NOW - timedelta(hours=1), broken=1)

    assert row.action != WorkAction.CALL
    assert (row.rest, row.due_at) == ("", NOW)


def test_the_hour_moves_a_call_and_does_not_hide_it() -> None:
    night = NOW.replace(hour=2)
    row = rank(facts(), Chances(), night)

    assert row.action == WorkAction.CALL
    assert row.due_at == night
    assert row.window.start is not None
    assert row.window.start > night
    assert row.window.end is not None
    assert row.window.start < row.window.end <= row.window.start + DAY


def test_a_charge_that_will_probably_succeed_makes_the_call_worth_less() -> None:
    alone = ranked()
    charged = ranked(debts=(owed(charge_at=NOW + DAY, charge_chance=0.8),))

    assert charged.score == pytest.approx(alone.score * 0.2, abs=1)


def test_who_never_answers_is_worth_less_and_nobody_more() -> None:
    old = [NOW - days * DAY for days in (3, 5, 8)]
    never = ranked(calls=tuple(Call(at, talk=False) for at in old))
    always = ranked(calls=tuple(Call(at, talk=True) for at in old))

    assert never.score < ranked().score == always.score


def test_currencies_are_not_summed_and_still_ordered() -> None:
    row = ranked(debts=(owed(9_000), owed(1_000_000, currency="JPY")))

    assert row.balances == {"EUR": 9_000, "JPY": 1_000_000}
    assert (row.currency, row.balance) == ("JPY", 1_000_000)
    assert sum(row.ageing) == 1_000_000


def test_chances_are_shrunk_to_the_assumption() -> None:
    counted = Chances({("new_card", 31): (180, 18)})
    prior = COLLECTED[31] * WITHIN_A_WEEK

    assert Chances().of("new_card", 2).value == prior
    assert counted.of("funds", 2).value == prior
    assert counted.of("new_card", 2).value == pytest.approx((18 + PRIOR_TALKS * prior) / (180 + PRIOR_TALKS))


@pytest.mark.parametrize(("days", "band"), [(-5, 0), (0, 0), (1, 1), (30, 1), (31, 2), (61, 3), (90, 3), (91, 4)])
def test_bands(days: int, band: int) -> None:
    assert band_of(days) == band
    assert band < len(BANDS)


_CASES = st.builds(
    facts,
    debts=st.lists(
        st.builds(owed, balance=st.integers(1, 10**9), days=st.integers(-10, 400), disputed=st.booleans()),
        min_size=1,
        max_size=4,
    ).map(tuple),
    state=st.sampled_from(["open", "paused", "promised", "in_plan", "disputed", "agency"]),
    guard=st.builds(
        guard,
        do_not_contact=st.booleans(),
        vulnerable=st.booleans(),
        addresses=st.sampled_from([ADDRESSES, {"email": "a@example.com"}, {"call": "+39333"}, {}]),
    ),
    tasks=st.lists(
        st.builds(
            task,
            kind=st.sampled_from(["call", "review"]),
            key=st.sampled_from(["", "step:7:1:1", "reply:1:2"]),
            due=st.sampled_from([-DAY, DAY]),
        ),
        max_size=2,
    ).map(tuple),
    broken_at=st.none() | st.integers(0, 72).map(lambda hours: NOW - timedelta(hours=hours)),
    promised_until=st.none() | st.just(NOW + DAY),
)


@given(_CASES, st.integers(0, 47))
def test_whatever_the_facts(case: WorkFacts, hour: int) -> None:
    now = NOW + timedelta(hours=hour)
    row = rank(case, Chances(), now)

    forbidden = case.guard is not None and (case.guard.do_not_contact or case.guard.vulnerable)
    assert not (forbidden and row.action == WorkAction.CALL)
    assert not (row.action == WorkAction.CALL and "call" not in case.guard.addresses)
    assert row.refresh_at > now
    assert 0 <= row.chance <= 1
    assert (row.due_at is None or row.due_at > now) == bool(row.rest)
    resting = case.promised_until is not None or case.state != "open"
    waiting = any(t.kind == "review" and t.due_at <= now for t in case.tasks)
    if resting and not waiting and (case.promised_until or now + DAY) > now:
        assert row.rest


@given(_CASES, st.integers(1, 10**6))
def test_more_money_never_goes_later(case: WorkFacts, more: int) -> None:
    richer = replace(case, debts=(replace(case.debts[0], balance=case.debts[0].balance + more), *case.debts[1:]))

    assert rank(richer, Chances(), NOW).rank >= rank(case, Chances(), NOW).rank


@pytest.mark.parametrize(
    ("late", "days", "factor"),
    [
        pytest.param(None, 5, 1.0, id="not-enough-to-say"),
        pytest.param(0.1, 5, 0.55, id="pays-by-itself"),
        pytest.param(1.0, 5, 1.0, id="late-as-a-rule"),
        pytest.param(0.1, 30, 0.55, id="still-fresh"),
        pytest.param(0.1, 31, 1.0, id="did-not-pay-by-itself"),
    ],
)
def test_who_pays_by_themselves_is_helped_less_by_a_call(late: float | None, days: int, factor: float) -> None:
    debts = (owed(days=days),)
    plain, row = ranked(debts=debts), ranked(debts=debts, late_chance=late)
    assert row.chance == pytest.approx(plain.chance * factor)
    told = say([(each.code, each.data) for each in row.reasons], "Europe/Rome")
    assert any("by its history" in words for words in told) is (late is not None and days <= 30)
