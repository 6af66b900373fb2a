"""How common calendars are: learned of many, drawn to what is usual for few, and of the others for each."""

from dataclasses import replace

import numpy as np
import pytest

from billing.retries.learned.calendars import CALENDARS
from billing.retries.learned.habits import LASTING_HOURS, RANDOM_KINDS, Habits
from billing.retries.learned.hypotheses import Person
from billing.retries.learned.mixing import STRENGTHS, Fits, Shares, apart, mixed

CLASSES = len(LASTING_HOURS)
CODES = [calendar.code for calendar in CALENDARS]
FRIDAY = CODES.index("cycle-7-1")
#: One country and one group beside everybody.
FLAT = replace(
    Habits.flat(),
    calendars=np.tile(Habits.flat().calendars, (2, 1)),
    lasting=np.tile(Habits.flat().lasting, (2, 1)),
    random=np.tile(Habits.flat().random, (2, 1)),
)


def _paid_by(calendars: list[int]) -> Fits:
    """Customers whose charges only these calendars explain, with money of the third class."""
    explains = np.full((len(calendars), len(CALENDARS) * CLASSES + len(RANDOM_KINDS)), 1e-4, np.float32)
    explains[np.arange(len(calendars)), np.array(calendars) * CLASSES + 2] = 1
    ones = np.ones(len(calendars), int)
    return Fits(explains, ones, ones)


def _learned(shares: Shares) -> Habits:
    return replace(
        FLAT,
        calendars=shares.calendars,
        lasting=shares.kinds[:, :CLASSES],
        random=shares.kinds[:, CLASSES:],
        seen_calendars=shares.seen_calendars,
        seen_kinds=shares.seen_kinds,
        drawn=np.array(shares.drawn),
    )


def test_a_payday_that_a_country_shares_is_learned_soon():
    shares = mixed(FLAT, _paid_by([FRIDAY] * 40))
    assert shares.calendars[1, FRIDAY] > 0.8
    assert shares.drawn[0] < STRENGTHS[0][0]
    assert shares.calendars.sum(1) == pytest.approx(1)
    assert shares.kinds.sum(1) == pytest.approx(1)


def test_where_everybody_has_their_own_a_few_make_nothing_common():
    own = list(range(0, len(CALENDARS), len(CALENDARS) // 40))
    shares = mixed(FLAT, _paid_by(own))
    assert shares.drawn == STRENGTHS[0]
    usual = FLAT.calendars[0]
    assert shares.calendars[1, own[0]] / usual[own[0]] < 4


def test_few_customers_are_drawn_to_what_is_supposed():
    shares = mixed(FLAT, _paid_by([FRIDAY] * 3))
    assert shares.calendars[1, FRIDAY] < 0.3


def test_what_one_customer_did_does_not_speak_for_itself_twice():
    tuesday = CODES.index("cycle-7-5")
    habits = _learned(mixed(FLAT, _paid_by([FRIDAY] * 39 + [tuesday])))
    mine, kinds = np.zeros(len(CALENDARS)), np.zeros(CLASSES + len(RANDOM_KINDS))
    mine[tuesday], kinds[2] = 1, 1
    by_calendar, by_kind = apart(habits, Person(1, 1, 0), mine, kinds)
    # Nobody else is paid on Tuesdays; the others' Fridays are as common without this one, or more.
    assert by_calendar[tuesday] < 0.5
    assert by_calendar[FRIDAY] >= 1
    assert 0.9 < by_kind[2] < 1
    assert (habits.calendars[1] * by_calendar).sum() == pytest.approx(1)


def test_without_a_share_nothing_changes():
    habits = _learned(mixed(FLAT, _paid_by([FRIDAY] * 40)))
    for person in (Person(1, 1, 0), Person(0, 0, 0)):
        ratios = apart(habits, person, np.zeros(len(CALENDARS)), np.zeros(CLASSES + len(RANDOM_KINDS)))
        assert np.concatenate(ratios) == pytest.approx(1)
