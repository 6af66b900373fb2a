"""Owns what is believed of everybody: how common pay calendars are, how long money lasts, what banks refuse and when.

All of it is plain arrays. `Habits.flat()` is what is believed before a single row was seen; `fitting` learns the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from billing.retries.learned.arriving import Arriving, arrivals, arriving
from billing.retries.learned.calendars import CALENDARS, week_hour_of
from billing.retries.taxonomy import Category

Floats = NDArray[Any]

#: How far back lies `Habits.lately`, since when calendars may change at a rate of their own; it is believed to go on
#: for as long again.
LATELY_HOURS = 28 * 24
#: For how many hours money lasts after it came in, in the middle of each class.
LASTING_HOURS = (5.0, 12.0, 30.0, 72.0, 168.0, 400.0, 1000.0)
#: Classes so short that the hour at which money comes in decides.
SHORT_CLASSES = 3
LASTING_SPREAD = 0.6
LONGEST_HOURS = 24 * 63
#: Money that follows no calendar: mean hours it is there, and mean hours until it is there again.
#: The last kind are people who always have enough: refused for other reasons only.
RANDOM_KINDS = (
    *((there, gone) for there in (12.0, 48.0, 192.0, 720.0) for gone in (12.0, 48.0, 144.0, 480.0)),
    (50_000.0, 24.0),
)

#: Why a charge is refused. Blocks are refusals that last: hours, or days.
CAUSES = ("dead", "funds", "short_block", "long_block", "noise")
DEAD, FUNDS, SHORT_BLOCK, LONG_BLOCK, NOISE = range(5)
BLOCK_HOURS = (5.0, 60.0)

#: What a refusal says, in so many kinds; an approval is -1.
CODE_GROUPS = 6
APPROVED = -1
FINAL_CODE = 5
#: Refusals that do not speak of money nor end anything: no reason, soft, technical, limits.
OTHER_WORDS = (1, 2, 3, 4)
_GROUP = {
    Category.INSUFFICIENT_FUNDS: 0,
    Category.DO_NOT_HONOR: 1,
    Category.UNKNOWN: 1,
    Category.ISSUER_SOFT: 2,
    Category.TECHNICAL: 3,
    Category.LIMIT_VELOCITY: 4,
}
#: How the causes speak, before anything was learned: funds, no reason, soft, technical, limit, final.
_SPOKEN = np.array(
    [
        [0.05, 0.55, 0.10, 0.05, 0.05, 0.20],
        [0.68, 0.24, 0.04, 0.01, 0.03, 0.00],
        [0.02, 0.15, 0.13, 0.60, 0.10, 0.00],
        [0.02, 0.35, 0.20, 0.08, 0.35, 0.00],
        [0.02, 0.45, 0.28, 0.20, 0.05, 0.00],
    ]
)
#: No word is ever held to be less likely than this.
LEAST_SPOKEN = 1e-3
#: The share of cards that their banks' hours and weekdays are believed to apply to, before any of their charges: some
#: merchants and cards are exempt. Rows tell the share, but plans are no better with it (docs/decisions/0021).
EXPOSED = 0.6

#: The waits that networks let issuers advise where money lacks.
ADVISED_HOURS = (1, 24, 48, 96, 144, 192, 240)

#: Hours since the card's last charge, and charges in the week before, that a bank may mind.
GAP_BINS = (12, 36, 84)
CROWD_BINS = (1, 2, 3, 5)


def code_group(category: Category) -> int:
    """The kind of refusal a decline category is."""
    return _GROUP.get(category, FINAL_CODE)


@lru_cache(maxsize=1)
def survival() -> Floats:
    """The chance that money is still there so many whole hours after it came in; class by hour. Log-normal."""
    normal = NormalDist()
    hours = np.log(np.maximum(np.arange(LONGEST_HOURS) + 0.5, 0.5))
    table = [[1 - normal.cdf((hour - np.log(middle)) / LASTING_SPREAD) for hour in hours] for middle in LASTING_HOURS]
    return np.asarray(np.maximum(np.array(table, np.float32), np.float32(1e-4)))


@dataclass(frozen=True)
class Habits:
    """Beliefs about everybody; index 0 of countries, groups and banks stands for those never seen.

    `calendars` is country x calendar, `hours` country x local hour of the day at which money comes in and `posting`
    the same by bank, for its customers; `lasting` is group x class and `random` group x kind, the two together sum to
    1 in each group. `refused` is bank x local hour, `weekdays` bank x day of the week, since the local hour `moved`;
    `refused_before` and `weekdays_before` are what banks kept to until then. `crowded` are the refusals by how close
    charges follow each other. `spoken` is cause x kind of refusal, and bank x kind how banks speak of lack of
    money (`funds_spoken`) and for reasons of their own (`noise_spoken`). `skipped` is the chance that a payday brings
    nothing, `late` that it does so after its hour (see arriving), `gifts` that money is there although the pay is used
    up, `dying` a card's deaths in an hour, `blocked` the chance that a refusal begins to last, `moving` how often in
    an hour somebody's calendar changes and `moving_lately` how much more often since the UTC hour `lately`.
    `calibration` is the slope and the step that turn the log-odds foreseen for a retry into those that came true.
    `foresight` is the share of advised waits that come from issuers who know when money comes, `advised` how often
    others advise each.
    `seen_calendars` and `seen_kinds` (classes, then random kinds) are the customers behind the shares, by country and
    group, and `drawn` how strongly those were drawn to what is common (see mixing); `counted` is the share of
    customers that were looked at, of those charged until the UTC hour `until`.
    """

    countries: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    banks: Mapping[str, int] = field(default_factory=dict)
    calendars: Floats = field(default_factory=lambda: _even((1, len(CALENDARS)), _calendar_prior()))
    hours: Floats = field(default_factory=lambda: _even((1, 24)))
    posting: Floats = field(default_factory=lambda: _even((1, 24)))
    lasting: Floats = field(default_factory=lambda: _even((1, len(LASTING_HOURS))) * 0.5)
    random: Floats = field(default_factory=lambda: _random_prior() * 0.5)
    refused: Floats = field(default_factory=lambda: np.full((1, 24), 0.05))
    weekdays: Floats = field(default_factory=lambda: np.full((1, 7), 0.01))
    refused_before: Floats = field(default_factory=lambda: np.full((1, 24), 0.05))
    weekdays_before: Floats = field(default_factory=lambda: np.full((1, 7), 0.01))
    moved: Floats = field(default_factory=lambda: np.zeros(1))
    crowded: Floats = field(default_factory=lambda: np.full((len(GAP_BINS) + 1, len(CROWD_BINS) + 1), 0.02))
    spoken: Floats = field(default_factory=lambda: _SPOKEN.copy())
    funds_spoken: Floats = field(default_factory=lambda: _SPOKEN[FUNDS][None, :].copy())
    noise_spoken: Floats = field(default_factory=lambda: _SPOKEN[NOISE][None, :].copy())
    skipped: float = 0.1
    gifts: float = 0.01
    late: float = 0.3
    dying: float = 0.1 / (365 * 24)
    blocked: Floats = field(default_factory=lambda: np.array([0.01, 0.01]))
    moving: float = 0.5 / (365 * 24)
    moving_lately: float = 0.0
    lately: int = 0
    calibration: Floats = field(default_factory=lambda: np.array([1.0, 0.0]))
    foresight: float = 0.5
    advised: Floats = field(default_factory=lambda: _even((1, len(ADVISED_HOURS)))[0])
    seen_calendars: Floats = field(default_factory=lambda: np.zeros((1, len(CALENDARS))))
    seen_kinds: Floats = field(default_factory=lambda: np.zeros((1, len(LASTING_HOURS) + len(RANDOM_KINDS))))
    drawn: Floats = field(default_factory=lambda: np.array([15.0, 200.0]))
    counted: float = 1.0
    until: int = 0
    rows: int = 0

    @classmethod
    def flat(cls) -> Habits:
        """What is believed before any row was seen: no hour, weekday or date is special."""
        return cls()

    @cached_property
    def arriving(self) -> Arriving:
        """When money comes and whether it is there: by country, and last from its very hour on."""
        return arriving(arrivals(self.hours, self.late), survival())

    @cached_property
    def curves(self) -> Floats:
        """All curves of money being there one after another: by country, then those from the very hour of arrival."""
        return self.arriving.there.ravel()

    def coming(self, country: Any, bank: Any) -> Floats:
        """The shares of the local hours at which customers' money comes: their bank's, or else their country's."""
        return np.asarray(np.where((bank > 0)[..., None], self.posting[bank], self.hours[country]))

    def bank_passes(self, bank: Any, local: Any) -> Any:
        """The chance that a bank's own hours and weekdays let a charge pass at a local hour; of one as of many."""
        row = bank + len(self.moved) * (local < self.moved[bank])
        return self._passing[row, week_hour_of(local)]

    @cached_property
    def _passing(self) -> Floats:
        """By bank and hour of the week, now and, after all banks, before they moved their hours."""
        refused = np.concatenate([self.refused, self.refused_before])[:, None, :]
        weekdays = np.concatenate([self.weekdays, self.weekdays_before])[:, :, None]
        return np.asarray(((1 - refused) * (1 - weekdays)).reshape(len(refused), -1))

    @cached_property
    def tells_apart(self) -> Floats:
        """How far each bank's words tell lack of money from its own reasons: 0, the same words, to 1, none shared."""
        return np.asarray(1 - np.minimum(self.funds_spoken, self.noise_spoken).sum(1))

    def as_data(self) -> dict[str, Any]:
        """Numbers, lists and names only, as a model file holds them."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            k: v.tolist() if isinstance(v, np.ndarray) else (dict(v) if isinstance(v, Mapping) else v)
            for k, v in told.items()
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Habits:
        """Read as_data() back; raises TypeError for keys it does not know and ValueError for wrong shapes."""
        known: dict[str, Any] = {k: np.array(v, float) if isinstance(v, list) else v for k, v in data.items()}
        made = cls(**known)
        flat = cls.flat()
        for f in fields(cls):
            have, want = getattr(made, f.name), getattr(flat, f.name)
            if isinstance(want, np.ndarray) and (have.ndim != want.ndim or have.shape[1:] != want.shape[1:]):
                raise ValueError(f"{f.name} has the shape {have.shape}")
        return made


def _even(shape: tuple[int, int], weights: Floats | None = None) -> Floats:
    row = np.ones(shape[1]) if weights is None else weights
    return np.tile(row / row.sum(), (shape[0], 1))


def _random_prior() -> Floats:
    """Half of those without a calendar always have enough."""
    row = np.full(len(RANDOM_KINDS), 0.5 / (len(RANDOM_KINDS) - 1))
    row[-1] = 0.5
    return row[None, :]


def _calendar_prior() -> Floats:
    """Each length of cycle as likely as the next; within it, each phase."""
    weights = {
        "cycle-1": 0.03, "now and then": 0.06, "cycle-7": 0.17, "cycle-10": 0.03, "cycle-14": 0.17, "cycle-28": 0.06,
        "month-1": 0.32, "month-2": 0.10, "weekday": 0.06, "business": 0.06,
    }  # fmt: skip

    families = [calendar.family for calendar in CALENDARS]
    return np.array([weights[f] / families.count(f) for f in families])
