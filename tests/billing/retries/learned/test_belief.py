"""What one charge's answer makes of what is believed: whose fault a refusal is, in the order in which they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from billing.retries.learned.belief import begin, in_two, take_in
from billing.retries.learned.habits import APPROVED, CODE_GROUPS, EXPOSED, FUNDS, NOISE, Habits
from billing.retries.learned.hypotheses import Charges, Person, coarse
from billing.retries.learned.scenarios import FUTURES, with_bank_hours

SAID_FUNDS, SAID_NO, SAID_OUTAGE = 0, 1, 3
ANYBODY = Person(0, 0, 0)
BEGIN = 490_000


def _weights(*answers: int, habits: Habits | None = None) -> np.ndarray:
    """How likely each way of money is after charges five days apart that were answered so."""
    habits = habits or Habits.flat()
    return take_in(begin(coarse(habits, [ANYBODY])), [ANYBODY], [_charges(*answers)], habits).weights[0]


def _charges(*answers: int) -> Charges:
    return Charges.of([(BEGIN + 120 * n, BEGIN + 120 * n, said, 0) for n, said in enumerate(answers)])


def _moved(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.abs(after - before).sum() / 2)


def test_an_outage_tells_next_to_nothing_of_money():
    # Banks seldom say so of lack of money, too, and calendars change a little meanwhile.
    known = _weights(APPROVED, APPROVED, SAID_FUNDS)
    assert _moved(known, _weights(APPROVED, APPROVED, SAID_FUNDS, SAID_OUTAGE)) < 0.06
    assert _moved(known, _weights(APPROVED, APPROVED, SAID_FUNDS, SAID_FUNDS)) > 0.2


def test_a_refusal_never_speaks_for_money():
    always = -1
    assert _weights(SAID_NO)[always] < _weights()[always]
    assert _weights(SAID_FUNDS)[always] < _weights(SAID_NO)[always]


def test_a_bank_that_refuses_at_that_hour_excuses_the_customer():
    closed = replace(Habits.flat(), refused=np.full((1, 24), 0.95))
    always = -1
    assert _weights(SAID_NO, habits=closed)[always] > 0.84 * _weights()[always] > _weights(SAID_NO)[always]
    # Its word for lack of money stands, though it seldom comes so far as to say it.
    assert _weights(SAID_FUNDS, habits=closed)[always] < 0.7 * _weights()[always]


def test_who_is_approved_at_closed_hours_is_exempt_from_them():
    """Neither later refusals at such hours are excused then, nor are the hours avoided."""
    closed = replace(Habits.flat(), refused=np.full((1, 24), 0.95))
    told = {}
    for said in (APPROVED, SAID_NO):
        belief = take_in(begin(coarse(closed, [ANYBODY])), [ANYBODY], [_charges(said)], closed)
        told[said] = (belief.exposed * in_two(belief.weights)).sum()
        futures = with_bank_hours(np.ones((FUTURES, 3)), belief, closed, ANYBODY, BEGIN + np.arange(24, 27))
        # In as many futures as the card is exposed the bank is closed.
        assert np.isin(futures, (1, pytest.approx(0.05 * 0.99))).all()
        assert (futures[:, 0] < 1).mean() == pytest.approx(told[said], abs=0.03)
    assert told[APPROVED] < 0.1 < EXPOSED < told[SAID_NO]


def test_how_far_a_banks_words_tell_its_reasons_from_lack_of_money():
    same = Habits.flat().spoken[NOISE]
    other = np.eye(CODE_GROUPS)[SAID_FUNDS]
    habits = replace(
        Habits.flat(),
        funds_spoken=np.array([Habits.flat().spoken[FUNDS], same, other]),
        noise_spoken=np.tile(same, (3, 1)),
    )
    own, masked, frank = habits.tells_apart
    assert masked == pytest.approx(0)
    assert frank > 0.9
    assert masked < own < frank
