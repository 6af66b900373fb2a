"""Owns the model: logistic regression with a calibration on top, fitted, kept and explained as numbers. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ARRAYS = ("lows", "highs", "means", "spreads", "weights")
_STEPS = 50
_CLOSE = 1e-8
#: How strongly weights are drawn to nothing, and the calibration to "as it is".
_RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class Logistic:
    """Chance = sigmoid(slope · (intercept + Σ weight · (x − mean) / spread) + shift), x held to what fitting saw.

    Without that hold a young installation, all of whose customers are new, would take every older one for unheard of.
    """

    lows: Floats
    highs: Floats
    means: Floats
    spreads: Floats
    weights: Floats
    intercept: float
    slope: float = 1.0
    shift: float = 0.0

    def scores(self, rows: Floats) -> Floats:
        """Log odds before the calibration, one per row."""
        scores: Floats = self.intercept + self._standard(rows) @ self.weights
        return scores

    def chances(self, rows: Floats) -> Floats:
        """Calibrated chances, 0 to 1."""
        return _sigmoid(self.slope * self.scores(rows) + self.shift)

    def effects(self, row: Sequence[float]) -> list[float]:
        """What each feature adds to the log odds, against the average invoice; they add up to the score."""
        added = self.slope * self.weights * self._standard(np.asarray(row, dtype=float))
        return [float(each) for each in added]

    def _standard(self, rows: Floats) -> Floats:
        held: Floats = (np.clip(rows, self.lows, self.highs) - self.means) / self.spreads
        return held

    def save(self) -> dict[str, Any]:
        """As plain numbers."""
        return {
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
            "intercept": self.intercept,
            "slope": self.slope,
            "shift": self.shift,
        }

    @classmethod
    def load(cls, data: Mapping[str, Any], features: int) -> "Logistic":
        """What `save` gave. Raises ValueError for anything else, or another number of features."""
        try:
            arrays = [np.asarray(data[name], dtype=float) for name in _ARRAYS]
            numbers = [float(data[name]) for name in ("intercept", "slope", "shift")]
        except (KeyError, TypeError) as error:
            raise ValueError(f"This is no model: {error}") from error
        if any(array.shape != (features,) for array in arrays) or not all(
            np.isfinite(array).all() for array in (*arrays, np.asarray(numbers))
        ):
            raise ValueError("This model reads other features.")
        lows, highs, means, spreads, weights = arrays
        return cls(lows, highs, means, spreads, weights, *numbers)


def fit(rows: Floats, late: Floats) -> Logistic:
    """Fits by Newton's method with a ridge; `late` is 0 or 1 per row. Raises ValueError without both outcomes."""
    if not 0 < late.sum() < len(late):
        raise ValueError("Both outcomes are needed.")
    means, spreads = rows.mean(axis=0), rows.std(axis=0)
    # A feature that never varies says nothing; it must not divide by nothing either.
    spreads = np.where(spreads < 1e-9, 1.0, spreads)
    design = np.column_stack([np.ones(len(rows)), (rows - means) / spreads])
    weights = _newton(design, late, np.zeros(design.shape[1]), ridge=np.r_[0.0, np.full(rows.shape[1], _RIDGE)])
    return Logistic(rows.min(axis=0), rows.max(axis=0), means, spreads, weights[1:], float(weights[0]))


def calibrate(model: Logistic, rows: Floats, late: Floats) -> Logistic:
    """The model with slope and shift fitted on invoices it was not fitted on (Platt), drawn to none at all."""
    design = np.column_stack([np.ones(len(rows)), model.scores(rows)])
    shift, slope = _newton(design, late, np.array([0.0, 1.0]), ridge=np.array([_RIDGE, _RIDGE]))
    return replace(model, slope=float(max(slope, 0.1)), shift=float(shift))


def _newton(design: Floats, late: Floats, start: Floats, *, ridge: Floats) -> Floats:
    """Minimises log loss and ridge; a step that would make them worse is halved, or far starts would run away."""

    def cost(at: Floats) -> float:
        scores = design @ at
        return float((np.logaddexp(0.0, scores) - late * scores).sum() + (ridge * (at - start) ** 2).sum() / 2)

    weights, here = start.copy(), cost(start)
    for _step in range(_STEPS):
        chances = _sigmoid(design @ weights)
        gradient = design.T @ (chances - late) + ridge * (weights - start)
        curvature = (design * (chances * (1 - chances))[:, None]).T @ design + np.diag(ridge + 1e-9)
        move = np.linalg.solve(curvature, gradient)
        while (there := cost(weights - move)) > here and float(np.abs(move).max()) >= _CLOSE:
            move = move / 2
        weights, here = weights - move, there
        if float(np.abs(move).max()) < _CLOSE:
            break
    return weights


def _sigmoid(scores: Floats) -> Floats:
    held = np.clip(scores, -30.0, 30.0)
    chances: Floats = 1.0 / (1.0 + np.exp(-held))
    return chances
