"""One life on the virtual calendar: what happens when, who pays, what is charged, what is not allowed."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.retries.types import RetryContext
from campaigns.engine.standing import Offer
from campaigns.simulator.play import play
from campaigns.simulator.run import simulate
from campaigns.simulator.types import Costs, Promised, RetryPlan
from tests.campaigns.engine import snapshots
from tests.campaigns.engine.snapshots import ladder, step
from tests.campaigns.simulator.lives import DAY, START, bill, life, offers, played, told

HOUR = timedelta(hours=1)


def only(events, *kinds):
    return [event for event in events if event.kind in kinds]


def test_nobody_pays_is_the_whole_ladder():
    assert told(played(life())) == [
        (0, "opened", ""),
        (0, "sent", "s1"),
        (3, "sent", "s2"),
        (7, "sent", "s3"),
        (10, "ended", ""),
    ]


def test_who_pays_gets_no_further_mail_and_a_thank_you():
    events = played(life(bill(paid_at=START + 4 * DAY)))
    assert told(events)[-3:] == [(4, "paid", ""), (4, "recovered", ""), (4, "receipt", "")]
    assert [event.step for event in only(events, "sent")] == ["s1", "s2"]


def test_what_is_paid_in_time_is_no_case():
    assert played(life(bill(since=START + 3 * DAY, paid_at=START + 2 * DAY))) == []


def test_a_second_debt_joins_and_the_case_counts_anew_when_the_first_is_paid():
    first = bill(1, paid_at=START + 4 * DAY)
    second = bill(2, since=START + 2 * DAY)
    events = played(life(first, second))
    assert [event.kind for event in events if event.kind in ("opened", "joined", "reanchored", "ended")] == [
        "opened", "joined", "reanchored", "ended",
    ]  # fmt: skip
    mails = only(events, "sent")
    assert mails[1].invoices == (1, 2)
    assert mails[-1].invoices == (2,)
    # The seventh day after the second debt began.
    assert mails[-1].at == START + 9 * DAY


def test_charges_follow_the_planner_and_end_with_the_payment():
    context = RetryContext(invoice_id="1", failed_at=START, timezone="Europe/Rome", decline_code="insufficient_funds")
    charged = bill(retry=RetryPlan(context), decline_category="insufficient_funds", asks_for="funds")
    all_of_them = only(played(life(charged)), "retry")
    assert 3 <= len(all_of_them) <= 8
    assert all(event.at - START <= 21 * DAY for event in all_of_them)
    paid = only(played(life(charged._replace(paid_at=START + 7 * DAY))), "retry")
    assert [event.at for event in paid] == [event.at for event in all_of_them if event.at < START + 7 * DAY]
    assert "Chance" in paid[0].reason


def test_a_mail_waits_for_a_charge_that_comes_soon():
    context = RetryContext(invoice_id="1", failed_at=START, timezone="Europe/Rome", decline_code="insufficient_funds")
    patient = ladder(step(1, 0, wait_for_retry_hours=48), step(2, 9))
    events = played(
        life(bill(retry=RetryPlan(context), retry_at=START + 5 * HOUR, retry_probability=0.4)), ladder=patient
    )
    first = only(events, "deferred", "retry", "sent")[:2]
    assert [event.kind for event in first] == ["deferred", "retry"]
    assert first[0].rule == "one_clock.retry_first"
    assert first[0].until == START + 6 * HOUR
    assert first[1].at == START + 5 * HOUR


def test_who_has_no_address_is_for_a_person_and_the_case_is_looked_at_again_when_a_step_falls_due():
    events = played(life(guard=snapshots.guard(addresses={})))
    assert [event.rule for event in only(events, "blocked")] == ["address.missing"] * 3
    assert only(events, "sent") == []
    assert events == played(life(guard=snapshots.guard(addresses={})))


def test_a_promise_rests_and_its_end_goes_on():
    snapshot = snapshots.case(state="promised", position=1)
    one = life(bill(), case=snapshot, promise=Promised(1, 4900, START + 5 * DAY))
    events = played(one)
    assert told(events)[0] == (5, "promise_broken", "")
    assert all(event.at >= START + 5 * DAY for event in events)
    assert only(events, "sent")


def test_a_coming_invoice_is_announced_before_its_day_and_closed_on_it():
    spec = ladder(step(1, -7), step(2, -1))
    one = life(bill(since=START + 10 * DAY, known_at=START, trigger="invoice_overdue"))
    events = played(one, offers=[Offer("invoice_due", None, spec)])
    assert told(events) == [
        # By local dates: from midnight in Rome, and as soon as the rules let mail go out that morning.
        (2.46, "opened", ""),
        (2.46, "deferred", "s1"),
        (2.75, "sent", "s1"),
        (8.46, "deferred", "s2"),
        (8.75, "sent", "s2"),
        (10, "cancelled", ""),
    ]
    assert [event.days for event in only(events, "sent")] == [-7, -1]


def test_a_step_may_go_over_to_another_ladder():
    start = step(2, 3, action="start_ladder", channel="", params={"ladder": "other"})
    other = ladder(step(11, 0), step(12, 2), version_id=2)
    events = play(
        life(), offers(ladder=ladder(step(1, 0), start)), start=START, until=START + 30 * DAY, costs=Costs(),
        ladders={"other": other},
    )  # fmt: skip
    assert told(events)[:6] == [
        (0, "opened", ""),
        (0, "sent", "s1"),
        (3, "acted", "s2"),
        (3, "started", ""),
        (3, "sent", "s11"),
        (5, "sent", "s12"),
    ]


def test_what_is_written_off_ends_the_case():
    spec = ladder(step(1, 0), step(2, 3, action="write_off", channel=""), step(3, 7))
    events = played(life(), ladder=spec)
    assert told(events)[-2:] == [(3, "acted", "s2"), (3, "cancelled", "")]


def test_costs_are_counted_by_channel_and_rounded_up():
    costs = Costs("EUR", {"email": 40, "sms": 8000})
    spec = ladder(step(1, 0), step(2, 3, channel="sms"), step(3, 7))
    one = life(guard=snapshots.guard(addresses={"email": "a@example.com", "sms": "+393331234567"}))
    figures = simulate([one], offers(ladder=spec), start=START, until=START + 30 * DAY, costs=costs).figures
    expected = {"email": 1} | ({"sms": 8} if figures.by_channel.get("sms") else {})
    assert dict(figures.cost_by_channel) == expected
    assert figures.currency == "EUR"
    assert figures.cost == (9 if "sms" in expected else 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_order_and_number_of_processes_change_nothing(processes):
    lives = [life(bill(since=START + n * timedelta(seconds=7)), key=n) for n in range(600)]
    until = START + 30 * DAY
    alone = [play(one, offers(), start=START, until=until, costs=Costs()) for one in lives]
    seen = []
    together = simulate(
        lives, offers(), start=START, until=until, processes=processes, progress=lambda *at: seen.append(at)
    )
    assert together.events == [event for events in alone for event in events]
    assert seen[-1] == (600, 600)
    assert together.figures.reminders == 1800


@given(
    sinces=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    pays=st.lists(st.one_of(st.none(), st.integers(0, 60)), min_size=5, max_size=5),
)
def test_whoever_owes_and_pays_when_nobody_is_reminded_of_what_is_not_owed(sinces, pays):
    bills = [
        bill(n, since=START + since * DAY, paid_at=None if pays[n] is None else START + (since + pays[n]) * DAY)
        for n, since in enumerate(sinces)
    ]
    events = played(life(*bills), days=200)
    paid_at = {one.id: one.paid_at for one in bills}
    since = {one.id: one.since for one in bills}
    assert [event.at for event in events] == sorted(event.at for event in events)
    for event in only(events, "sent"):
        assert event.invoices
        for pk in event.invoices:
            assert since[pk] <= event.at
            assert paid_at[pk] is None or event.at < paid_at[pk]
    opened, closed = len(only(events, "opened")), len(only(events, "recovered", "ended", "cancelled"))
    assert opened - closed in (0, 1)
