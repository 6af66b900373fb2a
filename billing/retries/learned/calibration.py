"""Owns making chances that were foreseen match what came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from billing.retries.learned.habits import Floats

_NEWTON_STEPS = 40
_LONGEST_MOVE = 0.5
_CALIBRATION_PRIOR = 10.0


def calibrated(retries: Sequence[tuple[float, bool]]) -> Floats:
    """Slope and step of the log-odds that fit what was foreseen of retries to what came (Platt 1999), by Newton steps.

    Pulled towards leaving the odds as they are, as if _CALIBRATION_PRIOR retries had been foreseen rightly.
    """
    if not retries:
        return np.array([1.0, 0.0])
    foreseen, came = np.clip(np.array([p for p, _won in retries]), 1e-4, 1 - 1e-4), np.array([w for _p, w in retries])
    odds = np.log(foreseen / (1 - foreseen))
    known, found = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    features = np.stack([odds, np.ones_like(odds)])
    for _step in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(found @ features, -30, 30)))
        slope = features @ (came - chance) - _CALIBRATION_PRIOR * (found - known)
        curve = (features * chance * (1 - chance)) @ features.T + _CALIBRATION_PRIOR * np.eye(2)
        move = np.linalg.solve(curve, slope)
        # Far from the answer the curve is too flat, and a whole step would leap over it for good.
        found = found + move / max(1.0, float(np.abs(move).max()) / _LONGEST_MOVE)
    return np.array([max(0.1, found[0]), found[1]])
