"""Why a charge is answered as it is: every answer's chance, and what it says of the bank's hours."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.retries.learned.answers import Answers, answers, mixed
from billing.retries.learned.habits import APPROVED, CODE_GROUPS, GAP_BINS, Habits

SAID_FUNDS, SAID_NO = 0, 1
OPEN, CLOSED = 12, 20
#: Open but for two hours of the evening.
HABITS = replace(Habits.flat(), refused=np.where(np.isin(np.arange(24), (CLOSED, CLOSED + 1)), 0.97, 0.02)[None, :])
#: Nobody is charged soon after another charge.
QUIET = (np.array([len(GAP_BINS)]), np.array([0]))
_CHANCE = st.floats(0, 1)


def _answers(hour: int, said: int, *, dead: float = 0, blocked: tuple[float, float] = (0, 0)) -> Answers:
    bank, local = np.array([0]), np.array([hour])
    return answers(HABITS, bank, local, QUIET, np.array([said]), np.array([dead]), np.array([blocked]))


def _exposed(hour: int, said: int, money: float, before: float = 0.6) -> float:
    """How likely the card meets its bank's hours after that, if such is the chance of money."""
    whose = np.array([[1.0, 0.0]])
    return float(_answers(hour, said).after(np.full((1, 2), before), whose, money * whose)[0, 0])


@given(st.integers(0, 23), _CHANCE, st.tuples(_CHANCE, _CHANCE), _CHANCE)
def test_some_answer_is_given(hour, dead, blocked, money):
    total = np.zeros(3)
    for said in range(APPROVED, CODE_GROUPS):
        told = _answers(hour, said, dead=dead, blocked=blocked)
        total += (told.constant + told.slope * money)[:, 0]
    assert total == pytest.approx(1, abs=1e-3)  # words are told to three places


def test_a_closed_bank_approves_nothing_and_says_what_it_says_for_reasons_of_its_own():
    approved, refused = _answers(OPEN, APPROVED), _answers(OPEN, SAID_NO)
    assert approved.constant[2] + approved.slope[2] == 0
    assert refused.constant[2] == pytest.approx(HABITS.noise_spoken[0, SAID_NO], abs=0.02)
    assert refused.slope[2] == 0


def test_an_approval_at_a_closed_hour_says_that_the_card_is_exempt():
    assert _exposed(CLOSED, APPROVED, 0.5) < 0.1
    assert _exposed(OPEN, APPROVED, 0.5) == pytest.approx(0.6, abs=0.01)


def test_a_refusal_for_no_lack_of_money_says_that_it_is_not():
    assert _exposed(CLOSED, SAID_NO, 0.9) > 0.85
    assert _exposed(OPEN, SAID_NO, 0.9) == pytest.approx(0.6, abs=0.1)
    # Who has none would have been refused anyway; and who is told so was not refused for the hour.
    assert _exposed(CLOSED, SAID_NO, 0.0) < 0.8
    assert _exposed(CLOSED, SAID_FUNDS, 0.2) < 0.3


def test_one_that_is_sure_stays_sure():
    for before in (0.0, 1.0):
        assert _exposed(CLOSED, SAID_NO, 0.5, before) == before


def test_what_is_so_if_and_if_not_is_mixed_by_how_likely_it_is():
    either = np.array([[10.0, 20.0], [0.0, 1.0]])
    found = mixed(np.array([[1.0, 0.0], [0.5, 0.25]]), either)
    assert found == pytest.approx(np.array([[10, 0], [10.5, 5.75]]))
