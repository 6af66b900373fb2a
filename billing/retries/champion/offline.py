"""Owns what one strategy would have recovered against another, judged from retries drawn by lot. Pure.

Each decision is a retry as it was planned, with every moment that was in the lot and the chance of the one drawn.
What came of it speaks for all strategies that named the same hour, weighed by one over that chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from billing.retries.champion.scores import Interval, clustered_mean, clustered_sequence

#: Fewer decisions than this of which the lot fell on a strategy say nothing about it.
ENOUGH = 200
#: Customers at which the interval of a difference is narrowest: about where one of a few points begins to show. Chosen
#: once; trying others on the data would void what it promises.
TIGHTEST = 2_000


@dataclass(frozen=True, slots=True)
class Decision:
    """One drawn retry: whose customer, with what chance its hour came out, whether the invoice was paid in time, which
    strategies named that hour, and the chance of approval each named for its own (0 to 1)."""

    cluster: str
    propensity: float
    paid: bool
    same_hour: frozenset[str]
    chances: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a strategy recovers of the invoices it plans for, as a share of 1.

    `matches` counts decisions whose hour it named; `effective` is what they are worth once weighed; `weighed` is the
    self-normalised estimate, `value` the doubly robust one.
    """

    matches: int
    effective: float
    weighed: float
    value: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """One strategy against another on the same decisions; `difference` above 0 speaks for `one`.

    It is looked at every week until it shows something, so its interval holds at all looks at once; those of the two
    estimates are for one look.
    """

    decisions: int
    one: Estimate
    other: Estimate
    difference: Interval

    @property
    def enough(self) -> bool:
        """Whether there is anything to go by."""
        return min(self.one.matches, self.other.matches) >= ENOUGH

    @property
    def wins(self) -> bool:
        """Whether `one` is better with its whole interval."""
        return self.enough and self.difference.low > 0

    @property
    def loses(self) -> bool:
        """Whether `one` is worse with its whole interval."""
        return self.enough and self.difference.high < 0


def compare(decisions: Sequence[Decision], one: str, other: str) -> Comparison | None:
    """Two strategies by the decisions both were in the lot of; None where there are none."""
    shared = [d for d in decisions if one in d.chances and other in d.chances]
    if not shared:
        return None
    first, second = _terms(shared, one), _terms(shared, other)
    both = [(d.cluster, a - b) for d, a, b in zip(shared, first, second, strict=True)]
    return Comparison(
        len(shared),
        _estimate(shared, one, first),
        _estimate(shared, other, second),
        clustered_sequence(both, tightest=TIGHTEST),
    )


def _estimate(decisions: Sequence[Decision], name: str, terms: Sequence[float]) -> Estimate:
    weights = [_weight(decision, name) for decision in decisions]
    total = sum(weights)
    return Estimate(
        matches=sum(weight > 0 for weight in weights),
        effective=total**2 / sum(weight**2 for weight in weights) if total else 0.0,
        weighed=sum(w for w, d in zip(weights, decisions, strict=True) if d.paid) / total if total else 0.0,
        value=clustered_mean([(d.cluster, term) for d, term in zip(decisions, terms, strict=True)]),
    )


def _terms(decisions: Sequence[Decision], name: str) -> list[float]:
    """Doubly robust terms: what the prediction says of every decision, put right by those that were tried.

    The prediction is the strategy's own chance of approval, stretched to the share of invoices that got paid: whatever
    it is worth, the mean stays unbiased, because the chances of the lot are known; a good one narrows the interval.
    """
    matched = [d for d in decisions if name in d.same_hour]
    predicted = sum(d.chances[name] for d in matched)
    stretch = sum(d.paid for d in matched) / predicted if predicted else 0.0
    expected = [min(1.0, stretch * d.chances[name]) for d in decisions]
    return [e + _weight(d, name) * (d.paid - e) for e, d in zip(expected, decisions, strict=True)]


def _weight(decision: Decision, name: str) -> float:
    return 1 / decision.propensity if name in decision.same_hour else 0.0
