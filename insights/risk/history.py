"""Owns what is known about a payer at a moment, and the numbers a model reads from it. Pure.

Events are told in time order, and an invoice is described before anything of the same moment is told: what became of
earlier invoices counts only once it was known. Times are days since 1970 as floats.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: Of each invoice known to be late, how much weighs the one before it: three invoices ago counts a third.
_FADE = 0.7
#: Invoices' worth of the general share that a payer's own share starts from.
_PRIOR = 3.0
#: Days early and late beyond which one payment says no more.
_EARLIEST, _LATEST = -30.0, 60.0

FEATURES = (
    "late_share",
    "late_lately",
    "late_last",
    "days_late",
    "invoices",
    "overdue_now",
    "open_now",
    "amount",
    "amount_unusual",
    "terms",
    "disputes",
    "declines",
    "broken",
    "tenure",
)


@dataclass(frozen=True, slots=True)
class Bill:
    """One invoice. `paid` is when it was paid in full, None while it was not; `late_at` the moment from which it is
    late (due date and grace), infinite where none was ever missed; `due` the agreed date. `amount` in major units."""

    key: int
    payer: int
    issued: float
    due: float
    late_at: float
    paid: float | None
    amount: float
    currency: str
    disputed: float | None = None

    @property
    def known_at(self) -> float:
        """When it was known whether it is paid late; infinite while it is not."""
        return min(self.paid if self.paid is not None else math.inf, self.late_at)

    @property
    def late(self) -> bool:
        """Whether it was paid late, or is late unpaid; says nothing before `known_at`."""
        return self.paid is None or self.paid > self.late_at


@dataclass(frozen=True, slots=True)
class Incident:
    """Something else that is known of a payer from `at` on: "broken" (a promise), "declined" or "charged"."""

    payer: int
    at: float
    what: str


@dataclass(slots=True)
class Payer:
    """What is known of one payer so far."""

    known: int = 0
    late: int = 0
    last: float = 0.0
    faded_late: float = 0.0
    faded: float = 0.0
    days: float = 0.0
    paid: int = 0
    overdue: int = 0
    open: int = 0
    disputes: int = 0
    broken: int = 0
    charges: int = 0
    declined: int = 0
    billed: int = 0
    terms: float = 0.0
    #: Of the invoices in `currency`, the one it was last billed in: their number and the sum of their logarithms.
    logged: int = 0
    logs: float = 0.0
    currency: str = ""
    since: float = math.inf


@dataclass(slots=True)
class Climate:
    """What holds for all payers: how many pay late, and what amounts are usual per currency."""

    #: Begins as if twenty invoices were known, six of them late: the first to be known are those paid early.
    known: float = 20.0
    late: float = 6.0
    #: Currency → number, sum and sum of squares of the amounts' logarithms.
    amounts: dict[str, list[float]] = field(default_factory=dict)

    @property
    def share(self) -> float:
        return self.late / self.known

    def usual(self, currency: str) -> tuple[float, float]:
        """Mean and spread of the logarithms of amounts in a currency."""
        n, total, squares = self.amounts.get(currency, (0.0, 0.0, 0.0))
        if n < 2:
            return (total / n if n else 0.0), 1.0
        mean = total / n
        return mean, max(math.sqrt(max(squares / n - mean * mean, 0.0)), 0.1)


def describe(
    payer: Payer, climate: Climate, at: float, *, log_amount: float, currency: str, terms: float
) -> list[float]:
    """The features of an invoice issued at `at`: `log_amount` is the logarithm of its major units, `terms` the days to
    pay it."""
    share = climate.share
    own = (payer.late + _PRIOR * share) / (payer.known + _PRIOR)
    lately = (payer.faded_late + share) / (payer.faded + 1.0)
    mean, spread = climate.usual(currency)
    sized = (log_amount - mean) / spread if currency in climate.amounts else 0.0
    # Against the payer's own invoices in that currency, once there are some.
    unusual = (log_amount - payer.logs / payer.logged) if payer.logged and payer.currency == currency else 0.0
    return [
        _logit(own) - _logit(share),
        _logit(lately) - _logit(share),
        payer.last,
        payer.days / (payer.paid + 2.0) / 10.0,
        math.log1p(payer.known),
        math.log1p(max(payer.overdue, 0)),
        math.log1p(max(payer.open, 0)),
        sized,
        max(-3.0, min(3.0, unusual)),
        min(terms, 120.0) / 30.0,
        payer.disputes / (payer.billed + 2.0),
        payer.declined / (payer.charges + 2.0),
        math.log1p(payer.broken),
        math.log1p(max(at - payer.since, 0.0)) if payer.billed else 0.0,
    ]


def _logit(share: float) -> float:
    held = min(max(share, 0.01), 0.99)
    return math.log(held / (1.0 - held))


@dataclass(frozen=True, slots=True)
class Told:
    """The state after events were told: payers by id, and the climate."""

    payers: dict[int, Payer]
    climate: Climate


_ISSUED, _KNOWN, _PAID, _DISPUTED, _INCIDENT = range(5)


def tell(
    bills: Sequence[Bill],
    incidents: Iterable[Incident] = (),
    *,
    until: float = math.inf,
    climate: Climate | None = None,
    described: dict[int, list[float]] | None = None,
) -> Told:
    """Tells everything before `until` in order. With `described` each invoice's features as of its issue are put
    there by its key; a given `climate` stays as it is (a model's own, when few payers are looked at)."""
    learning = climate is None
    weather = climate or Climate()
    payers: dict[int, Payer] = {}
    events: list[tuple[float, int, int]] = []
    for place, bill in enumerate(bills):
        events.append((bill.issued, _ISSUED, place))
        if bill.known_at < math.inf:
            events.append((bill.known_at, _KNOWN, place))
        if bill.paid is not None:
            events.append((bill.paid, _PAID, place))
        if bill.disputed is not None:
            events.append((bill.disputed, _DISPUTED, place))
    others = list(incidents)
    events += [(incident.at, _INCIDENT, place) for place, incident in enumerate(others)]
    events.sort()
    for at, kind, place in events:
        if at >= until:
            break
        if kind == _INCIDENT:
            _incident(payers.setdefault(others[place].payer, Payer()), others[place].what)
            continue
        bill = bills[place]
        payer = payers.setdefault(bill.payer, Payer())
        if kind == _ISSUED:
            _issue(payer, weather, bill, described, learning)
        # What became of it may carry an earlier date than the invoice itself (imports): it is counted all the same.
        elif kind == _KNOWN:
            _outcome(payer, weather, bill.late, learning)
        elif kind == _PAID:
            payer.paid += 1
            payer.days += min(max(at - bill.due, _EARLIEST), _LATEST)
            payer.open -= 1
            payer.overdue -= bill.late
        else:
            payer.disputes += 1
    return Told(payers, weather)


def _issue(
    payer: Payer, climate: Climate, bill: Bill, described: dict[int, list[float]] | None, learning: bool
) -> None:
    log_amount = math.log(max(bill.amount, 0.01))
    if described is not None:
        described[bill.key] = describe(
            payer, climate, bill.issued, log_amount=log_amount, currency=bill.currency, terms=bill.due - bill.issued
        )
    if payer.currency != bill.currency:
        payer.currency, payer.logs, payer.logged = bill.currency, 0.0, 0
    payer.logs += log_amount
    payer.logged += 1
    payer.billed += 1
    payer.terms = bill.due - bill.issued
    payer.open += 1
    payer.since = min(payer.since, bill.issued)
    if learning:
        sums = climate.amounts.setdefault(bill.currency, [0.0, 0.0, 0.0])
        sums[0] += 1
        sums[1] += log_amount
        sums[2] += log_amount * log_amount


def _outcome(payer: Payer, climate: Climate, late: bool, learning: bool) -> None:
    payer.known += 1
    payer.late += late
    payer.last = float(late)
    payer.faded = payer.faded * _FADE + 1.0
    payer.faded_late = payer.faded_late * _FADE + late
    payer.overdue += late
    if learning:
        climate.known += 1
        climate.late += late


def _incident(payer: Payer, what: str) -> None:
    if what == "broken":
        payer.broken += 1
    else:
        payer.charges += 1
        payer.declined += what == "declined"
