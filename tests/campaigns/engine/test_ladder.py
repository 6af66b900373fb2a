"""What a ladder is refused for before it is published, and how conditions are read."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from campaigns.engine.conditions import check_condition, unmet
from campaigns.engine.decide import decide
from campaigns.engine.ladder import after, check_steps, next_moment, opening, without_jump
from campaigns.guard.zones import zone
from customers.errors import SollecitoError
from tests.campaigns.engine.snapshots import DAY, START, allow, case, guard, invoice, ladder, step


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([step(1, 3), step(2, 1)], "step_order"),
        ([step(1, 3), step(2, 71, offset_unit="hours")], "step_order"),
        ([step(1, 0, window_from=time(17), window_to=time(9))], "step_window"),
        ([step(1, 0, window_days=(0,))], "step_window"),
    ],
)
def test_steps_that_could_not_be_climbed(steps, code):
    with pytest.raises(SollecitoError) as error:
        check_steps(steps)
    assert error.value.code == code


def test_steps_that_can():
    check_steps([step(1, 3), step(2, 72, offset_unit="hours"), step(3, 1, anchor="previous"), step(4, 3)])


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({}, True),
        ({"decline_category": "insufficient_funds"}, True),
        ({"decline_category": ["expired", "insufficient_funds"]}, True),
        ({"decline_category": {"not": ["expired"]}}, True),
        ({"decline_category": {"not": ["insufficient_funds"]}}, False),
        ({"asks_for": "new_card"}, False),
        ({"balance": {"at_least": {"EUR": 49}}}, True),
        ({"balance": {"at_least": {"EUR": "49.01"}}}, False),
        ({"balance": {"at_least": {"USD": 1}}}, False),
        ({"balance": {"at_least": {"USD": 1, "EUR": 1}}}, True),
        ({"retries_left": False}, True),
        ({"retries_left": True}, False),
        ({"subscription_status": "past_due"}, True),
        ({"customer_kind": "consumer"}, False),
        ({"country": ["IT", "FR"]}, True),
        ({"country": "IT", "asks_for": "new_card"}, False),
    ],
)
def test_conditions(condition, holds):
    snapshot = case(invoices=(invoice(subscription_status="past_due"),), guard=guard())
    check_condition(condition)
    assert (unmet(condition, snapshot, START) == "") is holds


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ({"moon": "full"}, "unknown_condition"),
        ({"asks_for": "a_favour"}, "bad_condition"),
        ({"asks_for": []}, "bad_condition"),
        ({"asks_for": {"at_least": 3}}, "bad_condition"),
        ({"balance": 50}, "bad_condition"),
        ({"balance": {"at_least": 50}}, "bad_condition"),
        ({"balance": {"at_least": {"EUR": "a lot"}}}, "bad_amount"),
        ({"retries_left": "yes"}, "bad_condition"),
    ],
)
def test_conditions_that_are_refused(condition, code):
    with pytest.raises(SollecitoError) as error:
        check_condition(condition)
    assert error.value.code == code


FOUND_LATE = START + 31 * DAY  # 10 April


@pytest.mark.parametrize(
    ("steps", "position", "next_days"),
    [
        ([step(1, 0), step(2, 3)], 0, [0, 3]),
        ([step(1, 0), step(2, 3), step(3, 7)], 1, [0, 4]),
        # What counts from the step before is not due, and what counts from the case must not pass it.
        ([step(1, 0), step(2, 2, anchor="previous"), step(3, 10)], 0, [0, 10]),
        ([step(1, 0), step(2, 2, anchor="previous"), step(3, 10)], 1, [0, 8]),
        ([step(1, 0), step(2, 2, anchor="previous"), step(3, 1, anchor="previous"), step(4, 10)], 1, [0, 8]),
        # The end of a month stays where it is, however the anchor is moved within it.
        ([step(1, 0, anchor="month_end"), step(2, 5, anchor="month_end")], 0, [20, 25]),
        ([step(1, -25, anchor="month_end"), step(2, -22, anchor="month_end")], 0, [26, 29]),
        ([step(1, 0), step(2, 0, anchor="month_end")], 0, [0, 20]),
        ([step(1, 0, anchor="month_end"), step(2, 40)], 0, [0, 30]),
    ],
)
def test_what_was_found_late_goes_on_with_its_very_next_step(steps, position, next_days):
    tz = zone("Europe/Rome")
    anchor = START - 20 * DAY
    moved = without_jump(ladder(*steps), anchor, position, FOUND_LATE, tz)
    assert moved >= anchor
    snapshot = case(ladder=ladder(*steps), anchor_at=moved, position=position, last_decided_at=anchor)
    by_anchor = [one for one in steps if one.position > position and (one.anchor != "previous")]
    moments = [after(one, moved, tz) for one in by_anchor[-2:]]
    assert len([at for at in moments if at <= FOUND_LATE]) <= 1
    assert [
        (max(at, FOUND_LATE) - FOUND_LATE).days for at in (next_moment(snapshot, position, None, tz)[0], moments[-1])
    ] == next_days
    decision = decide(snapshot, max(next_moment(snapshot, position, None, tz)[0], FOUND_LATE), guard=allow)
    assert decision.act is not None
    assert decision.act.position == position + 1


@pytest.mark.parametrize(
    ("place", "due", "days", "leaves"),
    [
        # The last second of the local day, as invoices on net terms have it.
        ("Europe/Rome", "2026-03-12T23:59:59", -1, "2026-03-11T09:00"),
        ("Europe/Rome", "2026-03-12T23:59:59", -7, "2026-03-05T09:00"),
        ("America/Los_Angeles", "2026-03-12T23:59:59", -1, "2026-03-11T09:00"),
        ("Pacific/Auckland", "2026-03-12T23:59:59", -1, "2026-03-11T09:00"),
        ("Europe/Rome", "2026-03-12T00:00:00", -1, "2026-03-11T09:00"),
        ("Europe/Rome", "2026-03-12T12:00:00", -1, "2026-03-11T09:00"),
        # Across the clock changes of spring and autumn, and the end of February in a leap year.
        ("Europe/Rome", "2026-03-30T23:59:59", -3, "2026-03-27T09:00"),
        ("Europe/Rome", "2026-10-27T23:59:59", -4, "2026-10-23T09:00"),
        ("Europe/Rome", "2028-03-01T23:59:59", -1, "2028-02-29T09:00"),
    ],
)
def test_days_before_the_day_are_whole_local_dates(place: str, due: str, days: int, leaves: str) -> None:
    tz = ZoneInfo(place)
    rung = step(1, offset=days, window_days=(1, 2, 3, 4, 5), window_from=time(9), window_to=time(17))
    moment = after(rung, datetime.fromisoformat(due).replace(tzinfo=tz).astimezone(UTC), tz)
    assert opening(rung, moment, tz, "IT").astimezone(tz).isoformat(timespec="minutes")[:16] == leaves
