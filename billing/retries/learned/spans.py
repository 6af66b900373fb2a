"""Owns what a bank lets pass by the hour of the day, where hours within unknown spans are treated alike."""

from __future__ import annotations

import numpy as np

from billing.retries.learned.habits import Floats

#: The shares that may pass, and how likely a bank's share changes from one hour to the next.
SHARES, CHANGES = (np.arange(24) + 0.5) / 24, 0.05
_ALIKE = 1 / len(SHARES)
#: A bank of which fewer charges tell is known by all banks alone: issuers may be first digits of cards, thousands.
FEWEST = 8.0
#: How many banks are worked out side by side: more would outgrow the processor's cache.
_ABREAST = 32


def by_spans(passed: Floats, refused: Floats, *, shared: float, often: float = _ALIKE) -> tuple[Floats, Floats]:
    """The share of charges that passes at each hour of the day, by how many did, and the standard deviation with which
    it is known; all are bank x hour, row 0 of all banks together.

    Each hour's share is the one of the hour before or, with the chance CHANGES, another one; `often` is the chance
    that the other one is the largest. A hidden Markov chain around the clock: its states' chances are the sums over
    all ways from each state back to itself (forward-backward: Rabiner 1989). All banks' shares count as so many more
    charges, `shared`, at each hour of each bank; of a bank that fewer than FEWEST charges tell of, they alone.
    """
    mean, unsure = np.empty((2, *passed.shape))
    mean[:1], unsure[:1] = _known(passed[:1], refused[:1], often)
    more, less = shared * mean[:1], shared * (1 - mean[:1])
    mean[1:], unsure[1:] = _known(more, less, often)
    known = 1 + np.flatnonzero((passed + refused)[1:].sum(1) >= FEWEST)
    for begun in range(0, len(known), _ABREAST):
        some = known[begun : begun + _ABREAST]
        mean[some], unsure[some] = _known(passed[some] + more, refused[some] + less, often)
    return mean, unsure


def _known(passed: Floats, refused: Floats, often: float) -> tuple[Floats, Floats]:
    """The mean and the standard deviation of the share at each hour: bank x hour."""
    told = passed[..., None] * np.log(SHARES) + refused[..., None] * np.log(1 - SHARES)
    chances, _evidence = spans(told, often=often)
    mean = chances @ SHARES
    return mean, np.sqrt(np.maximum(0, chances @ SHARES**2 - mean**2))


def spans(told: Floats, *, often: float = _ALIKE) -> tuple[Floats, Floats]:
    """How likely each share is at each hour, bank x hour x share, and how likely all of it was, by bank (a logarithm).

    `told` is how likely what was answered at each hour is under each share, as logarithms; `often` how likely the
    largest share is beforehand.
    """
    supposed = beforehand(often)
    most = told.max(2, keepdims=True)
    likely = np.exp(told - most)
    # From each share before midnight to each at the hour; and from each at the hour on, to each before midnight.
    ways = np.tile(np.eye(len(SHARES)), (len(told), 1, 1))
    to, back = np.empty((2, 24, *ways.shape))
    onwards = ways
    for hour in range(24):
        ways = ((1 - CHANGES) * ways + CHANGES * ways.sum(2, keepdims=True) * supposed) * likely[:, hour, None]
        to[hour] = ways
    for hour in reversed(range(24)):
        back[hour] = onwards
        onwards = likely[:, hour, :, None] * onwards
        onwards = (1 - CHANGES) * onwards + CHANGES * np.tensordot(onwards, supposed, (1, 0))[:, None]
    found = np.einsum("hbij,hbji->bhj", to, back)
    # Without any change, a day's share is one of those supposed, too.
    alike = (1 - CHANGES) ** 24 * likely.prod(1)
    found = np.maximum(0, found - (alike * (1 - supposed))[:, None])
    whole = found.sum(2, keepdims=True)
    return found / whole, np.asarray(np.log(whole[:, 0, 0]) + most.sum((1, 2)))


def beforehand(often: float) -> Floats:
    """How likely each share is before anything is known, the largest `often`."""
    return np.append(np.full(len(SHARES) - 1, (1 - often) / (len(SHARES) - 1)), often)
