"""Owns the measures of predicted chances: log loss, Brier score, calibration, and differences of models. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from customers.statistics import Z, always_valid_z, wilson

#: No chance is taken for certain: one surprise would otherwise cost without bound.
_EDGE = 1e-4
BINS = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """One charge with the chance predicted for it, 0 to 1. `cluster` is the customer: their charges hang together."""

    chance: float
    approved: bool
    cluster: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Charges with like predictions: their mean predicted chance, and the share approved with its 95 % interval."""

    count: int
    predicted: float
    approved: float
    low: float
    high: float


def loss(chance: float, approved: bool) -> float:
    """Log loss of one prediction in nats."""
    held = min(max(chance, _EDGE), 1 - _EDGE)
    return -math.log(held if approved else 1 - held)


def log_loss(judged: Sequence[Judged]) -> float:
    """Mean log loss in nats; lower is better. Raises ValueError without charges."""
    return _mean([loss(each.chance, each.approved) for each in judged])


def brier(judged: Sequence[Judged]) -> float:
    """Mean squared error of the chances; lower is better. Raises ValueError without charges."""
    return _mean([(each.chance - each.approved) ** 2 for each in judged])


def calibration(judged: Iterable[Judged], bins: int = BINS) -> list[Bin]:
    """Up to `bins` groups of about as many charges each, by rising prediction; equal predictions stay together."""
    ordered = sorted(judged, key=lambda each: each.chance)
    size = max(1, -(-len(ordered) // bins))
    groups: list[list[Judged]] = []
    for each in ordered:
        full = bool(groups) and len(groups[-1]) >= size and groups[-1][-1].chance != each.chance
        if not groups or full:
            groups.append([])
        groups[-1].append(each)
    return [_bin(group) for group in groups]


def _bin(group: Sequence[Judged]) -> Bin:
    approved = sum(each.approved for each in group)
    low, high = wilson(approved, len(group))
    return Bin(len(group), _mean([each.chance for each in group]), approved / len(group), low, high)


def loss_differences(one: Sequence[Judged], other: Sequence[Judged]) -> list[tuple[str, float]]:
    """Of each charge its cluster, and log loss of `one` minus that of `other`; below 0 `one` predicted it better.

    Raises ValueError for different numbers of charges.
    """
    pairs = zip(one, other, strict=True)
    return [(a.cluster, loss(a.chance, a.approved) - loss(b.chance, b.approved)) for a, b in pairs]


def loss_difference(one: Sequence[Judged], other: Sequence[Judged]) -> Interval:
    """Their mean with an interval for one look. Raises ValueError as `loss_differences` and `clustered_mean` do."""
    return clustered_mean(loss_differences(one, other))


def clustered_mean(values: Sequence[tuple[str, float]]) -> Interval:
    """The mean of (cluster, value) pairs with a normal interval that takes each cluster for one observation.

    For one look. A single cluster says nothing about others: its interval is without bounds. Raises ValueError without
    values.
    """
    return _interval(values, lambda groups: Z)


def clustered_sequence(values: Sequence[tuple[str, float]], *, tightest: int, alpha: float = 0.05) -> Interval:
    """The same with an interval that holds, but for a chance of `alpha`, however often the growing data is looked at;
    narrowest about `tightest` clusters."""
    return _interval(values, lambda groups: always_valid_z(groups, tightest=tightest, alpha=alpha))


def _interval(values: Sequence[tuple[str, float]], times: Callable[[int], float]) -> Interval:
    mean = _mean([value for _cluster, value in values])
    sums: dict[str, float] = {}
    for cluster, value in values:
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
    groups = len(sums)
    if groups < 2:
        return Interval(mean, -math.inf, math.inf)
    error = math.sqrt(groups / (groups - 1) * sum(total**2 for total in sums.values())) / len(values)
    spread = times(groups) * error
    return Interval(mean, mean - spread, mean + spread)


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("There is nothing to take the mean of.")
    return math.fsum(values) / len(values)
