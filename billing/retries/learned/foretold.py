"""Owns what the wait that an issuer advises tells of when money comes.

Where money lacks, networks let issuers say after how long to try again (Mastercard 24 to 30), and some issuers know
when their customer is paid. How far they can be trusted is learned; codes that mean nothing change no belief.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from billing.retries.declines import classify
from billing.retries.learned.calendars import PaydayTable
from billing.retries.learned.habits import ADVISED_HOURS, LONGEST_HOURS, RANDOM_KINDS, Floats, Habits
from billing.retries.learned.hypotheses import Hypotheses
from billing.retries.taxonomy import Category
from billing.retries.types import PastAttempt

#: How exactly an issuer that knows the day foresees it, as the spread of the wait's logarithm.
_EXACTNESS = 0.35
_PLACES = {timedelta(hours=hours): place for place, hours in enumerate(ADVISED_HOURS, 1)}
_PRIOR_ADVICE = 5.0


def advice_of(told: PastAttempt) -> int:
    """The place of the advised wait in ADVISED_HOURS, from 1; 0 where none was advised for lack of money."""
    if told.approved or not told.network_advice_code:
        return 0
    verdict = classify(network_advice_code=told.network_advice_code)
    return _PLACES.get(verdict.retry.wait, 0) if verdict.category is Category.INSUFFICIENT_FUNDS else 0


@lru_cache(maxsize=1)
def _tables() -> tuple[Floats, Floats]:
    """How likely an issuer that knows advises each wait: by whole hours until money comes, and by random kind."""
    normal = NormalDist(sigma=_EXACTNESS)
    hours = np.log(np.arange(LONGEST_HOURS) + 0.5)
    # The shortest wait that is long enough; the longest for all that takes longer.
    below = [[normal.cdf(edge - hour) for hour in hours] for edge in np.log(ADVISED_HOURS[:-1])]
    by_hours = np.diff([np.zeros(LONGEST_HOURS), *below, np.ones(LONGEST_HOURS)], axis=0).T
    gone = np.array([gone for _there, gone in RANDOM_KINDS])[:, None]
    coming = np.exp(-np.arange(LONGEST_HOURS) / gone)
    by_kind = coming / coming.sum(axis=1, keepdims=True) @ by_hours
    return by_hours.astype(np.float32), by_kind.astype(np.float32)


def foretold(hyps: Hypotheses, row: int, table: PaydayTable, usual: Floats, local: int, advised: int) -> Floats:
    """How likely an issuer that knows was to advise this wait (from 1) to customer `row` at a local hour, by
    hypothesis. `usual` are the shares of the local hours at which money comes in."""
    by_hours, by_kind = _tables()
    by_hours = by_hours[:, advised - 1]
    calendar = hyps.calendar[row if len(hyps.calendar) > 1 else 0]
    day, hour = (local - hyps.hour) // 24, local % 24
    comes = hyps.hour.copy()
    comes[: hyps.averaged] = int(usual @ np.arange(24))
    until = 24 * table.following[calendar, day - table.first] + comes - local
    chance = by_hours[np.clip(until, 0, LONGEST_HOURS - 1)]
    # On a payday whose hour is averaged over, the money may still come.
    averaged = slice(hyps.averaged)
    today = table.latest[calendar[averaged], day[averaged] - table.first] == day[averaged]
    later = np.float32(usual[hour + 1 :].sum())
    soon = by_hours[(23 - hour) // 2]
    chance[averaged] += np.where(today, later * (soon - chance[averaged]), np.float32(0))
    return np.concatenate([chance[hyps.beat], by_kind[:, advised - 1]])


def trust(habits: Habits, seen: Sequence[tuple[int, float]]) -> tuple[float, Floats]:
    """How often issuers know, and how often each wait is advised by those who do not, after some advices: the wait
    (from 1) and how likely it was, by what was believed just before, to be advised by one who knows."""
    many = np.bincount([wait - 1 for wait, _chance in seen], minlength=len(ADVISED_HOURS)) + 1.0
    share = habits.foresight
    knew = [share * c / (share * c + (1 - share) * habits.advised[wait - 1]) for wait, c in seen]
    return (sum(knew) + 0.5 * _PRIOR_ADVICE) / (len(knew) + _PRIOR_ADVICE), many / many.sum()
