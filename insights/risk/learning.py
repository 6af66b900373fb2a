"""Owns how a model comes about: split by time, fitted, calibrated, judged on what came later. Pure.

Nothing later than a cut is learned from before it: an invoice counts for learning only if its grace had passed by
then, so that those that were paid early do not crowd out those that were not paid yet.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from billing.retries.champion.scores import Interval, Judged, brier, calibration, log_loss, loss_difference
from insights.risk.history import FEATURES, Bill, Climate, Incident, tell
from insights.risk.logistic import Floats, Logistic, calibrate, fit

#: With less than this nothing is learned: the share of one's own late payers would be noise.
ENOUGH_INVOICES = 500
ENOUGH_EACH = 50
ENOUGH_PAYERS = 30
#: Shares of the invoices, by their date of issue: learned from, calibrated by; the newest are judged.
_LEARN, _CALIBRATE = 0.6, 0.8
_WAIT = 7.0
LATE_LAST = FEATURES.index("late_last")
KNOWN = FEATURES.index("invoices")


@dataclass(frozen=True, slots=True)
class Thin:
    """Not enough to learn from: what there is, and what is needed."""

    invoices: int
    late: int
    on_time: int
    payers: int

    @property
    def needed(self) -> dict[str, tuple[int, int]]:
        """By what: how many there are and how many are needed."""
        return {
            "invoices": (self.invoices, ENOUGH_INVOICES),
            "late": (self.late, ENOUGH_EACH),
            "on_time": (self.on_time, ENOUGH_EACH),
            "payers": (self.payers, ENOUGH_PAYERS),
        }

    @property
    def enough(self) -> bool:
        return all(found >= needed for found, needed in self.needed.values())


@dataclass(frozen=True, slots=True)
class Learned:
    """A model with the climate of its time, and how the way it was made did on the newest invoices."""

    model: Logistic
    climate: Climate
    rows: int
    payers: int
    since: float
    until: float
    figures: Mapping[str, Any]

    @property
    def better(self) -> bool:
        """Whether it foretells the newest invoices better than the bare share of late ones, beyond doubt."""
        high = self.figures["difference"]["high"]
        return high is not None and high < 0

    def save(self) -> dict[str, Any]:
        """As plain data; `load` reads it."""
        return {"features": list(FEATURES), **self.model.save(), "climate": asdict(self.climate)}


def load(data: Mapping[str, Any]) -> tuple[Logistic, Climate]:
    """The model and climate that `Learned.save` gave. Raises ValueError for anything else."""
    if list(data.get("features", ())) != list(FEATURES):
        raise ValueError("This model reads other features.")
    try:
        climate = Climate(**data["climate"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"This is no model: {error}") from error
    return Logistic.load(data, len(FEATURES)), climate


@dataclass(frozen=True, slots=True)
class _Rows:
    bills: list[Bill]
    rows: Floats
    late: Floats

    def settled(self, since: float, until: float) -> "_Rows":
        """Those of which it was settled between two moments whether they are late."""
        return self._where([since <= _settled(bill) < until for bill in self.bills])

    def issued(self, since: float) -> "_Rows":
        """Those issued from a moment on."""
        return self._where([bill.issued >= since for bill in self.bills])

    def _where(self, keep: Sequence[bool]) -> "_Rows":
        places = np.flatnonzero(keep)
        return _Rows([self.bills[place] for place in places], self.rows[places], self.late[places])


def _settled(bill: Bill) -> float:
    """When it was known of any like it: the end of its grace, or for a charge that did not fail as long after its
    issue; those paid early must not be learned from before those that were not."""
    return bill.late_at if bill.late_at < math.inf else bill.issued + _WAIT


def state_of(bills: Iterable[Bill], now: float) -> Thin:
    """How much there is to learn from at `now`."""
    known = [bill for bill in bills if bill.known_at < now]
    late = sum(bill.late for bill in known)
    return Thin(len(known), late, len(known) - late, len({bill.payer for bill in known}))


def learn(bills: Sequence[Bill], incidents: Iterable[Incident], now: float) -> Learned | Thin:
    """A model of what was known by `now`, judged by time; Thin where there is not enough."""
    state = state_of(bills, now)
    if not state.enough:
        return state
    described: dict[int, list[float]] = {}
    told = tell(bills, incidents, until=now, described=described)
    known = sorted((b for b in bills if b.key in described and b.known_at < now), key=lambda b: (b.issued, b.key))
    data = _Rows(
        known,
        np.asarray([described[bill.key] for bill in known]),
        np.asarray([float(bill.late) for bill in known]),
    )
    first, second = (known[int(len(known) * share)].issued for share in (_LEARN, _CALIBRATE))
    test = data.issued(second)
    early, middle, rest = (data.settled(*span) for span in ((-math.inf, first), (first, second), (second, math.inf)))
    learnable = data.settled(-math.inf, second)
    try:
        trial = calibrate(fit(*_xy(early)), *_xy(middle))
        figures = judge(trial, test.bills, test.rows, base=_base(learnable))
        # What is used learned from more than what was judged: the same way, up to now.
        model = calibrate(fit(*_xy(learnable)), *_xy(rest))
    except (ValueError, np.linalg.LinAlgError):
        return state
    return Learned(model, told.climate, len(known), state.payers, known[0].issued, known[-1].issued, figures)


def _xy(part: _Rows) -> tuple[Floats, Floats]:
    if len(part.bills) < ENOUGH_EACH:
        raise ValueError("Too few invoices in one part.")
    return part.rows, part.late


def _base(part: _Rows) -> Mapping[str, float]:
    """Shares of late invoices before the test: of all, and by whether the payer's last known one was late."""
    known = part.rows[:, KNOWN] > 0
    last = part.rows[:, LATE_LAST] > 0.5
    share = float(part.late.mean())

    def of(which: Any) -> float:
        return float(part.late[which].mean()) if which.any() else share

    return {"all": share, "after_late": of(known & last), "after_on_time": of(known & ~last), "new": of(~known)}


def judge(model: Logistic, bills: Sequence[Bill], rows: Floats, base: Mapping[str, float]) -> dict[str, Any]:
    """AUC, Brier score, log loss and calibration of the model, the base rate and "paid late last time" on the same
    invoices. Raises ValueError without both outcomes."""
    late = [bill.late for bill in bills]
    last = [
        base["new"] if row[KNOWN] <= 0 else base["after_late" if row[LATE_LAST] > 0.5 else "after_on_time"]
        for row in rows
    ]
    judged = {
        "model": _judged(model.chances(rows).tolist(), bills),
        "base": _judged([base["all"]] * len(bills), bills),
        "last": _judged(last, bills),
    }
    figures: dict[str, Any] = {
        name: {
            "auc": auc([each.chance for each in found], late),
            "brier": brier(found),
            "log_loss": log_loss(found),
            "calibration": [asdict(each) for each in calibration(found)],
        }
        for name, found in judged.items()
    }
    figures["difference"] = _plain(loss_difference(judged["model"], judged["base"]))
    figures["difference_last"] = _plain(loss_difference(judged["model"], judged["last"]))
    return figures | {"invoices": len(bills), "late": sum(late), "since": min(bill.issued for bill in bills)}


def _judged(chances: Sequence[float], bills: Sequence[Bill]) -> list[Judged]:
    return [Judged(chance, bill.late, str(bill.payer)) for chance, bill in zip(chances, bills, strict=True)]


def _plain(interval: Interval) -> dict[str, float | None]:
    """Bounds that are infinite (a single payer) are none: JSON knows no infinity."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(interval).items()}


def auc(chances: Sequence[float], late: Sequence[bool]) -> float:
    """Chance that a late invoice was given a higher chance than one on time; ties count half. 0.5 without both."""
    values = np.asarray(chances)
    labels = np.asarray(late, dtype=bool)
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return 0.5
    _unique, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    # Equal values share the mean of their ranks.
    ends = np.cumsum(counts)
    ranks = (ends - counts + 1 + ends) / 2
    above = ranks[inverse][labels].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))
