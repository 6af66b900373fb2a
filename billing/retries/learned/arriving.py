"""Owns the hours until a payday's money has come: what was refused meanwhile does not show that it is used up.

A payday begins at a local midnight. The money comes at some hour of that day, or late; until then it is still to come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Pay comes so many hours after its usual hour at the latest; and so late in the middle, where it is late.
LATEST_HOURS, MEAN_LATE_HOURS = 72, 24.0
#: From a payday's midnight, all hours at which its money may come.
ARRIVING_HOURS = 24 + LATEST_HOURS
#: The hours since midnight at which tables of what is to come begin anew: finer would not foresee better.
STEPS = (*range(0, 24, 2), *range(24, 48, 4), *range(48, ARRIVING_HOURS, 12))
STEP_OF = np.searchsorted(STEPS, np.arange(ARRIVING_HOURS), side="right") - 1

Floats = NDArray[Any]


def delays(share: float) -> Floats:
    """How likely pay comes so many whole hours late, if `share` of it does."""
    found = np.exp(-(np.arange(LATEST_HOURS + 1)) / MEAN_LATE_HOURS)
    found[0] = 0
    found *= share / found.sum()
    found[0] = 1 - share
    return np.asarray(found)


def arrivals(hours: Floats, share: float) -> Floats:
    """Row x hour since a payday's midnight at which money comes: of every row of usual hours, and last of midnight."""
    usual = np.concatenate([hours, np.eye(1, 24)])
    late = delays(share)
    found = np.zeros((len(usual), ARRIVING_HOURS + 1))
    for hour in range(24):
        found[:, hour : hour + len(late)] += usual[:, hour : hour + 1] * late
    return np.asarray(found[:, :ARRIVING_HOURS] / found[:, :ARRIVING_HOURS].sum(1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Arriving:
    """Tables by row of arrivals() and class of how long money lasts, over the hours since a payday's midnight.

    `there`: the chance that money is there (row x class x hour). `to_come`: the same, knowing that it had not come
    at a step of STEPS (row x class x step x hour). `waiting`: the chance that it has not come yet (row x hour), with a
    last 0 for all later hours.
    """

    there: Floats
    to_come: Floats
    waiting: Floats


def arriving(coming: Floats, survival: Floats) -> Arriving:
    """The tables, from arrivals() and the survival of money that has come (class x hours)."""
    classes, longest = survival.shape
    shifted = np.zeros((classes, ARRIVING_HOURS, longest))
    for hour in range(ARRIVING_HOURS):
        shifted[:, hour, hour:] = survival[:, : longest - hour]
    later = (np.arange(ARRIVING_HOURS)[None, :] > np.array((-1, *STEPS))[:, None]).astype(float)
    masked = coming[:, None, :] * later[None, :, :]
    sums = np.einsum("rst,cth->rcsh", masked, shifted, optimize=True)
    waiting = np.concatenate([coming[:, ::-1].cumsum(1)[:, ::-1][:, 1:], np.zeros((len(coming), 2))], axis=1)
    left = np.maximum(masked.sum(2), 1e-9)
    # In one piece, so that a flat view of it is no copy.
    to_come = np.ascontiguousarray(sums[:, :, 1:] / left[:, None, 1:, None], np.float32)
    return Arriving(np.maximum(sums[:, :, 0], 1e-4).astype(np.float32), to_come, waiting.astype(np.float32))
