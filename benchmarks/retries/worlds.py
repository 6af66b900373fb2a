"""Owns the simulated issuers: who has money when, and what each of them answers to a charge at any hour.

A world is made once from a seed: for every card and every hour it is settled beforehand whether a single charge
would be approved, so that strategies are compared on the same luck and the best anybody could do is known. Nothing
here is shared with the strategies: they see rows of charges, as from any processor.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

START = datetime(2025, 1, 1, tzinfo=UTC)
HISTORY_DAYS = 330
TEST_DAYS = 30
LONGEST_WINDOW = 28
HOURS = (HISTORY_DAYS + TEST_DAYS + LONGEST_WINDOW + 2) * 24
COUNTRIES = (
    ("US", "America/New_York", "USD"),
    ("IT", "Europe/Rome", "EUR"),
    ("BR", "America/Sao_Paulo", "BRL"),
    ("JP", "Asia/Tokyo", "JPY"),
    ("IN", "Asia/Kolkata", "INR"),
    ("GB", "Europe/London", "GBP"),
)
ISSUERS_PER_COUNTRY = 4

Paydays = Callable[[np.random.Generator, int], list[date]]


def _days() -> list[date]:
    first = START.date() - timedelta(days=62)
    return [first + timedelta(days=n) for n in range(62 + HOURS // 24 + 1)]


_ALL_DAYS = _days()


def _shift(day: date, how: str) -> date:
    """A payday that falls on a weekend is paid before it, after it, or as it falls."""
    if how == "none" or day.weekday() < 5:
        return day
    return day - timedelta(days=day.weekday() - 4) if how == "before" else day + timedelta(days=7 - day.weekday())


def monthly(dom: int, how: str = "none") -> list[date]:
    """Once a month on a day of it; 31 is the last day."""
    months = sorted({(d.year, d.month) for d in _ALL_DAYS})
    return [_shift(date(y, m, min(dom, calendar.monthrange(y, m)[1])), how) for y, m in months]


def every(days: int, phase: int) -> list[date]:
    """Once in so many days."""
    return [d for d in _ALL_DAYS if d.toordinal() % days == phase % days]


@dataclass(frozen=True)
class Family:
    """What makes one kind of world; shares are between 0 and 1, hours and days local.

    `calendars` are (weight, maker of a customer's paydays); a customer without one is topped up at random.
    `lasting_hours` are (weight, median hours the money lasts, funding).
    """

    name: str
    calendars: Sequence[tuple[float, str]]
    lasting_hours: Sequence[tuple[float, float, str]]
    arrival_hours: Sequence[int] = (6,)
    spread_of_lasting: float = 0.4
    skipped_paydays: float = 0.08
    preferred_doms: Sequence[int] = ()
    masked: tuple[float, float] = (0.1, 0.3)
    noise: float = 0.04
    closed_hours: int = 0
    closed_refusal: float = 0.0
    outages_a_month: float = 0.3
    outage_hours: float = 5.0
    velocity_limit: int = 99
    velocity_refusal: float = 0.0
    dead_a_year: float = 0.08
    final_codes: float = 0.4
    drift: float = 0.0
    schedules: Sequence[Sequence[int]] = ((3, 5, 7),)


_COMMON = (
    (0.35, "monthly"),
    (0.2, "biweekly"),
    (0.15, "weekly"),
    (0.1, "semi"),
    (0.2, "random"),
)
_LASTING = ((0.3, 14, "debit"), (0.3, 36, "debit"), (0.2, 84, "debit"), (0.2, 24 * 40, "credit"))

FAMILIES: tuple[Family, ...] = (
    Family("payday", _COMMON, _LASTING, preferred_doms=(1, 15, 27, 31)),
    Family(
        "odd_calendars",
        ((0.4, "monthly_any"), (0.25, "ten_days"), (0.2, "biweekly"), (0.15, "four_weeks")),
        _LASTING,
        arrival_hours=(22, 23, 0),
        closed_hours=8,
        closed_refusal=0.5,
        schedules=((1, 3, 5, 7),),
    ),
    Family(
        "downtime", _COMMON, _LASTING, outages_a_month=4, outage_hours=14, closed_hours=7, closed_refusal=0.75,
        noise=0.08, schedules=((1, 3, 5, 7, 14),),
    ),
    Family(
        "velocity", _COMMON, _LASTING, velocity_limit=2, velocity_refusal=0.8,
        schedules=(tuple(range(1, 15)), (3, 5, 7)),
    ),
    Family("drift", _COMMON, _LASTING, drift=0.6, closed_hours=6, closed_refusal=0.5, schedules=((3, 5, 7),)),
    Family(
        "masked", _COMMON, _LASTING, masked=(0.6, 0.95), dead_a_year=0.3, final_codes=0.15,
        schedules=((2, 6, 12, 20),),
    ),
    Family(
        "prepaid",
        ((0.45, "monthly"), (0.25, "biweekly"), (0.3, "weekly")),
        ((0.4, 7, "prepaid"), (0.3, 16, "prepaid"), (0.3, 60, "debit")),
        arrival_hours=(8, 9, 17),
        preferred_doms=(1, 5, 10, 15, 25),
        spread_of_lasting=0.5,
    ),
    Family("random", ((1.0, "random"),), _LASTING, noise=0.1, schedules=((3, 5, 7),)),
    Family(
        "mixed",
        ((0.3, "monthly"), (0.2, "biweekly"), (0.15, "weekly"), (0.15, "monthly_any"), (0.2, "random")),
        (*_LASTING, (0.2, 9, "prepaid")),
        arrival_hours=(3, 7, 12),
        preferred_doms=(1, 10, 28),
        masked=(0.2, 0.7),
        closed_hours=5,
        closed_refusal=0.4,
        outages_a_month=1,
        velocity_limit=4,
        velocity_refusal=0.5,
        drift=0.2,
        dead_a_year=0.15,
        schedules=((1, 3, 5, 7), (4, 8, 12)),
    ),
)  # fmt: skip


@dataclass
class World:
    """A made world: what every card answers at every hour since START (UTC)."""

    family: Family
    seed: int
    customers: list[dict[str, Any]]
    funds: np.ndarray
    up: np.ndarray
    closed: np.ndarray
    dead_from: np.ndarray
    final: np.ndarray
    masked: np.ndarray
    offsets: dict[str, np.ndarray]
    history: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def luck(self, customer: int, hours: np.ndarray, what: int) -> np.ndarray:
        """Settled chance, 0 to 1, of one card at some hours; the same whenever it is asked."""
        x = (hours.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        salt = ((customer + 1) * 1_000_003 + self.seed * 7_919 + what * 104_729) * 0xBF58476D1CE4E5B9
        x ^= np.uint64(salt % (1 << 64))
        x ^= x >> np.uint64(30)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(27)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
        return np.asarray((x >> np.uint64(11)).astype(np.float64) / float(1 << 53))

    def local_hours(self, customer: int, hours: np.ndarray) -> np.ndarray:
        """The local hour of the day at hours since START."""
        return np.asarray((hours + self.offsets[self.customers[customer]["timezone"]][hours]) % 24)

    def refusals(self, customer: int, hours: np.ndarray) -> np.ndarray:
        """Why a lone charge would be refused at each hour: 0 approved, 1 dead, 2 outage, 3 hour, 4 noise, 5 funds."""
        who = self.customers[customer]
        why = np.zeros(len(hours), np.int8)
        why[~self.funds[customer, hours]] = 5
        why[self.luck(customer, hours, 1) < self.family.noise] = 4
        refused = self.luck(customer, hours, 2) < self.family.closed_refusal
        era = (hours >= who["drift_at"]).astype(int)
        why[self.closed[era, who["issuer_no"], self.local_hours(customer, hours)] & refused] = 3
        why[~self.up[who["issuer_no"], hours]] = 2
        why[hours >= self.dead_from[customer]] = 1
        return why

    def charge(self, customer: int, at: datetime, before: Sequence[datetime]) -> dict[str, Any]:
        """One charge; `before` are the card's declined attempts so far. Answers the row's outcome fields."""
        hour = int((at - START).total_seconds() // 3600)
        why = int(self.refusals(customer, np.array([hour]))[0])
        dice = float(self.luck(customer, np.array([hour]), 3)[0])
        recent = sum(1 for moment in before if timedelta(0) <= at - moment < timedelta(days=7))
        if why == 0 and recent > self.family.velocity_limit and dice < self.family.velocity_refusal:
            return _declined("card_velocity_exceeded" if dice < 0.4 else "do_not_honor")
        if why == 0:
            return {"approved": True, "decline_code": None, "network_decline_code": None}
        if why == 1:
            if self.final[customer]:
                return _declined("lost_card", "41")
            return _declined("do_not_honor" if dice < 0.7 else "generic_decline", "05")
        if why == 2:
            return _declined("issuer_not_available" if dice < 0.6 else "processing_error", "91")
        if why in (3, 4):
            return _declined("do_not_honor" if dice < 0.6 else "try_again_later", "05")
        if dice < self.masked[self.customers[customer]["issuer_no"]]:
            return _declined("do_not_honor", "05")
        return _declined("insufficient_funds", "51")


def _declined(code: str, network: str | None = None) -> dict[str, Any]:
    return {"approved": False, "decline_code": code, "network_decline_code": network}


def build(family: Family, *, customers: int = 1500, seed: int = 1) -> World:
    """A world of that family with its history and the invoices that fail in its last month."""
    rng = np.random.default_rng([seed, *family.name.encode()])
    issuers = len(COUNTRIES) * ISSUERS_PER_COUNTRY
    offsets = {zone: _offsets(zone) for _c, zone, _cur in COUNTRIES}
    world = World(
        family=family,
        seed=seed,
        customers=[],
        funds=np.zeros((customers, HOURS), bool),
        up=_uptime(family, rng, issuers),
        closed=_closed(family, rng, issuers),
        dead_from=np.full(customers, HOURS, int),
        final=rng.random(customers) < family.final_codes,
        masked=rng.uniform(*family.masked, issuers),
        offsets=offsets,
    )
    dead = rng.exponential(365 * 24 / max(family.dead_a_year, 1e-9), customers)
    world.dead_from = np.minimum(dead, HOURS).astype(int)
    posting = {c[0]: int(rng.choice(family.arrival_hours)) for c in COUNTRIES}
    for number in range(customers):
        country = int(rng.integers(len(COUNTRIES)))
        code, zone, currency = COUNTRIES[country]
        lasting = family.lasting_hours[_pick(rng, [w for w, *_ in family.lasting_hours])]
        drift_at = int((HISTORY_DAYS - rng.integers(5, 75)) * 24) if rng.random() < family.drift else HOURS
        world.customers.append(
            {
                "customer_id": f"c{number}",
                "country": code,
                "timezone": zone,
                "currency": currency,
                "issuer": f"bank-{country}-{(issuer := int(rng.integers(ISSUERS_PER_COUNTRY)))}",
                "issuer_no": country * ISSUERS_PER_COUNTRY + issuer,
                "brand": str(rng.choice(["visa", "mastercard"])),
                "funding": lasting[2],
                "amount": int(rng.choice([900, 1900, 4900, 9900])),
                "tenure_months": int(rng.integers(1, 40)),
                "billing_dom": int(rng.integers(1, 29)),
                "billing_hour": int(rng.integers(0, 24)),
                "drift_at": drift_at,
            }
        )
        for begin, end in ((0, drift_at), (drift_at, HOURS)):
            if begin < end:
                hour = posting[code] if rng.random() < 0.8 else int(rng.integers(24))
                world.funds[number, begin:end] = _funds(family, rng, country, lasting[1], hour, offsets[zone])[
                    begin:end
                ]
        # People sign up, and are billed from then on, when they have money.
        if rng.random() < 0.6 and (rich := np.flatnonzero(world.funds[number, : 60 * 24])).size:
            signed = START + timedelta(hours=int(rng.choice(rich)))
            world.customers[-1] |= {"billing_dom": min(signed.day, 28), "billing_hour": signed.hour}
    _play(world, rng)
    return world


def _pick(rng: np.random.Generator, weights: Sequence[float]) -> int:
    return int(rng.choice(len(weights), p=np.array(weights) / sum(weights)))


def _offsets(zone: str) -> np.ndarray:
    """Whole hours that local clocks are ahead of UTC, at every hour since START."""
    tz = ZoneInfo(zone)
    return np.array(
        [
            int(((START + timedelta(hours=h)).astimezone(tz).utcoffset() or timedelta(0)).total_seconds() // 3600)
            for h in range(HOURS)
        ]
    )


def _uptime(family: Family, rng: np.random.Generator, issuers: int) -> np.ndarray:
    up = np.ones((issuers, HOURS), bool)
    for issuer in range(issuers):
        for begin in np.flatnonzero(rng.random(HOURS) < family.outages_a_month / (30 * 24)):
            up[issuer, begin : begin + 1 + int(rng.exponential(family.outage_hours))] = False
    return up


def _closed(family: Family, rng: np.random.Generator, issuers: int) -> np.ndarray:
    """Local hours at which an issuer refuses more, before and after a drift."""
    closed = np.zeros((2, issuers, 24), bool)
    for era in range(2):
        for issuer in range(issuers):
            begin = int(rng.integers(24))
            closed[era, issuer, (begin + np.arange(family.closed_hours)) % 24] = True
    return closed


def _paydays(family: Family, rng: np.random.Generator, country: int) -> list[date] | None:
    kind = family.calendars[_pick(rng, [w for w, _k in family.calendars])][1]
    # Each country has habits of its own; not everybody follows them.
    habit = np.random.default_rng([country, *family.name.encode()])
    doms = family.preferred_doms or tuple(int(d) for d in habit.integers(1, 32, 3))
    usual = int(habit.choice(doms))
    how = str(habit.choice(["none", "before", "after"]))
    weekday = int(habit.integers(7))
    follows = rng.random() < 0.6
    match kind:
        case "monthly":
            return monthly(usual if follows else int(rng.choice(doms)), how)
        case "monthly_any":
            return monthly(int(rng.integers(1, 32)), how)
        case "semi":
            return monthly(usual, how) + monthly((usual + 14) % 31 + 1, how)
        case "biweekly":
            return every(14, int(rng.integers(2)) * 7 + (weekday if follows else int(rng.integers(7))))
        case "weekly":
            return every(7, weekday if follows else int(rng.integers(7)))
        case "ten_days":
            return every(10, int(rng.integers(10)))
        case "four_weeks":
            return every(28, int(rng.integers(28)))
    return None


def _funds(
    family: Family, rng: np.random.Generator, country: int, lasting: float, hour: int, offsets: np.ndarray
) -> np.ndarray:
    """Whether the money is there at every hour since START."""
    own = lasting * float(rng.lognormal(0, 0.35))
    there = np.zeros(HOURS, bool)
    days = _paydays(family, rng, country)
    if days is None:
        # Topped up at random, about three times in two cycles of what is needed.
        at, moments = -40 * 24.0, []
        while at < HOURS:
            at += float(rng.exponential(max(48, own * 1.6)))
            moments.append(int(at))
    else:
        first = START.date()
        moments = [(day - first).days * 24 + hour - int(offsets[0]) for day in sorted(set(days))]
    for begin in moments:
        if rng.random() >= family.skipped_paydays:
            end = begin + 1 + int(own * float(rng.lognormal(0, family.spread_of_lasting)))
            there[max(0, begin) : max(0, end)] = True
    return there


def _play(world: World, rng: np.random.Generator) -> None:
    """Bills every customer monthly: with the history's schedules first, then only the first charges to test."""
    for number, who in enumerate(world.customers):
        schedule = world.family.schedules[number % len(world.family.schedules)]
        declined: list[datetime] = []
        for month, day in enumerate(monthly(who["billing_dom"])):
            first = datetime(day.year, day.month, day.day, who["billing_hour"], int(rng.integers(60)), tzinfo=UTC)
            age = (first - START).days
            if age < 0 or age >= HISTORY_DAYS + TEST_DAYS:
                continue
            invoice = {
                k: v for k, v in who.items() if k not in ("issuer_no", "billing_dom", "billing_hour", "drift_at")
            }
            invoice |= {"invoice_id": f"{who['customer_id']}-{month}", "customer_no": number}
            if age >= HISTORY_DAYS:
                outcome = world.charge(number, first, declined)
                if not outcome["approved"] and outcome["decline_code"] != "lost_card":
                    world.failures.append(invoice | {"failed_at": first, **outcome})
                continue
            for attempt, days in enumerate((0, *schedule)):
                at = first + timedelta(days=days)
                if (at - START).days >= HISTORY_DAYS:
                    break
                outcome = world.charge(number, at, declined)
                world.history.append(invoice | {"attempt_number": attempt, "at": at, **outcome})
                if outcome["approved"] or outcome["decline_code"] == "lost_card":
                    break
                declined.append(at)


def recoverable(world: World, failure: dict[str, Any], window_days: int) -> bool:
    """Whether any hour of the window would have been approved: what somebody who knows everything recovers."""
    begin = int((failure["failed_at"] - START).total_seconds() // 3600) + 1
    hours = np.arange(begin, begin + window_days * 24)
    return bool((world.refusals(failure["customer_no"], hours) == 0).any())
