"""Owns the futures that tries are chosen in: equally likely ways it may go on, told hour by hour.

The belief is turned into a few hundred of them, each telling for every hour how likely a charge would pass: a drawn
hypothesis's own curve, so that no luck of further dice decides between hours that are nearly alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from billing.retries.learned.arriving import ARRIVING_HOURS, STEP_OF
from billing.retries.learned.belief import LEAST_PENDING, NEVER, Belief, in_two
from billing.retries.learned.calendars import COMES, local_hours, table_for, week_hour_of
from billing.retries.learned.habits import BLOCK_HOURS, LONGEST_HOURS, RANDOM_KINDS, Floats, Habits
from billing.retries.learned.hypotheses import Ints, Person

#: Fewer, and tries are placed by the luck of the draw: 240 lost to an even schedule where there is nothing to learn.
FUTURES = 720
#: Offered hours lie this far apart in longer windows; more would not be met better, only later.
FINE_WINDOW_HOURS = 15 * 24
COARSE_STEP = 2
_SWITCHES = 24
_TURN = np.arange(_SWITCHES) % 2 == 0
_RANDOM = np.array(RANDOM_KINDS)
_SURPRISE_HOURS = (12, 72, 24, 48)
#: One future in so many has a bank with hours of its own; how likely a refusal is that they do not explain.
HIDDEN_HOURS_EVERY = 8
_HIDDEN = slice(1, None, HIDDEN_HOURS_EVERY)
UNEXPLAINED = 0.25


@lru_cache(maxsize=1)
def _dice() -> tuple[Floats, Floats]:
    """For money without a calendar: chances that it is there at first, and evenly spread waits for its coming and
    going. Fixed, so that the same charges always lead to the same plan."""
    rng = np.random.default_rng(20240229)
    waits = -np.log(1 - (np.argsort(rng.random((FUTURES, _SWITCHES)), axis=0) + 0.5) / FUTURES)
    return rng.random(FUTURES), waits


def _drawn(weights: Floats) -> Ints:
    """Hypotheses in proportion to their weight, evenly (systematic resampling)."""
    marks = (np.arange(FUTURES) + 0.5) / FUTURES * weights.sum()
    return np.asarray(np.minimum(np.searchsorted(np.cumsum(weights), marks), len(weights) - 1))


def money_there(belief: Belief, habits: Habits, local: Ints, utc: Ints) -> Floats:
    """Futures x hours: the chance that money is there. `local` and `utc`: rising hours since 1970, after the last
    charge."""
    drawn = _drawn(belief.weights[0])
    # They are drawn in their order, and those without a calendar come last.
    many = int(np.searchsorted(drawn, len(belief.hyps.beat)))
    found = np.empty((FUTURES, len(local)), np.float32)
    if many:
        _by_calendar(belief, habits, drawn[:many], local, found[:many])
    if many < FUTURES:
        found[many:] = _randomly(belief, drawn[many:] - len(belief.hyps.beat), utc)
    return found


def _by_calendar(belief: Belief, habits: Habits, drawn: Ints, local: Ints, out: Floats) -> None:
    """The chance of money at each hour under each of these hypotheses: no dice, so that near ties are no luck."""
    hyps = belief.hyps
    # A likely hypothesis is drawn many times: each is worked out once.
    new = np.append(True, drawn[1:] != drawn[:-1])
    each = drawn[new]
    beats, row = hyps.beat[each], hyps.row[0, each][:, None]
    # Paydays are looked up by day, and then spread over its hours. A beat's day begins at its hour of arrival.
    starts, start = np.unique(hyps.hour[beats], return_inverse=True)
    days = (local[None, :] - starts[:, None]) // 24
    first, last = int(days.min()), int(days.max())
    table = table_for(first, last)
    latest = table.latest[hyps.calendar[0, beats], first - table.first : last + 1 - table.first]
    cells = (days - first)[start]
    cells += (np.arange(len(each)) * latest.shape[1])[:, None]
    # Where in the table of curves each hour lies: no cycle is longer than a curve.
    places = (row - 24 * latest - hyps.hour[beats][:, None]).take(cells)
    places += local
    lasts = hyps.curve.take(places)
    held = lasts / belief.lasted[0, each][:, None]
    np.minimum(1, held, out=held)
    held *= belief.kept[0, each][:, None]
    lasts *= (COMES * np.float32(1 - habits.skipped))[hyps.calendar[0, beats]][:, None]
    same = latest == belief.payday[0, beats][:, None]
    waiting = np.flatnonzero(belief.pending[0, each] > LEAST_PENDING)
    if len(waiting):
        # What had not come yet at the last charge may come still.
        to_come = habits.arriving.to_come
        step = STEP_OF[np.minimum(belief.since[0, beats[waiting]], ARRIVING_HOURS - 1)]
        first_cell = (row[waiting, 0] // LONGEST_HOURS * to_come.shape[2] + step) * LONGEST_HOURS - row[waiting, 0]
        held[waiting] += belief.pending[0, each[waiting]][:, None] * to_come.ravel().take(
            first_cell[:, None] + places[waiting]
        )
    np.copyto(lasts, held, where=same.take(cells))
    lasts.take(np.cumsum(new) - 1, axis=0, out=out, mode="clip")


def _randomly(belief: Belief, kinds: Ints, utc: Ints) -> NDArray[np.bool_]:
    at_first, waits = _dice()
    many = len(kinds)
    there, gone = _RANDOM[kinds].T
    standing = there / (there + gone)
    passed = 0 if belief.at[0] == NEVER else int(utc[0] - belief.at[0])
    now = standing + (belief.there[0, kinds] - standing) * np.exp(-(1 / there + 1 / gone) * passed)
    on = at_first[-many:] < now
    if len(utc) == 1:  # nothing switches before the first hour
        return np.asarray(on[:, None])
    mean = np.where(on[:, None] == _TURN, there[:, None], gone[:, None])
    at = np.cumsum(waits[-many:] * mean, axis=1)
    step = max(1, int(utc[1] - utc[0]))
    place = np.minimum(np.ceil(at / step), len(utc)).astype(np.int64)
    width = len(utc) + 1
    cells = (np.arange(many)[:, None] * width + place).ravel()
    changes = np.bincount(cells, minlength=many * width).reshape(many, width)
    # Only whether their number is even counts, so that a byte is enough.
    switched = changes[:, :-1].astype(np.uint8)
    np.cumsum(switched, axis=1, dtype=np.uint8, out=switched)
    return np.asarray((switched % 2 == 0) == on[:, None])


def with_surprises(there: Floats, share: float, ahead: int) -> Floats:
    """The futures, `share` of them replaced, in place, by ones of which nothing is known.

    In those money comes once, at any hour since the last charge, `ahead` slots ago, and lasts half a day to three
    days. They keep tries apart where little was learned, and where what was learned is wrong.
    """
    futures, hours = there.shape
    many = round(share * futures)
    if many == 0:
        return there
    # Spread over the futures, which are ordered by hypothesis.
    rows = (np.arange(many) * futures) // many
    begins = np.floor((np.arange(many) + 0.5) / many * (hours + ahead) - ahead).astype(int)
    lengths = np.resize(np.array(_SURPRISE_HOURS), many)
    clock = np.arange(hours)[None, :]
    there[rows] = (clock >= begins[:, None]) & (clock < (begins + lengths)[:, None])
    return there


def _open_hours(rows: int) -> NDArray[np.bool_]:
    """Ways a bank may keep hours that nobody told us of: hours of the week at which it approves, one row each."""
    week = np.arange(7 * 24)
    found = np.empty((rows, 7 * 24), bool)
    for row in range(rows):
        if row % 4 == 3:  # closed on some days
            found[row] = (week // 24 - row * 3) % 7 >= 2 + row % 3
        else:  # open for a part of each day
            found[row] = (week % 24 - row * 7) % 24 < (5, 9, 14)[row % 3]
    return found


@lru_cache(maxsize=1)
def _keeping_hours() -> NDArray[np.bool_]:
    return _open_hours(len(range(FUTURES)[_HIDDEN]))


def with_hidden_hours(there: Floats, local: Ints, refused_at: Sequence[int]) -> tuple[Floats, Floats]:
    """The futures, some of them, in place, with hours that the bank keeps unknown to us, and each future's weight.

    `refused_at` are the local hours of refusals that lack of money does not explain: they speak for hours at which the
    bank was closed just then, so that the next try is made at another hour.
    """
    opened = _keeping_hours()
    there[_HIDDEN] *= opened[:, week_hour_of(local)]
    weight = np.ones(len(there))
    for hour in refused_at:
        weight *= UNEXPLAINED
        then = weight[_HIDDEN]
        weight[_HIDDEN] = np.where(opened[:, week_hour_of(hour)], then, then / UNEXPLAINED)
    return there, weight / weight.sum()


@lru_cache(maxsize=1)
def _luck() -> Floats:
    """Evenly spread chances, one of each future by kind of block and, last, for meeting the bank's hours; each in an
    order of its own."""
    rng = np.random.default_rng(20250117)
    return np.array([(rng.permutation(FUTURES) + 0.5) / FUTURES for _ in range(len(BLOCK_HOURS) + 1)])


def with_blocks(there: Floats, belief: Belief, utc: Ints) -> Floats:
    """The futures, in place, without the hours until which a refusal lasts in some of them.

    Told apart future by future, since tries soon after each other meet the same block: as a mere chance of each hour
    it would seem likely to be over at one of many tries.
    """
    last = int(utc[0]) if belief.at[0] == NEVER else int(belief.at[0])
    ends = np.zeros(len(there))
    for block, hours, luck in zip(belief.blocks[0], BLOCK_HOURS, _luck()[:-1], strict=True):
        if block > 0:
            np.maximum(ends, hours * np.log(np.maximum(block / luck, 1)), out=ends)
    begins = np.searchsorted(utc, last + ends, side="left")
    for row in np.flatnonzero(begins):
        there[row, : begins[row]] = 0
    return there


def passes(belief: Belief, habits: Habits, person: Person, local: Ints) -> Floats:
    """The chance at each hour that card and bank let a charge pass for which there is money and no block."""
    exposed = float((belief.exposed * in_two(belief.weights)).sum())
    return np.asarray((1 - exposed * (1 - habits.bank_passes(person.bank, local))) * (1 - belief.dead[0]))


def with_bank_hours(there: Floats, belief: Belief, habits: Habits, person: Person, local: Ints) -> Floats:
    """The futures, in place, with the bank's hours in as many of them as the card is likely to meet them.

    Told apart future by future, as blocks are: a card that was refused at a closed hour meets the next one, too.
    """
    always = _drawn(belief.weights[0]) == len(belief.weights[0]) - 1
    meets = _luck()[-1] < np.where(always, belief.exposed[0, 1], belief.exposed[0, 0])
    there[meets] *= habits.bank_passes(person.bank, local).astype(there.dtype)
    return there


def unblocked(belief: Belief, utc: int) -> float:
    """The chance that no refusal lasts at that hour."""
    passed = 0 if belief.at[0] == NEVER else utc - int(belief.at[0])
    return float(np.prod(1 - belief.blocks[0] * np.exp(-passed / np.array(BLOCK_HOURS))))


def hours_between(first_utc: int, last_utc: int, timezone: str) -> tuple[Ints, Ints]:
    """Evenly spaced whole UTC hours between two, and the local hours they are."""
    utc = np.arange(first_utc, last_utc + 1, 1 if last_utc - first_utc <= FINE_WINDOW_HOURS else COARSE_STEP)
    return utc, local_hours(utc, timezone)
