"""Owns a second set of simulated issuers, under other laws than those of `worlds`.

People are paid by few employers or on days of their own; money posts when their bank posts and drains by habit; banks
refuse by hours, weekdays, outages, holds and velocity. What a lone charge answers is settled from the seed for every
card and hour. Hours are hours since START (UTC) unless they are called local; amounts are integer minor units.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

START = datetime(2024, 12, 5, tzinfo=UTC)
HISTORY_DAYS, TEST_DAYS, LONGEST_WINDOW = 320, 30, 28
HOURS = (DAYS := HISTORY_DAYS + TEST_DAYS + LONGEST_WINDOW + 2) * 24
#: Country: currency, minor units of it in a US cent, zones.
COUNTRIES: dict[str, tuple[str, float, tuple[str, ...]]] = {
    "US": ("USD", 1, ("America/New_York", "America/Chicago", "America/Los_Angeles")),
    "DE": ("EUR", 1, ("Europe/Berlin",)), "GB": ("GBP", 0.8, ("Europe/London",)),
    "MX": ("MXN", 18, ("America/Mexico_City",)), "JP": ("JPY", 1.5, ("Asia/Tokyo",)),
    "AU": ("AUD", 1.5, ("Australia/Sydney", "Australia/Adelaide")), "ZA": ("ZAR", 18, ("Africa/Johannesburg",)),
}  # fmt: skip
PLANS = (499, 999, 1499, 2900, 5900, 12900)
FINAL = {"lost_card": "41", "stolen_card": "43", "pickup_card": "04", "invalid_account": "46"}
#: Mastercard's merchant advice codes that name a wait: hours.
WAITS = {"24": 1, "25": 24, "26": 48, "27": 96, "28": 144, "29": 192, "30": 240}
APPROVED, DEAD, OUTAGE, SHUT, HELD, POOR = range(6)

Hours = NDArray[np.int64]
Flags = NDArray[np.bool_]
Reals = NDArray[np.float64]
Rng = np.random.Generator
#: A way of being paid: the calendar's kind, the card's funding, the median hours pay lasts, pay in bills (from, to).
Means = tuple[str, str, float, float, float]
#: Kind, day of month, weekday, phase, rule of weekends (0 none, 1 Friday, 2 Monday), days between, local hour.
Calendar = tuple[str, int, int, int, int, float, float]
#: Who pays: calendars before and after the day it moves, that day, its house bank, hours late of each day's pay.
Employer = tuple[Means, Calendar, Calendar, int, int, Reals]
PERSONAL = ("cycle", "habit", "gig")  # Calendars that no large employer has.


@dataclass(frozen=True)
class Laws:
    """The laws of one world; shares and chances are between 0 and 1, lengths are hours unless named otherwise."""

    means: tuple[Means, ...]
    schedules: tuple[tuple[int, ...], ...] = ((3, 5, 7),)
    history_days: int = HISTORY_DAYS
    employed: float = 0.75  # Share paid by one of the country's large employers.
    strained: float = 0.38  # Share whose pay is all they have, always or from some day on.
    late: tuple[float, float] = (0.25, 36)  # Chance that one pay is late, and by up to what.
    skipped: float = 0.06
    side: float = 0.2  # Side incomes a month.
    uneven: float = 0.25  # Log-spread of how long one pay lasts.
    answers: float = 0.12  # Share of the strained who put money in some time after a bill failed.
    metered: float = 0.15  # Share whose bills differ from month to month.
    price_rise: float = 0.2
    movers: float = 0.08  # Share whose payday moves in the months before the test; employers likewise.
    masking: float = 0.25  # Share of banks that answer do_not_honor for most of their poor.
    shut: tuple[float, int, float] = (0.1, 5, 0.5)  # Share of banks, local hours, chance of refusal.
    shut_days: float = 0.0  # Share of banks that refuse on one or two local weekdays.
    bank_drift: float = 0.1  # Share of banks whose hours change before the test.
    outages: tuple[float, float] = (0.3, 4)  # A month; median length.
    velocity: tuple[float, int, int] = (0.2, 5, 7)  # Share of banks, declines allowed, in so many days.
    advising: tuple[float, float, float] = (0.6, 0.2, 0.2)  # Banks without advice codes, that know, that do not.
    holds: float = 0.02  # Holds of a card a month, about a day each.
    noise: float = 0.01
    dead: float = 0.08  # Cards that die in a year.


# fmt: off
_MONTHLY: tuple[Means, ...] = (("monthly", "debit", 29, 5, 30),)
_ENDS: tuple[Means, ...] = (("last_workday", "debit", 27, 5, 30),)
_SALARIES = (*_MONTHLY * 3, *_ENDS, ("twice", "debit", 25, 5, 30), ("nth_weekday", "debit", 27, 5, 30))
_WAGES: tuple[Means, ...] = (
    *(("weekly", "debit", 16, 3, 10), ("biweekly", "debit", 26, 4, 15)) * 2, ("four_weekly", "debit", 38, 5, 30),
)
_PREPAID: tuple[Means, ...] = (
    *(("biweekly", "prepaid", 25, 1.3, 5), ("monthly", "prepaid", 36, 1.3, 5)) * 2,
    ("weekly", "prepaid", 13, 1.3, 4), ("habit", "prepaid", 22, 1.3, 4),
)
_CREDIT: tuple[Means, ...] = (*(("cycle", "credit", 60, 1.3, 5),) * 3, *_MONTHLY, ("twice", "debit", 25, 5, 30))
_WORLDS: dict[str, Laws] = {
    "late_salaries": Laws(_SALARIES, late=(0.4, 48), employed=0.8),
    "masked_month_ends": Laws(_ENDS * 4 + _MONTHLY * 2 + _WAGES[:2], ((1, 3, 5, 7),), masking=0.85, dead=0.15),
    "shift_wages": Laws(_WAGES, ((2, 5, 9, 14),), employed=0.6, late=(0.25, 20)),
    "topped_up_prepaid": Laws(_PREPAID, ((1, 2, 3, 5, 8),), employed=0.5, strained=0.42, answers=0.15),
    "office_hours": Laws(_SALARIES * 2 + _WAGES, ((3, 5, 7), (2, 4, 6, 8)), shut=(0.5, 8, 0.8), shut_days=0.25),
    "outages_and_limits": Laws(
        _SALARIES + _WAGES, (tuple(range(1, 11)), (3, 6, 9)), outages=(2.5, 10), velocity=(0.8, 3, 7), holds=0.08,
    ),
    "credit_lines": Laws(_CREDIT, ((5, 10, 15),), strained=0.42, metered=0.5, price_rise=0.5),
    "moved_paydays": Laws(_SALARIES * 2 + _WAGES, movers=0.45, bank_drift=0.6),
    "newcomers": Laws(_SALARIES * 3 + _WAGES, history_days=38),
    "everything": Laws(
        _SALARIES * 2 + _WAGES + _PREPAID + _CREDIT + (("gig", "debit", 20, 1.5, 6),) * 2,
        ((1, 3, 5, 7), (4, 8, 12, 16)), late=(0.3, 36), side=0.4, movers=0.2, masking=0.4, shut=(0.35, 7, 0.8),
        shut_days=0.15, bank_drift=0.3, outages=(1, 8), velocity=(0.4, 4, 7), holds=0.05, noise=0.015, dead=0.12,
    ),
}
# fmt: on
NAMES: tuple[str, ...] = tuple(_WORLDS)


@dataclass
class Bank:
    """An issuer's habits; those of `closed` are local, one table (weekday, hour) before and one after `drift`."""

    name: str
    batches: tuple[int, ...]  # Local hours at which wages post; none: as they come.
    masked: float
    closed: Reals
    drift: int
    velocity: tuple[int, int] | None
    advice: str
    abroad: float  # Chance that a foreign merchant is refused.
    down: Flags


@dataclass
class World:
    """A made world; `why` is what a lone charge meets at each hour, `funds` whether the money is there."""

    name: str
    seed: int
    laws: Laws
    banks: dict[str, Bank]
    why: NDArray[np.int8]
    funds: Flags
    people: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def charge(self, customer_no: int, at: datetime, before: Sequence[datetime]) -> dict[str, Any]:
        """One charge; `before` are the moments the same invoice was declined. Answers the row's outcome fields."""
        hour, person = _hour(at), self.people[customer_no]
        bank = self.banks[person["issuer"]]
        why = int(self.why[customer_no, hour])
        luck = np.random.default_rng([self.seed, customer_no, hour, 77]).random(6)
        masks = bool(luck[0] < bank.masked)
        if why in (APPROVED, POOR) and bank.velocity is not None:
            recent = sum(timedelta(0) <= at - moment < timedelta(days=bank.velocity[1]) for moment in before)
            if recent >= bank.velocity[0]:
                return _no("do_not_honor", "05") if masks else _no("withdrawal_count_limit_exceeded", "65")
        if why == APPROVED:
            return {**_no(None, None), "approved": True}
        if why == DEAD:
            told = person["brand"] == "mastercard" and bank.advice != "none" and person["death"] in FINAL
            advice = ("do_not_try_again", "03") if told else (None, None)
            return _no(person["death"], FINAL.get(person["death"], "05"), *advice)
        if why == OUTAGE:
            return _no("issuer_not_available", "91") if luck[1] < 0.8 else _no("processing_error", "96")
        if why == SHUT and luck[1] < 0.3:
            return _no("try_again_later", "19")
        if why in (SHUT, HELD) or masks:
            code, network = ("do_not_honor", "05") if luck[1] < 0.8 else ("generic_decline", None)
        elif person["funding"] == "credit" and luck[1] < 0.5:
            code, network = "card_velocity_exceeded", "61"
        else:
            code, network = "insufficient_funds", "51"
        if person["brand"] != "mastercard" or bank.advice == "none" or luck[2] < 0.3:
            return _no(code, network)
        ahead = np.flatnonzero(self.why[customer_no, hour + 1 :] == APPROVED)
        wait = float(ahead[0] + 1) if ahead.size else 999.0
        wait = wait * float(np.exp(0.3 * (luck[3] + luck[4] - 1))) if bank.advice == "right" else 260 * luck[3] ** 2
        return _no(code, network, "try_again_later", next((mac for mac, most in WAITS.items() if wait <= most), "30"))


def _no(code: str | None, network: str | None, advice: str | None = None, mac: str | None = None) -> dict[str, Any]:
    answer = {"decline_code": code, "network_decline_code": network, "advice_code": advice}
    return {"approved": False, **answer, "network_advice_code": mac}


def _hour(at: datetime) -> int:
    return int((at - START).total_seconds() // 3600)


def build(name: str, *, customers: int = 300, seed: int = 1, cohort: int = 0) -> World:
    """A world of that name. Another cohort: other people, lateness and outages, same banks and employers."""
    laws = _WORLDS[name]
    shared = np.random.default_rng([seed, *name.encode()])
    episodes = np.random.default_rng([seed, cohort, 1, *name.encode()])
    countries = [str(c) for c in shared.choice(list(COUNTRIES), 3, replace=False)]
    banks = {c: [_bank(laws, shared, episodes) for _ in range(3)] for c in countries}
    paid = [means for means in laws.means if means[0] not in PERSONAL]
    employers = {c: [_employer(laws, paid, shared, episodes, n) for n in range(3)] for c in countries}
    named = {bank.name: bank for group in banks.values() for bank in group}
    world = World(name, seed, laws, named, np.zeros((customers, HOURS), np.int8), np.ones((customers, HOURS), bool))
    for number in range(customers):
        rng = np.random.default_rng([seed, cohort, number, 2, *name.encode()])
        country = countries[int(rng.choice(3, p=(0.5, 0.3, 0.2)))]
        _live(world, number, country, banks[country], employers[country], rng)
        _bill(world, number, laws.schedules[number % len(laws.schedules)], rng)
    return world


def _bank(laws: Laws, shared: Rng, episodes: Rng) -> Bank:
    tables = np.zeros((2, 7, 24))
    shuts, rests = shared.random() < laws.shut[0], shared.random() < laws.shut_days
    for table in tables:
        if shuts:
            table[:, (int(shared.integers(24)) + np.arange(laws.shut[1])) % 24] = laws.shut[2]
        if rests:
            table[shared.choice(7, int(shared.integers(1, 3)), replace=False)] = max(laws.shut[2], 0.85)
    batches = tuple(sorted(int(h) for h in shared.choice(24, int(shared.choice((0, 1, 1, 2))), replace=False)))
    down = np.zeros(HOURS, bool)
    for begin in np.flatnonzero(episodes.random(HOURS) < laws.outages[0] / 720):
        down[begin : begin + 1 + int(laws.outages[1] * episodes.lognormal(0, 0.7))] = True
    advice = str(shared.choice(("none", "right", "noise"), p=laws.advising))
    masked = float(shared.uniform(0.75, 0.97) if shared.random() < laws.masking else shared.uniform(0.02, 0.2))
    drift = (HISTORY_DAYS - int(shared.integers(5, 70))) * 24 if shared.random() < laws.bank_drift else HOURS
    velocity = laws.velocity[1:] if shared.random() < laws.velocity[0] else None
    name, abroad = f"iss_{int(shared.integers(1 << 28)):07x}", float(shared.choice((0, 0.02, 0.05)))
    return Bank(name, batches, masked, tables, drift, velocity, advice, abroad, down)


def _calendar(kind: str, rng: Rng) -> Calendar:
    dom = int(rng.choice((1, 5, 10, 15, 20, 25, 28, 31)) if rng.random() < 0.5 else rng.integers(1, 32))
    weekday = int(rng.choice(7, p=(0.1, 0.1, 0.15, 0.2, 0.3, 0.1, 0.05)))
    phase, rule = int(rng.integers(4)), int(rng.integers(3))
    return kind, dom, weekday, phase, rule, float(rng.uniform(9, 24)), float(rng.uniform(8, 22))


def _employer(laws: Laws, ways: Sequence[Means], rng: Rng, episodes: Rng, bank: int) -> Employer:
    means = ways[int(rng.integers(len(ways)))]
    moved = HISTORY_DAYS - int(rng.integers(10, 110)) if rng.random() < laws.movers / 2 else DAYS
    late = np.where(episodes.random(DAYS + 99) < laws.late[0] / 2, episodes.random(DAYS + 99) * laws.late[1], 0.0)
    return means, _calendar(means[0], rng), _calendar(means[0], rng), moved, bank, late


@lru_cache(maxsize=4096)
def _paydays(kind: str, dom: int, weekday: int, phase: int, rule: int) -> tuple[int, ...]:
    """Days since START of the calendars that are of days."""
    every, found = {"weekly": 7, "biweekly": 14, "four_weekly": 28}.get(kind), []
    doms = {"last_workday": (31,), "twice": (dom, (dom + 14) % 30 + 1)}.get(kind, (dom,))
    rule = 0 if every or kind == "nth_weekday" else 1 if kind == "last_workday" else rule
    for number in range(-45, DAYS + 2):
        day = (START + timedelta(days=number)).date()
        last, weekend = calendar.monthrange(day.year, day.month)[1], day.weekday() - 4
        if every:
            due = (day.toordinal() - weekday - 1 - 7 * phase) % every == 0
        elif kind == "nth_weekday":
            due = day.weekday() == weekday and (day.day - 1) // 7 == phase
        else:
            due = day.day in [min(dom, last) for dom in doms]
        if due:
            found.append(number + (0 if weekend <= 0 else (0, -weekend, 3 - weekend)[rule]))
    return tuple(found)


@lru_cache(maxsize=16)
def _ahead(zone: str) -> Hours:
    """Minutes that local clocks are ahead of UTC, at every hour."""
    tz = ZoneInfo(zone)
    shifts = [(START + timedelta(hours=h)).astimezone(tz).utcoffset() or timedelta(0) for h in range(HOURS)]
    return np.array([int(shift.total_seconds() // 60) for shift in shifts], np.int64)


def _pays(laws: Laws, cal: Calendar, bank: Bank, late: Reals, ahead: Hours, rng: Rng) -> list[int]:
    """The hours at which pay of one calendar arrives."""
    local: list[float] = []
    kind, interval, clock = cal[0], cal[5], cal[6]
    if kind in ("habit", "gig"):
        at = -40 * 24.0 + cal[3] * 60
        while at < HOURS:
            at += 24 * (interval * float(rng.lognormal(0, 0.12)) if kind == "habit" else float(rng.exponential(8)))
            local.append(at - at % 24 + clock + float(rng.normal(0, 1.5)))
    else:
        for day in _paydays(*cal[:5]):
            at = day * 24.0 + late[day + 70]
            if rng.random() < laws.late[0] / 2:
                at += float(rng.random()) * laws.late[1]
            waits = [(hour - at) % 24 for hour in bank.batches]
            local.append(at + min(waits, default=clock / 2))
    return [int(t - ahead[min(max(int(t), 0), HOURS - 1)] / 60) for t in local if rng.random() >= laws.skipped]


def _pour(balance: Reals, at: int, pay: float, lasts: float, shape: int) -> None:
    """Adds what is left, at each hour, of pay that came then; it goes at once (0), evenly (1) or ever slower (2)."""
    begin, end = max(0, at), max(0, min(HOURS, at + 1 + int(lasts * (2 if shape == 2 else 1))))
    age = (np.arange(begin, end) - at) / lasts
    left = (np.ones_like(age), 1 - age, 0.5 ** (4 * age))[shape]
    balance[begin:end] += pay * np.clip(left, 0, 1)


def _live(world: World, number: int, country: str, banks: list[Bank], employers: list[Employer], rng: Rng) -> None:
    """One person: how they are paid, spend, bank and are billed, and what a lone charge meets at each hour."""
    laws = world.laws
    currency, minor, zones = COUNTRIES[country]
    ahead = _ahead(zone := str(rng.choice(zones)))
    bank_no, chosen = (int(n) for n in rng.choice(3, 2, p=(0.5, 0.3, 0.2)))
    employer = _employer(laws, laws.means, rng, rng, bank_no)
    if rng.random() < laws.employed and employer[0][0] not in PERSONAL:
        employer = employers[chosen]
    (kind, funding, lasts, least, most), before, after, moved, house, late = employer
    bank = banks[house if rng.random() < 0.6 else bank_no]
    base = float(rng.choice(PLANS)) * minor
    dom, clock = int(rng.integers(1, 29)), int(rng.choice((rng.integers(24), rng.integers(8, 23))))
    strained = rng.random() < laws.strained
    hard = int(rng.integers(40, HISTORY_DAYS + 15)) * 24 if rng.random() < 0.45 else 0
    relief = hard + int(rng.integers(60, 250)) * 24 if rng.random() < 0.2 else HOURS
    if rng.random() < laws.movers:
        after, moved = _calendar(kind, rng), HISTORY_DAYS - int(rng.integers(5, 110))
    eras = [_pays(laws, cal, bank, late, ahead, rng) for cal in (before, after)]
    pays = [at for era, found in enumerate(eras) for at in found if (at >= moved * 24) == bool(era)]
    own = lasts * float(rng.lognormal(0, 0.4))
    usual, shape = float(rng.uniform(least, most)), int(rng.choice(3, p=(0.4, 0.35, 0.25)))
    balance = np.zeros(HOURS)
    for at in pays:
        _pour(balance, at, usual * float(rng.lognormal(0, 0.1)), own * float(rng.lognormal(0, laws.uneven)), shape)
    for _ in range(int(rng.poisson(laws.side * DAYS / 30))):
        _pour(balance, int(rng.integers(HOURS)), float(rng.uniform(0.6, 4)), 18 * float(rng.lognormal(0, 0.6)), 1)

    if strained and rng.random() < 0.25 and (rich := np.flatnonzero(balance[: 60 * 24] >= 1)).size:
        signed = START + timedelta(hours=int(rng.choice(rich)))  # Some sign up on a day when they have money.
        dom, clock = min(signed.day, 28), signed.hour
    days = [START + timedelta(days=number) for number in range(HISTORY_DAYS + TEST_DAYS)]
    firsts = [day + timedelta(hours=clock, minutes=int(rng.integers(60))) for day in days if day.day == dom]
    bills = np.ones(len(firsts))  # Multiples of the first; each is asked from its first charge on.
    if rng.random() < laws.metered:
        bills *= rng.lognormal(0, 0.4, len(bills))
    if rng.random() < laws.price_rise:
        bills[int(rng.integers(3, len(bills))) :] *= float(rng.uniform(1.1, 1.5))
    hours, begins = np.arange(HOURS), np.array([_hour(first) for first in firsts])
    asked = bills[np.clip(np.searchsorted(begins, hours, "right") - 1, 0, None)]
    easy = (hours < hard) | (hours >= relief) if strained else np.ones(HOURS, bool)
    for dry in rng.integers(0, HOURS, int(rng.poisson(0.2))):  # Short of money until the next pay.
        easy[int(dry) : min((at for at in pays if at > dry), default=int(dry) + 72)] = False
    if rng.random() < laws.answers:
        for begin in begins[~easy[begins] & (rng.random(len(begins)) < 0.7)]:
            if balance[begin] < asked[begin]:
                _pour(balance, int(begin + 1 + 26 * rng.lognormal(0, 0.8)), 1.5 * asked[begin], own, 0)
    funds = easy | (balance >= asked)
    why = np.where(funds, APPROVED, POOR).astype(np.int8)
    abroad = bool(rng.random() < 0.2)
    held = rng.random(HOURS) < laws.noise + abroad * bank.abroad
    for begin in np.flatnonzero(rng.random(HOURS) < laws.holds / 720):
        held[begin : begin + int(24 * rng.lognormal(0, 0.8))] = True
    why[held] = HELD
    local, era = hours * 60 + ahead, (hours >= bank.drift).astype(int)
    why[rng.random(HOURS) < bank.closed[era, (START.weekday() + local // 1440) % 7, local // 60 % 24]] = SHUT
    why[bank.down] = OUTAGE
    why[int(min(rng.exponential(365 * 24 / laws.dead), HOURS)) :] = DEAD
    world.why[number], world.funds[number] = why, funds
    joined = int(rng.integers(0, HISTORY_DAYS)) if rng.random() < 0.25 else -int(rng.exponential(400))
    death = str(rng.choice(list(FINAL))) if rng.random() < 0.5 else "do_not_honor"
    world.people.append({
        "customer_id": f"cus_{int(rng.integers(1 << 40)):010x}", "country": country, "timezone": zone,
        "brand": str(rng.choice(("visa", "mastercard"))), "funding": funding, "issuer": bank.name,
        "currency": currency, "cross_border": abroad, "death": death, "joined": joined,
        "bills": [(first, int(base * bill)) for first, bill in zip(firsts, bills, strict=True)],
    })  # fmt: skip


def _bill(world: World, number: int, schedule: tuple[int, ...], rng: Rng) -> None:
    """Bills one person: by the schedule (days) in the history, by first charges alone in the test."""
    person = world.people[number]
    for cycle, (first, amount) in enumerate(person["bills"]):
        day = (first - START).days
        if day < max(person["joined"], HISTORY_DAYS - world.laws.history_days):
            continue
        invoice = {key: value for key, value in person.items() if key not in ("death", "joined", "bills")}
        invoice |= {"invoice_id": f"in_{person['customer_id'][4:]}_{cycle}", "amount": amount}
        invoice |= {"customer_no": number, "tenure_months": (day - person["joined"]) // 30}
        if day >= HISTORY_DAYS:
            answer = world.charge(number, first, [])
            if not answer["approved"] and answer["decline_code"] not in FINAL:
                world.failures.append({**invoice, "attempt_number": 0, "at": first, "failed_at": first, **answer})
            continue
        declined: list[datetime] = []
        for attempt, days in enumerate((0, *schedule)):
            at = first + timedelta(days=days, minutes=int(rng.integers(6)) if days else 0)
            if (at - START).days >= HISTORY_DAYS:
                break
            answer = world.charge(number, at, declined)
            world.history.append({**invoice, "attempt_number": attempt, "at": at, **answer})
            if answer["approved"] or answer["decline_code"] in FINAL:
                break
            declined.append(at)
        if answer["decline_code"] in FINAL:
            return  # The subscription ends with the card.


def money(world: World, customer_no: int, hours: Sequence[int] | Hours) -> Flags:
    """Whether the money for the bill then due is there at hours since START: the truth, for diagnosis."""
    return np.asarray(world.funds[customer_no, np.asarray(hours)])


def recoverable(world: World, failure: dict[str, Any], window_days: int) -> bool:
    """Whether a lone charge at any hour of the window (days) would be approved."""
    begin = _hour(failure["failed_at"]) + 1
    return bool((world.why[failure["customer_no"], begin : begin + window_days * 24] == APPROVED).any())
