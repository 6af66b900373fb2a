"""Owns why a charge is answered as it is: the card is dead, money lacks, a refusal lasts, or the bank has reasons of
its own, such as its hours, which not every card meets.

An answer's chance is linear in that of money being there, and in that of the card meeting its bank's hours. So what it
says of either is exact, whatever the hypothesis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from billing.retries.learned.habits import (
    APPROVED,
    CAUSES,
    DEAD,
    FUNDS,
    LONG_BLOCK,
    NOISE,
    SHORT_BLOCK,
    Floats,
    Habits,
)
from billing.retries.learned.hypotheses import Ints

_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Answers:
    """The chances of one answer of each of many customers: if their cards meet their banks' hours, if not, and if they
    do and the bank is closed.

    `passes` (these x customer) is the chance of approval where there is money, `causes` (these x cause x customer)
    that of this refusal without money; of this answer it is `constant` + `slope` x money.
    """

    passes: Floats
    causes: Floats
    constant: Floats
    slope: Floats

    def after(self, exposed: Floats, whose: Floats, money: Floats) -> Floats:
        """The chance that each card meets its bank's hours, knowing the answer.

        All are customer x (who does not always have enough, who does): `exposed` is that chance before, `whose` how
        likely the customer is one of these, and `money` how likely one of these with money.
        """
        told = self.constant[:, :, None] * whose + self.slope[:, :, None] * money + _LEAST
        met = exposed * told[0]
        return np.asarray(met / (met + (1 - exposed) * told[1]))


def answers(
    habits: Habits, bank: Ints, local: Ints, crowd: tuple[Ints, Ints], said: Ints, dead: Floats, blocked: Floats
) -> Answers:
    """How likely charges at these local hours were answered so.

    `crowd` are the bins of the charges before (see Charges); `dead` and `blocked` (customer x kind of block) the
    chances at that hour.
    """
    quiet = 1 - habits.crowded[crowd]
    let = np.stack([quiet * habits.bank_passes(bank, local), quiet, np.zeros_like(quiet)])
    live, free = 1 - dead, (1 - blocked).prod(axis=1)
    approved = said == APPROVED
    word = np.where(approved, 0, said)
    causes = np.empty((3, len(CAUSES), len(said)))
    causes[:, DEAD] = dead * habits.spoken[DEAD, word]
    causes[:, FUNDS] = live * free * let * habits.funds_spoken[bank, word]
    causes[:, SHORT_BLOCK] = live * blocked[:, 0] * habits.spoken[SHORT_BLOCK, word]
    causes[:, LONG_BLOCK] = live * (1 - blocked[:, 0]) * blocked[:, 1] * habits.spoken[LONG_BLOCK, word]
    causes[:, NOISE] = live * free * (1 - let) * habits.noise_spoken[bank, word]
    causes[:, :, approved] = 0
    passes = live * free * let
    return Answers(passes, causes, causes.sum(1), np.where(approved, passes, -causes[:, FUNDS]))


def mixed(exposed: Floats, either: Floats) -> Floats:
    """What is so and so likely if cards meet their banks' hours and if not (these first, customers last), by how
    likely they do: ... x customer x (who does not always have enough, who does)."""
    met, unmet = either[0][..., None], either[1][..., None]
    return np.asarray(unmet + exposed * (met - unmet))
