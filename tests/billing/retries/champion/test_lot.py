"""The lot: its chances are what it says, it draws the same twice, and stops leave it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.retries.champion.lot import Arm, draw, shares, ticket
from billing.retries.types import PlannedRetry, Stop

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def arm(name, share, hours, *, rule="x"):
    def plan():
        if hours is None:
            return Stop("over", "schedule.over")
        return PlannedRetry(NOON + timedelta(hours=hours), 0.3, name, "why", (), rule)

    return Arm(name, share, plan)


def test_the_lot_falls_by_its_shares_and_always_the_same():
    arms = [arm("model:1", 0.8, 0), arm("rules", 0.1, 5), arm("model:2", 0.1, 9)]
    drawn = [draw(arms, str(n), 2) for n in range(4000)]
    share = sum(d.answer.strategy == "rules" for d in drawn) / len(drawn)
    assert 0.08 < share < 0.12
    assert {round(d.propensity, 9) for d in drawn} == {0.8, 0.1}
    assert drawn == [draw(arms, str(n), 2) for n in range(4000)]


def test_moments_of_one_hour_share_their_chance():
    drawn = draw([arm("model:1", 0.9, 0), arm("rules", 0.1, 0.2)], "7", 2)
    assert drawn.propensity == 1
    assert [o["name"] for o in drawn.options] == ["model:1", "rules"]


def test_who_stops_leaves_the_lot_and_the_first_decides_whether_to_go_on():
    drawn = draw([arm("model:1", 0.5, 0), arm("rules", 0.5, None)], "7", 2)
    assert (drawn.answer.strategy, drawn.propensity, len(drawn.options)) == ("model:1", 1, 1)
    assert isinstance(draw([arm("model:1", 0.5, None), arm("rules", 0.5, 0)], "7", 2).answer, Stop)


def test_nothing_is_drawn_for_one_arm_or_a_new_card():
    assert draw([arm("rules", 1.0, 0)], "7", 2).propensity is None
    assert draw([arm("rules", 0.5, 0, rule="method.new"), arm("model:1", 0.5, 1)], "7", 2).options == ()


@given(st.text(max_size=20), st.integers(0, 10**6))
def test_a_ticket_is_a_place_from_0_to_1(invoice, number):
    assert 0 <= ticket(invoice, number) < 1


@pytest.mark.parametrize(("champion", "others"), [(0.9, 0), (0.9, 1), (0.5, 2), (1.0, 2)])
def test_shares_add_up(champion, others):
    assert sum(shares(champion, others)) == pytest.approx(1)
