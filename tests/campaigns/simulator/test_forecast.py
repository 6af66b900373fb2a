"""The forecast is the simulator's play of one case, told step by step up to where a person is asked."""

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from billing.retries.types import RetryContext
from campaigns.engine.decide import decide
from campaigns.engine.types import RunFact
from campaigns.simulator import climb
from campaigns.simulator.forecast import foreseen
from campaigns.simulator.types import Life, Promised, RetryPlan
from tests.campaigns.engine.snapshots import DAY, HOUR, START, case, guard, ladder, step
from tests.campaigns.simulator.lives import bill, life


def lived(*bills, **fields) -> Life:
    """A life in the middle of a case."""
    own = {name: fields.pop(name) for name in ("promise", "next_action_at") if name in fields}
    snapshot = case(**fields)
    return life(*bills, case=snapshot, guard=snapshot.guard, **own)


def acts(found):
    return [(round((item.at - START) / DAY, 2), item.step or item.kind) for item in found]


def test_every_step_and_the_end():
    assert acts(foreseen(lived(), START)) == [(0, "s1"), (3, "s2"), (7, "s3"), (10, "ended")]


def test_the_horizon_cuts_it_off():
    assert acts(foreseen(lived(), START, 5 * DAY)) == [(0, "s1"), (3, "s2")]


def test_a_planned_retry_moves_the_first_mail_and_is_named():
    patient = ladder(step(1, 0, wait_for_retry_hours=12), step(2, 3))
    found = foreseen(lived(bill(retry_at=START + 2 * HOUR), ladder=patient), START)
    assert found[0].at == START + 3 * HOUR
    assert found[0].scheduled_for == START
    assert "A retry is planned" in found[0].reason


def test_charges_that_will_be_planned_are_foreseen_too():
    context = RetryContext(invoice_id="1", failed_at=START, timezone="Europe/Rome", decline_code="insufficient_funds")
    patient = ladder(step(1, 0), step(2, 7, wait_for_retry_hours=96))
    found = foreseen(lived(bill(retry=RetryPlan(context), asks_for="funds"), ladder=patient), START)
    assert found[1].step == "s2"
    assert found[1].at > START + 7 * DAY
    assert "A retry is planned" in found[1].reason


def test_the_window_moves_a_step_into_the_customer_s_morning():
    hours = {"window_from": time(9), "window_to": time(12)}
    office = ladder(step(1, 0), step(2, 4, window_days=(1, 2, 3, 4, 5), **hours))
    found = foreseen(lived(ladder=office), START)  # day 4 is a Saturday
    assert found[1].at == datetime(2026, 3, 16, 8, tzinfo=UTC)
    assert found[1].local == "Mon 16 Mar 09:00 (Europe/Rome)"


def test_the_least_gap_between_messages_is_kept():
    close = ladder(step(1, 0), step(2, 1), min_gap_hours=40)
    found = foreseen(lived(ladder=close, guard=guard(min_gap_hours=40)), START)
    assert found[1].at - found[0].at >= 40 * HOUR
    assert found[1].reason


def test_what_is_forbidden_stops_it_at_the_person():
    found = foreseen(lived(guard=guard(addresses={})), START)
    assert [item.kind for item in found] == ["blocked"]


def test_a_pause_is_played_to_its_end_and_a_rest_without_date_not():
    paused = lived(state="paused", position=1, rests_until=START + 20 * DAY)
    assert acts(foreseen(paused, START + DAY))[0][0] == 20
    assert foreseen(lived(state="agency"), START) == []


def test_a_promise_is_taken_for_broken_at_its_date():
    promised = lived(state="promised", position=1, promise=Promised(1, 4900, START + 5 * DAY))
    assert acts(foreseen(promised, START + DAY))[0] == (5, "s2")


def test_a_message_on_its_way_arrives_and_holds_nothing():
    queued = {1: RunFact(1, "done", START, message_status="queued", channels=("email",))}
    found = foreseen(lived(position=1, runs=queued), START + HOUR)
    assert acts(found) == [(3, "s2"), (7, "s3"), (10, "ended")]


def test_a_message_that_bounced_goes_its_next_way_once():
    ways = ladder(step(1, 0, fallback_channels=("sms",)), step(2, 3))
    bounced = {1: RunFact(1, "done", START, message_status="bounced", channels=("email",))}
    reachable = guard(addresses={"email": "a@example.com", "sms": "+393331234567"})
    found = foreseen(lived(ladder=ways, position=1, runs=bounced, guard=reachable), START + HOUR)
    assert [(item.step, item.kind) for item in found[:2]] == [("s1", "sent"), ("s2", "sent")]
    assert [item.step for item in found] == ["s1", "s2", ""]


def test_a_call_in_a_message_s_place_waits_for_the_person_who_makes_it():
    ways = ladder(step(1, 0, fallback_channels=("call",)), step(2, 3))
    found = foreseen(lived(ladder=ways, guard=guard(addresses={"call": "+390612345"})), START)
    assert [(item.step, item.kind) for item in found] == [("s1", "task")]


def test_a_day_that_is_coming_is_announced_though_nothing_is_owed():
    coming = ladder(step(1, -7), step(2, -1))
    expiring = case(ladder=coming, anchor_at=START + 10 * DAY, invoices=(), ahead=True, stands=True)
    one = replace(life(case=expiring, guard=expiring.guard), bills=())
    # By local dates, whatever the hour of the day itself: when the rules open that morning, at seven in Rome.
    assert acts(foreseen(one, START)) == [(2.75, "s1"), (8.75, "s2")]


@pytest.mark.parametrize("state", ["open", "paused", "promised", "in_plan", "disputed", "agency"])
def test_nothing_to_press_for_is_looked_at_once(state, monkeypatch):
    """Facts that have moved on while the assessment has not been by: the loop would look every few minutes."""
    looks = []
    monkeypatch.setattr(climb, "decide", lambda *asked: looks.append(asked) or decide(*asked))
    idle = replace(lived(state=state, invoices=()), bills=())
    assert foreseen(idle, START) == []
    assert len(looks) == 1
