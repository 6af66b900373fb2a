"""The rules of the ladder, one by one, on snapshots."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.engine.answers import PERSON
from campaigns.engine.decide import decide
from campaigns.engine.one_clock import RETRY_SETTLES, SOON
from campaigns.engine.types import Outcome, RunFact
from campaigns.guard.types import Allowed, Blocked, Deferred
from tests.campaigns.engine.snapshots import DAY, HOUR, START, allow, case, guard, invoice, ladder, step


def told(decision):
    return [(run.step.key, run.decision) for run in decision.runs]


def sent(position, at=START, **fields):
    return {position: RunFact(position, "done", at, **({"message_status": "sent", "message_id": 1} | fields))}


@pytest.mark.parametrize(
    ("now", "position", "expected"),
    [
        (START - timedelta(seconds=1), 0, []),
        (START, 0, [("s1", "done")]),  # due is <=
        (START + 2 * DAY, 1, []),
        (START + 3 * DAY, 1, [("s2", "done")]),
        (START + 3 * DAY - timedelta(seconds=1), 1, []),
        # After downtime: the latest only, the older ones told of, never a burst.
        (START + 7 * DAY, 0, [("s1", "superseded"), ("s2", "superseded"), ("s3", "done")]),
        (START + 90 * DAY, 1, [("s2", "superseded"), ("s3", "done")]),
        (START + 7 * DAY, 3, []),
    ],
)
def test_which_steps_are_due(now, position, expected):
    assert told(decide(case(position=position), now, guard=allow)) == expected


def test_it_says_when_it_looks_again_and_why():
    decision = decide(case(), START, guard=allow)
    assert decision.next_action_at == START + 3 * DAY
    assert decision.next_action_reason == "“Step 2”: Fri 13 Mar 13:00 (Europe/Rome)"
    waiting = decide(case(), START - HOUR, guard=allow)
    assert (waiting.outcome, waiting.next_action_at) == (Outcome.WAITING, START)


def test_steps_due_at_the_same_moment_act_one_after_the_other():
    both = ladder(step(1, 0), step(2, 0, action="call_task", channel=""))
    first = decide(case(ladder=both), START, guard=allow)
    assert told(first) == [("s1", "done")]
    assert first.next_action_at == START
    second = decide(case(ladder=both, position=1, runs=sent(1)), START, guard=allow)
    assert told(second) == [("s2", "done")]


def test_the_branch_whose_condition_holds_is_taken():
    branches = ladder(
        step(1, 0, condition={"asks_for": ["new_card"]}),
        step(2, 0, condition={"asks_for": {"not": ["new_card"]}}),
    )
    soft = decide(case(ladder=branches), START, guard=allow)
    assert told(soft) == [("s1", "skipped"), ("s2", "done")]
    assert "asks_for in new_card does not hold" in soft.runs[0].reason
    hard = case(ladder=branches, invoices=(invoice(asks_for="new_card"),))
    assert told(decide(hard, START, guard=allow)) == [("s1", "done")]


def test_after_a_mail_that_asks_for_a_card_the_old_one_is_left_alone():
    facts = (invoice(id=7, asks_for="new_card"), invoice(id=8, asks_for="funds"))
    decision = decide(case(invoices=facts), START, guard=allow)
    assert (decision.quiet_invoices, decision.retry_quiet) == ((7,), 24 * HOUR)
    assert decide(case(), START, guard=allow).quiet_invoices == ()


@pytest.mark.parametrize(
    ("facts", "until"),
    [
        ({"retry_at": START + 5 * HOUR, "retry_probability": 0.4}, START + 5 * HOUR + RETRY_SETTLES),
        ({"retry_at": START + 5 * HOUR}, START + 5 * HOUR + RETRY_SETTLES),  # the processor's own: odds unknown
        ({"retry_at": START + 5 * HOUR, "retry_probability": 0.04}, None),
        ({"retry_at": START + 13 * HOUR, "retry_probability": 0.9}, None),
        ({"retry_unplanned": True}, START + SOON),
        ({"retry_in_flight": True}, START + SOON),
    ],
)
def test_the_silent_phase_waits_for_a_retry_worth_waiting_for(facts, until):
    patient = ladder(step(1, 0, wait_for_retry_hours=12))
    decision = decide(case(ladder=patient, invoices=(invoice(**facts),)), START, guard=allow)
    if until is None:
        assert told(decision) == [("s1", "done")]
    else:
        assert told(decision) == [("s1", "deferred")]
        assert decision.runs[0].rule.startswith("one_clock.")
        assert decision.next_action_at == until


def test_the_silent_phase_ends_however_many_retries_follow():
    patient = ladder(step(1, 0, wait_for_retry_hours=12))
    now = START + 13 * HOUR
    waiting = case(ladder=patient, invoices=(invoice(retry_at=now + HOUR, retry_probability=0.9),))
    assert told(decide(waiting, now, guard=allow)) == [("s1", "done")]


@pytest.mark.parametrize("status", ["queued", "sending"])
def test_nobody_moves_up_while_the_last_notice_has_not_left(status):
    held = case(position=1, runs=sent(1, message_status=status))
    decision = decide(held, START + 3 * DAY, guard=allow)
    assert told(decision) == [("s2", "deferred")]
    assert (decision.runs[0].rule, decision.tasks) == ("heard.pending", ())


@pytest.mark.parametrize("status", ["failed", "bounced", "ambiguous"])
def test_nobody_moves_up_because_of_a_notice_that_never_arrived(status):
    held = case(position=1, runs=sent(1, message_status=status))
    decision = decide(held, START + 3 * DAY, guard=allow)
    assert (decision.outcome, decision.runs[0].rule) == (Outcome.DEFERRED, "heard.failed")
    assert [task.key for task in decision.tasks] == ["step:1:1:1"]
    handled = case(position=1, runs=sent(1, message_status=status, task_status="done"))
    assert told(decide(handled, START + 3 * DAY, guard=allow)) == [("s2", "done")]


@pytest.mark.parametrize("status", ["sent", "delivered", "opened", "clicked", "cancelled", "complained"])
def test_what_left_does_not_hold_the_next_step(status):
    decision = decide(case(position=1, runs=sent(1, message_status=status)), START + 3 * DAY, guard=allow)
    assert told(decision) == [("s2", "done")]


def test_a_step_the_guard_forbids_asks_a_person_and_goes_on_when_they_are_done():
    mute = case(guard=guard(addresses={}))
    decision = decide(mute, START)
    assert (decision.outcome, decision.runs[0].rule) == (Outcome.BLOCKED, "address.missing")
    assert decision.position == 0
    assert decision.next_action_at > START
    run = RunFact(1, "blocked", START, "address.missing", task_status="done")
    after = decide(mute._replace(runs={1: run}), START + HOUR)
    assert told(after) == [("s1", "skipped")]
    assert "a person took over" in after.runs[0].reason
    # The cause is gone: the message goes out after all.
    healed = decide(case(runs={1: run._replace(task_status="open")}), START + HOUR, guard=allow)
    assert told(healed) == [("s1", "done")]


def test_a_forbidden_step_with_a_window_is_told_once_however_often_the_window_closes():
    office = {"window_from": time(9), "window_to": time(17)}
    rungs = ladder(step(1, 0, **office))
    run, lines = None, []
    now = START
    for _look in range(12):
        facts = guard(addresses={})
        decided = decide(case(ladder=rungs, guard=facts, runs={1: run} if run else {}), now)
        assert decided.act is None
        for record in decided.runs:
            lines += [record.rule] if record.tell else []
            run = RunFact(1, record.decision, now, record.rule)
        now = decided.next_action_at
    assert now > START + 4 * DAY
    assert lines[-1:] == ["address.missing"]
    assert lines.count("address.missing") == 1
    assert len(lines) <= 2  # at most the window, before anything was forbidden
    # Another rule is news.
    stopped = decide(case(ladder=rungs, guard=guard(do_not_contact=True), runs={1: run}), now)
    assert [record.rule for record in stopped.runs if record.tell] == ["customer.do_not_contact"]


def test_a_persons_answer_to_a_forbidden_step_is_not_forgotten_over_its_window():
    rungs = ladder(step(1, 0, window_from=time(9), window_to=time(17)), step(2, 30))
    facts = guard(addresses={})
    answered = RunFact(1, "blocked", START, "address.missing", task_status="done")
    night = START.replace(hour=22)
    waits = decide(case(ladder=rungs, guard=facts, runs={1: answered}), night)
    assert waits.runs == ()
    morning = waits.next_action_at
    (settled,) = decide(case(ladder=rungs, guard=facts, runs={1: answered}), morning).runs
    assert (settled.decision, settled.rule) == ("skipped", "person")


def test_a_repeated_deferral_is_not_told_twice():
    put_off = Deferred(START + HOUR, "quiet_hours.default", "Quiet hours.")
    first = decide(case(), START, guard=lambda *_: put_off)
    assert (first.runs[0].tell, first.next_action_at) == (True, START + HOUR)
    run = RunFact(1, "deferred", START, "quiet_hours.default")
    again = decide(case(runs={1: run}), START, guard=lambda *_: put_off)
    assert again.runs[0].tell is False


def test_a_guard_that_names_the_past_does_not_make_the_case_spin():
    decision = decide(case(), START, guard=lambda *_: Deferred(START - DAY, "odd"))
    assert decision.next_action_at > START


def test_a_template_without_text_is_found_out_before_it_is_sent():
    decision = decide(case(ladder=ladder(step(1, 0, has_text=False))), START, guard=allow)
    assert (decision.outcome, decision.runs[0].rule) == (Outcome.BLOCKED, "template.missing")


@pytest.mark.parametrize("state", ["paused", "promised", "in_plan", "disputed", "agency", "recovered", "lost"])
def test_a_case_that_rests_does_nothing(state):
    decision = decide(case(state=state), START + 30 * DAY, guard=allow)
    assert (decision.outcome, decision.runs, decision.next_action_at) == (Outcome.RESTING, (), None)


@pytest.mark.parametrize("flag", ["promised", "in_plan", "disputed"])
def test_facts_newer_than_the_state_are_respected(flag):
    decision = decide(case(guard=guard(**{flag: True})), START, guard=allow)
    assert (decision.outcome, decision.runs) == (Outcome.RESTING, ())


def test_nothing_is_pressed_for_when_nothing_is_owed():
    assert decide(case(invoices=()), START, guard=allow).outcome is Outcome.RESTING


def test_the_ladder_ends_once_the_last_notice_had_its_time():
    full = {1: RunFact(1, "superseded", START), 2: RunFact(2, "superseded", START), **sent(3, START + 7 * DAY)}
    stands = case(position=3, runs=full, last_decided_at=START + 7 * DAY)
    early = decide(stands, START + 10 * DAY - timedelta(seconds=1), guard=allow)
    assert (early.outcome, early.next_action_at) == (Outcome.WAITING, START + 10 * DAY)
    end = decide(stands, START + 10 * DAY, guard=allow)
    assert (end.outcome, end.state, end.next_action_at) == (Outcome.ENDED, "lost", None)
    assert end.end_actions == ("cancel_subscription",)


def test_the_end_waits_for_a_last_retry_and_for_a_notice_that_bounced():
    at = START + 10 * DAY
    stands = case(position=3, runs=sent(3, START + 7 * DAY), last_decided_at=START + 7 * DAY)
    retry = stands._replace(invoices=(invoice(retry_at=at + HOUR),))
    assert decide(retry, at, guard=allow).outcome is Outcome.WAITING
    bounced = stands._replace(runs=sent(3, START + 7 * DAY, message_status="bounced"))
    decision = decide(bounced, at, guard=allow)
    assert decision.state == "open"
    assert decision.tasks
    # A person is asked, and not looked for every few minutes; closing the task has the case looked at.
    assert decision.next_action_at == at + PERSON


def test_a_step_may_count_from_the_one_before():
    chain = ladder(step(1, 0), step(2, 24, offset_unit="hours", anchor="previous"))
    assert told(decide(case(ladder=chain), START + 9 * DAY, guard=allow)) == [("s1", "done")]
    late = sent(1, START + 9 * DAY)
    after = case(ladder=chain, position=1, runs=late)
    assert decide(after, START + 9 * DAY, guard=allow).next_action_at == START + 10 * DAY
    assert told(decide(after, START + 10 * DAY, guard=allow)) == [("s2", "done")]


def test_steps_wait_for_their_window():
    office = ladder(step(1, 0, window_days=(1, 2, 3, 4, 5), window_from=time(9), window_to=time(17)))
    saturday = datetime(2026, 3, 14, 12, tzinfo=UTC)
    decision = decide(case(ladder=office, anchor_at=saturday), saturday, guard=allow)
    assert (told(decision), decision.runs[0].rule) == ([("s1", "deferred")], "step.window")
    assert decision.next_action_at == datetime(2026, 3, 16, 8, tzinfo=UTC)  # Monday 09:00 in Rome


moments = st.integers(-365 * 24 * 60, 365 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
verdicts = st.one_of(
    st.just(Allowed()),
    st.builds(Deferred, moments, st.just("rule.x"), st.just("why")),
    st.builds(Blocked, st.just("rule.y"), st.just("why")),
)


@given(now=moments, verdict=verdicts, position=st.integers(0, 3), offsets=st.lists(st.integers(0, 30), min_size=3))
def test_the_guard_only_delays_or_forbids(now, verdict, position, offsets):
    """Invariant 6: whatever it answers, nothing acts that would not have acted without it."""
    rungs = ladder(*(step(n, offset) for n, offset in enumerate(sorted(offsets[:3]), start=1)))
    stands = case(ladder=rungs, position=position)
    free = decide(stands, now, guard=allow)
    held = decide(stands, now, guard=lambda *_: verdict)
    if held.act is not None:
        assert isinstance(verdict, Allowed)
        assert held.act == free.act
    elif free.act is not None:
        assert held.position == stands.position
        assert held.runs[-1].rule == verdict.rule
        assert held.next_action_at > now
    else:
        assert held == free


def test_a_step_that_counts_from_one_never_taken_is_passed_on_the_record():
    steps = (step(1, 0), step(2, 2, anchor="previous"), step(3, 10))
    decision = decide(case(ladder=ladder(*steps)), START + 12 * DAY, guard=allow)
    assert [(run.step.key, run.decision) for run in decision.runs] == [
        ("s1", "superseded"),
        ("s2", "superseded"),
        ("s3", "done"),
    ]


def test_a_step_that_counts_from_one_skipped_has_its_turn():
    """After a standstill nothing that fits was due: the step in between must not be passed unseen."""
    never = {"country": "FR"}
    steps = (step(1, 0, condition=never), step(2, 2, anchor="previous"), step(3, 10, condition=never))
    now = START + 12 * DAY
    first = decide(case(ladder=ladder(*steps)), now, guard=allow)
    assert [(run.step.key, run.decision) for run in first.runs] == [("s1", "skipped")]
    assert first.next_action_at == now + 2 * DAY
    taken = {1: RunFact(1, "skipped", now)}
    second = decide(case(ladder=ladder(*steps), position=1, runs=taken), now + 2 * DAY, guard=allow)
    assert second.act is not None
    assert second.act.key == "s2"


def test_another_way_waits_for_the_steps_own_window():
    """A mail bounced in the evening is no text message at night, where the step speaks in office hours only."""
    rung = step(1, 0, fallback_channels=("sms",), window_from=time(9), window_to=time(17))
    snapshot = case(
        ladder=ladder(rung, step(2, 3)),
        position=1,
        runs=sent(1, message_status="bounced", channels=("email",)),
        guard=guard(addresses={"email": "a@example.com", "sms": "+393331234567"}),
    )
    night = START.replace(hour=20)
    waits = decide(snapshot, night, guard=allow)
    assert waits.act is None
    assert waits.next_action_at == datetime(2026, 3, 11, 8, tzinfo=UTC)
    goes = decide(snapshot, waits.next_action_at, guard=allow)
    assert (goes.again, goes.channel) == (True, "sms")
