"""Owns the choice of a sequence of tries: which hours, together, most likely meet the money.

Tries are chosen to meet as many futures (see scenarios) as possible between them: a second try is worth what it meets
that the first does not. The best set is found greedily and then improved one try at a time; such a set is planned anew
after each refusal, when the futures that it met have been ruled out. (Coverage is submodular, so greedy choice comes
within 1 - 1/e of the best set: Nemhauser, Wolsey and Fisher 1978; for choosing anew after each answer: Golovin and
Krause 2011.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from billing.retries.learned.habits import Floats

#: How often each try is placed anew, given the others.
_SWEEPS = 2


def choose(
    there: Floats,
    weight: Floats,
    chance: Floats,
    tries: int,
    *,
    least_gap: int,
    cost: float,
    patience: Floats,
) -> tuple[int, ...]:
    """The best `tries` hours of those offered, at least `least_gap` places apart.

    `cost` is the chance that a try must add to be worth making; `patience` weighs hours, so that of equal ones the
    earlier is taken. Answers their places among those offered, rising.
    """
    pass_money = there.astype(np.float32, copy=False) * chance.astype(np.float32)
    worth = patience.astype(np.float32)
    weights = weight.astype(np.float32)
    picked: list[int] = []
    #: Of the hours picked so far: the chance in each future that a try then fails.
    miss: dict[int, NDArray[np.float32]] = {}

    def best(left: NDArray[np.float32], others: list[int]) -> tuple[int, float]:
        gain = (left @ pass_money) * worth
        for other in others:
            gain[max(0, other - least_gap + 1) : other + least_gap] = -1
        slot = int(gain.argmax())
        if slot not in miss:
            miss[slot] = 1 - pass_money[:, slot]
        return slot, float(gain[slot])

    left = weights
    for _ in range(tries):
        slot, gain = best(left, picked)
        if gain < cost:
            break
        picked.append(slot)
        left = left * miss[slot]
    beside: dict[int, list[int]] = {}
    for _sweep in range(_SWEEPS if len(picked) > 1 else 0):
        changed = False
        for number in range(len(picked)):
            others = picked[:number] + picked[number + 1 :]
            # Beside the same others the same hour is best.
            if beside.get(number) == others:
                continue
            beside[number] = others
            slot, gain = best(weights * _product([miss[other] for other in others]), others)
            if slot != picked[number] and gain > 0:
                picked[number], changed = slot, True
        if not changed:
            break
    picked.sort()
    return tuple(picked)


def _product(factors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    found = factors[0].copy()
    for factor in factors[1:]:
        found *= factor
    return found


def met(there: Floats, weight: Floats, chance: Floats, slots: Sequence[int]) -> float:
    """The chance that at least one try at these slots is approved."""
    missed = (1 - there[:, list(slots)] * chance[list(slots)]).prod(axis=1)
    return float(weight @ (1 - missed))


def evenly(slots: int, tries: int, ahead: float) -> tuple[int, ...]:
    """Tries spread evenly until the last slot; `ahead` slots passed since the last charge."""
    step = (slots - 1 + ahead) / tries
    return tuple(sorted({min(slots - 1, max(0, round(step * n - ahead))) for n in range(1, tries + 1)}))
