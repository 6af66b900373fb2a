"""The few statistics that experiments, estimates and models need, in closed form. Pure.

Intervals of proportions are Wilson's, of differences Newcombe's (1998, method 10, without correction): both keep
to 0-100% and hold what they promise with few cases, where the textbook's normal interval does not. They are for one
look at a moment chosen beforehand; what is looked at every week until something shows needs `always_valid_z`.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

#: Two-sided 95%.
Z = NormalDist().inv_cdf(0.975)


def wilson(successes: int, total: int, z: float = Z) -> tuple[float, float]:
    """Interval of a proportion, as shares of 1; (0, 1) where nothing was seen."""
    if total == 0:
        return 0.0, 1.0
    p = successes / total
    middle = p + z * z / (2 * total)
    spread = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    # The bounds of nothing and of everything are exact, whatever rounding makes of them.
    low = 0.0 if successes == 0 else max(0.0, (middle - spread) / scale)
    high = 1.0 if successes == total else min(1.0, (middle + spread) / scale)
    return low, high


def newcombe(successes: int, total: int, base_successes: int, base_total: int, z: float = Z) -> tuple[float, float]:
    """Interval of the difference of two proportions (first minus base), as shares of 1."""
    p1 = successes / total if total else 0.5
    p2 = base_successes / base_total if base_total else 0.5
    low1, high1 = wilson(successes, total, z)
    low2, high2 = wilson(base_successes, base_total, z)
    difference = p1 - p2
    return (
        difference - math.hypot(p1 - low1, high2 - p2),
        difference + math.hypot(high1 - p1, p2 - low2),
    )


def always_valid_z(count: int, *, tightest: int, alpha: float = 0.05) -> float:
    """What the standard error of a mean of `count` observations is multiplied by where the mean is looked at again and
    again: the interval holds at every look at once, however many there are and whenever somebody stops.

    The asymptotic confidence sequence of a normal mixture (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024,
    theorem 2.2), two-sided. It is narrowest, half again as wide as `Z`, about `tightest` observations; choose that
    before looking. Without bounds (infinite) where nothing was seen.
    """
    if count <= 0:
        return math.inf
    log = -2 * math.log(alpha)
    spread = count * (log + math.log(log + 1)) / tightest
    return math.sqrt(2 * (spread + 1) / spread * math.log(math.sqrt(spread + 1) / alpha))


def chi_square_p(observed: Sequence[int], shares: Sequence[float]) -> float:
    """Chance of counts at least this far from their shares, were the shares true (goodness of fit).

    1.0 where there is nothing to compare. `shares` are positive; they need not add up to 1.
    """
    total = sum(observed)
    if total == 0 or len(observed) < 2:
        return 1.0
    whole = sum(shares)
    expected = [total * share / whole for share in shares]
    statistic = sum((seen - due) ** 2 / due for seen, due in zip(observed, expected, strict=True))
    return _upper_gamma((len(observed) - 1) / 2, statistic / 2)


def _upper_gamma(a: float, x: float) -> float:
    """Regularised upper incomplete gamma Q(a, x) for a of 1/2, 1, 3/2, …: what chi-square needs, exactly.

    Q(1/2, x) = erfc(√x), Q(1, x) = e⁻ˣ, and Q(a + 1, x) = Q(a, x) + xᵃ e⁻ˣ / Γ(a + 1).
    """
    if x <= 0:
        return 1.0
    half = a % 1 == 0.5
    order = 0.5 if half else 1.0
    value = math.erfc(math.sqrt(x)) if half else math.exp(-x)
    while order < a:
        value += math.exp(order * math.log(x) - x - math.lgamma(order + 1))
        order += 1
    return min(1.0, value)
