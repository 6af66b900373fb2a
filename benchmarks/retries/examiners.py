"""Owns a third set of simulated issuers, whose laws are open to whoever wants to know what can be inferred.

Banks live by the clock of their country's first zone, people by their own. What a lone charge answers is settled from
the seed for every card and hour; the moments of earlier declines matter to the velocity limit alone. The first of
these that holds is the answer: the card is dead with a final code; the bank is down; there were too many declines; the
card is held, or dead without a code; the bank refuses watched cards by hour or weekday; there is no money; bad luck.

Hours are whole hours of the grid, which begins LEAD hours before START (UTC), unless they are called local; shares and
chances are between 0 and 1; amounts are integer minor units. To add a world, add its laws to `_WORLDS`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

START = datetime(2025, 2, 3, tzinfo=UTC)
LEAD = 45 * 24  # Hours of the grid before START, so that pays and holds are under way when the history begins.
TEST_DAYS, TAIL_DAYS = 30, 31
HOUR = timedelta(hours=1)

#: Decline code: the network's. The order numbers the codes in arrays of answers.
NETWORK: dict[str, str | None] = {
    "approved": None, "insufficient_funds": "51", "do_not_honor": "05", "generic_decline": "05",
    "try_again_later": "19", "issuer_not_available": "91", "processing_error": "96", "card_velocity_exceeded": "65",
    "lost_card": "41", "stolen_card": "43", "pickup_card": "04", "expired_card": "54",
}  # fmt: skip
CODES = tuple(NETWORK)
NUMBER = {code: number for number, code in enumerate(CODES)}
APPROVED, POOR, DO_NOT_HONOR, GENERIC, LATER, NOT_AVAILABLE, PROCESSING, VELOCITY, LOST = range(9)
FINAL = frozenset(CODES[LOST:])
#: Decline code: Stripe's advice and Mastercard's merchant advice code; others come without.
ADVICE = {
    **dict.fromkeys(FINAL, ("do_not_try_again", "03")), "expired_card": ("confirm_card_data", "01"),
    **{CODES[code]: ("try_again_later", "02") for code in (POOR, LATER, NOT_AVAILABLE, PROCESSING)},
}  # fmt: skip
#: Code, currency, the usual price, zones.
COUNTRIES: tuple[tuple[str, str, int, tuple[str, ...]], ...] = (
    ("US", "usd", 1900, ("America/New_York", "America/Chicago", "America/Los_Angeles")),
    ("GB", "gbp", 1500, ("Europe/London",)), ("DE", "eur", 1700, ("Europe/Berlin",)),
    ("BR", "brl", 8900, ("America/Sao_Paulo",)), ("IN", "inr", 149000, ("Asia/Kolkata",)),
    ("JP", "jpy", 2800, ("Asia/Tokyo",)), ("MX", "mxn", 34900, ("America/Mexico_City",)),
    ("AU", "aud", 2900, ("Australia/Sydney", "Australia/Perth")),
)  # fmt: skip
FUNDINGS = ("credit", "debit", "prepaid")
WEEKLY, BIWEEKLY, MONTHLY, MONTH_END, IRREGULAR = range(5)  # How people are paid.
#: Dates, and as many weekdays, that are popular for pay in a country; share of people who are paid on them.
POPULAR, PEAK = 2, 0.7
#: Log-spread of how long money lasts, between people and between the pays of one; by what power less for dear plans.
LASTS_PEOPLE, LASTS_PAYS, LASTS_PRICE = 0.5, 0.25, 0.3
#: Chances that a pay does not come, and that it comes a day late; share of cards that die with a final code.
SKIPPED, LATE, DYING = 0.05, 0.07, 0.05
LUCK = (0.02, 0.06)  # A bank's chance of plain refusals, from and to.

Hours = NDArray[np.int64]
Flags = NDArray[np.bool_]
Reals = NDArray[np.float64]
Rng = np.random.Generator
Three = tuple[float, float, float]
#: Share of banks; of how many local hours or weekdays, fewest and most; chance of refusal then, from and to.
Refusing = tuple[float, int, int, float, float]
#: Weekday, phase of every other week, day of the month, days before the month's last.
Calendar = tuple[int, int, int, int]


@dataclass(frozen=True)
class Laws:
    """The laws of one world. Threes are of credit, debit and prepaid, or one for each bank of a country in turn."""

    days: int = 300  # Length of the history.
    schedules: tuple[tuple[int, ...], ...] = ((3, 5, 7),)  # Days after the first charge; each customer has one.
    countries: int = 2
    banks: int = 4  # In each country.
    funding: Three = (0.2, 0.7, 0.1)
    well: Three = (0.85, 0.65, 0.4)  # Share who always have the money.
    kinds: tuple[float, ...] = (0.2, 0.2, 0.3, 0.15, 0.15)  # Shares of WEEKLY … IRREGULAR.
    posting: float = 0.7  # Share who are paid about the hour at which their bank posts.
    lasts: Three = (240.0, 36.0, 7.0)  # Median hours that money lasts.
    gap: tuple[float, float] = (4.0, 9.0)  # Mean days between irregular pays, from and to.
    watched: float = 0.5  # Share of cards that meet the bank's refusing hours and weekdays at all.
    closed: Refusing = (0.6, 8, 14, 0.75, 0.95)  # Hours.
    shut: Refusing = (0.3, 1, 2, 0.6, 0.9)  # Weekdays.
    down: float = 0.4  # Share of banks that are down for the same hours every day.
    outages: float = 1.0  # In 30 days, of a bank.
    masks: Three = (0.0, 0.0, 0.4)  # Chance that having no money shows as do_not_honor, by bank.
    velocity: tuple[tuple[int, int], ...] = ((3, 24), (4, 72), (0, 0))  # Declines in so many hours; (0, 0): no limit.
    silent: float = 0.06  # Share of cards that die without a code at some time of the grid.
    hold: float = 0.08  # Share that are held once, for some days.
    joining: float = 0.25  # Share who join during the history.
    drift_banks: bool = False  # Banks change their hours in the weeks before the test.
    drift_people: float = 0.0  # Share whose payday changes in the weeks before the test.

    @property
    def hours(self) -> int:
        """Length of the grid."""
        return LEAD + (self.days + TEST_DAYS + TAIL_DAYS) * 24


# fmt: off
_LONG: tuple[tuple[int, ...], ...] = ((1, 3, 5, 7, 14),)
_BOTH = ((3, 5, 7), *_LONG)
_FEWER: Refusing = (.4, 8, 14, .75, .95)
_HARSH: Refusing = (1, 16, 20, .93, .99)
_WORLDS: dict[str, Laws] = {
    "salaries": Laws(schedules=_BOTH, kinds=(.05, .05, .55, .3, .05), lasts=(110, 28, 8),
                     closed=(.4, 12, 17, .75, .95)),
    "wages": Laws(schedules=_LONG, kinds=(.35, .45, .05, .05, .1), lasts=(120, 28, 8), closed=_FEWER),
    # The money is mostly there: hours, weekdays, downtime and velocity decide.
    "bankhours": Laws(well=(.95, .9, .8), closed=_HARSH, watched=.45, shut=(.6, 2, 3, .6, .9), down=.7, outages=2,
                      velocity=((2, 72), (3, 72), (2, 24)), hold=.1),
    "masked": Laws(masks=(1, 1, .8), silent=.12, hold=.12, closed=_FEWER),
    "prepaid": Laws(schedules=_LONG, funding=(0, .15, .85), kinds=(.4, .1, .05, .05, .4), well=(.85, .65, .5),
                    closed=(.3, 8, 14, .75, .95), lasts=(150, 36, 11), gap=(1.5, 4), posting=.8),
    "drift_banks": Laws(schedules=_BOTH, well=(.92, .8, .6), closed=_HARSH, watched=.45, drift_banks=True),
    "drift_people": Laws(kinds=(.3, .25, .3, .1, .05), drift_people=.75, closed=_FEWER, lasts=(200, 28, 7)),
    "thin": Laws(days=42, banks=3, joining=.3),
    "mixture": Laws(schedules=_BOTH, countries=3, banks=3, funding=(.25, .5, .25), masks=(0, .5, 1), silent=.08,
                    hold=.1, velocity=((2, 24), (3, 72), (0, 0)), drift_banks=True, drift_people=.25),
}
# fmt: on
NAMES: tuple[str, ...] = tuple(_WORLDS)


@dataclass(frozen=True, eq=False)
class Clock:
    """Local time: hour and weekday of each hour of the grid; of each local day its first hour of the grid and date."""

    hour: Hours
    weekday: Hours
    midnight: Hours
    ordinal: Hours
    dom: Hours
    left: Hours  # Days left of the month.


@lru_cache(maxsize=32)
def clock(zone: str, hours: int) -> Clock:
    """The local time of a grid of so many hours."""
    local = [(START + (hour - LEAD) * HOUR).astimezone(ZoneInfo(zone)) for hour in range(hours)]
    ordinals = np.array([moment.toordinal() for moment in local])
    days, first = np.unique(ordinals, return_index=True)
    dates = [date.fromordinal(int(day)) for day in days]
    left = [((day.replace(day=28) + timedelta(days=4)).replace(day=1) - day).days - 1 for day in dates]
    hour, dom = np.array([moment.hour for moment in local]), np.array([day.day for day in dates])
    return Clock(hour, (ordinals - 1) % 7, first.astype(np.int64), days, dom, np.array(left))


@dataclass(frozen=True, eq=False)
class Bank:
    """An issuer; `refuse` (chances), `down` (its law) and `outage` (its luck) have one entry for each hour."""

    name: str
    popular: list[tuple[Hours, Hours]]  # Dates and weekdays of pay in its country, before and after people drift.
    refuse: Reals
    down: Flags
    outage: Flags
    mask: float
    base: float
    velocity: tuple[int, int]
    posting: int  # Local hour.
    habit_code: int
    dead_code: int
    base_code: int

    def luckless(self, cross_border: bool) -> float:
        """The chance that a charge which nothing else stands against is refused."""
        return 1 - (1 - self.base) * (1 - (0.05 if cross_border else 0.0))


@dataclass(frozen=True, eq=False)
class Person:
    """What is hidden of a customer, but for the luck of single pays and hours."""

    well: bool
    watched: bool
    kind: int
    calendars: tuple[Calendar, ...]  # Before and after the change.
    change: int  # Like those below an hour that lies beyond the grid if it never comes.
    gap: float  # Mean days between irregular pays.
    hour: int  # Local hour of pay.
    lasts: float
    silent: int
    final: int
    final_code: int
    hold: tuple[int, int]  # Hours, the first one in, the last one out.

    def blocked(self, hours: Hours) -> Flags:
        """Whether the card is held or dead without a code, at each of these hours."""
        return (hours >= self.silent) | ((hours >= self.hold[0]) & (hours < self.hold[1]))


@dataclass(frozen=True, eq=False)
class Customer:
    """One customer; `funded` and `answers` (numbers of codes) have one entry for each hour."""

    row: dict[str, Any]  # The fields that are the same in all of the customer's rows.
    bank: Bank
    level: float  # The plan's price in usual ones.
    funded: Flags
    answers: NDArray[np.int8]


@dataclass(eq=False)
class World:
    """A made world: rows of its past in order of time, and invoices whose first charge failed in the test."""

    name: str
    seed: int
    laws: Laws
    history: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    failed: dict[int, datetime] = field(default_factory=dict)

    def charge(self, customer_no: int, at: datetime, before: Iterable[datetime] = ()) -> dict[str, Any]:
        """One charge. The failed first charge counts as declined whether or not it is among those of `before`."""
        customer, hour = self.customers[customer_no], slot(at)
        if not 0 <= hour < self.laws.hours:
            raise ValueError(f"outside of the world's time: {at}")
        code, bank = CODES[customer.answers[hour]], customer.bank
        allowed, hours = bank.velocity
        if allowed and code not in FINAL and not (bank.down[hour] or bank.outage[hour]):
            declined = {*before, self.failed.get(customer_no, at)}
            if sum(at - hours * HOUR < moment < at for moment in declined) >= allowed:
                code = CODES[VELOCITY]
        advice, network_advice = ADVICE.get(code, (None, None))
        return {
            "approved": code == CODES[APPROVED], "decline_code": None if code == CODES[APPROVED] else code,
            "network_decline_code": NETWORK[code], "advice_code": advice,
            "network_advice_code": network_advice if customer.row["brand"] == "mastercard" else None,
        }  # fmt: skip


def slot(at: datetime) -> int:
    """The hour of the grid that a moment is in."""
    return LEAD + (at - START) // HOUR


def build(name: str, *, customers: int = 300, seed: int = 1) -> World:
    """The world of that name. More customers are further ones: the others stay as they were."""
    laws, key = _WORLDS[name], zlib.crc32(name.encode())
    world, rng = World(name, seed, laws), np.random.default_rng([key, seed, 0])
    places: list[tuple[int, list[Bank]]] = []
    for place in rng.permutation(len(COUNTRIES))[: laws.countries]:
        dates = [np.sort(rng.permutation(28)[:POPULAR] + 1) for _ in range(2)]
        weekdays = [np.sort(rng.permutation(7)[:POPULAR]) for _ in range(2)]
        popular = list(zip(dates, weekdays, strict=True)) if laws.drift_people else [(dates[0], weekdays[0])] * 2
        local, begin = clock(COUNTRIES[place][3][0], laws.hours), int(rng.integers(100))
        masks = [laws.masks[(begin + n) % 3] for n in range(laws.banks)]
        places.append((int(place), [_bank(rng, laws, local, mask, popular) for mask in masks]))
    for number in range(customers):
        rng = np.random.default_rng([key, seed, 1, number])
        _live(world, number, *places[int(rng.integers(laws.countries))], rng)
    world.history.sort(key=lambda row: (row["at"], row["invoice_id"]))
    world.failures.sort(key=lambda row: (row["failed_at"], row["customer_no"]))
    return world


def _habit(rng: Rng, laws: Laws, local: Clock) -> Reals:
    """The chance of refusal at each hour by a bank's hours and weekdays."""
    (share, fewest, most, least, greatest), (shut_share, *days, seldom, often) = laws.closed, laws.shut
    closed, shut = rng.random() < share, rng.random() < shut_share
    begin, length = int(rng.integers(24)), int(rng.integers(fewest, most + 1))
    refuse = closed * rng.uniform(least, greatest) * ((local.hour - begin) % 24 < length)
    weekdays = rng.permutation(7)[: rng.integers(days[0], days[1] + 1)]
    chance = rng.uniform(seldom, often)
    return np.asarray(1 - (1 - refuse) * (1 - chance * np.isin(local.weekday, weekdays)) if shut else refuse)


def _bank(rng: Rng, laws: Laws, local: Clock, mask: float, popular: list[tuple[Hours, Hours]]) -> Bank:
    refuse, after = _habit(rng, laws, local), _habit(rng, laws, local)
    change = LEAD + laws.days * 24 - int(rng.integers(6 * 24, 24 * 24))
    if laws.drift_banks:
        refuse = np.where(np.arange(laws.hours) < change, refuse, after)
    begin, length = int(rng.integers(24)), int(rng.integers(2, 5))
    down = ((local.hour - begin) % 24 < length) & (rng.random() < laws.down)
    outage = np.zeros(laws.hours, bool)
    for _ in range(rng.poisson(laws.outages * laws.hours / 720)):
        begin = int(rng.integers(laws.hours))
        outage[begin : begin + int(rng.integers(3, 13))] = True
    return Bank(
        f"iss_{rng.integers(1 << 32):08x}", popular, refuse, down, outage, mask, float(rng.uniform(*LUCK)),
        velocity=laws.velocity[int(rng.integers(len(laws.velocity)))], posting=int(rng.integers(24)),
        habit_code=int(rng.choice([DO_NOT_HONOR, DO_NOT_HONOR, GENERIC, LATER])),
        dead_code=int(rng.choice([DO_NOT_HONOR, GENERIC])), base_code=int(rng.choice([DO_NOT_HONOR, GENERIC])),
    )  # fmt: skip


def draw_person(rng: Rng, laws: Laws, bank: Bank, funding: str, level: float) -> Person:
    """Somebody of this bank, with such a card and plan, as the laws make people."""
    which = FUNDINGS.index(funding)
    well = bool(rng.random() < laws.well[which])
    kinds = np.array(laws.kinds, float)
    if funding == "credit" and kinds[MONTHLY] + kinds[MONTH_END] > 0:
        kinds = kinds * (0, 0, 1, 1, 0)  # A credit line is free again when its monthly bill is paid.
    kind = int(rng.choice(5, p=kinds / kinds.sum()))
    calendars: list[Calendar] = []
    for dates, weekdays in bank.popular:
        on = rng.random() < PEAK
        dom = int(rng.choice(dates)) if on else int(rng.integers(1, 29))
        weekday = int(rng.choice(weekdays)) if on else int(rng.integers(7))
        calendars.append((weekday, int(rng.integers(2)), dom, int(rng.choice(3, p=(0.6, 0.25, 0.15)))))
    never = laws.hours + 1
    change = LEAD + laws.days * 24 - int(rng.integers(6 * 24, 30 * 24))
    if rng.random() >= laws.drift_people:
        change = never
    gap = float(rng.uniform(*laws.gap))
    usual = rng.random() < laws.posting
    hour = (bank.posting + int(rng.integers(-1, 2))) % 24 if usual else int(rng.integers(24))
    lasts = laws.lasts[which] * np.exp(LASTS_PEOPLE * rng.standard_normal()) * level**-LASTS_PRICE
    silent = int(rng.integers(LEAD, laws.hours)) if rng.random() < laws.silent else never
    final = int(rng.integers(LEAD, laws.hours)) if rng.random() < DYING else never
    final_code = LOST + int(rng.choice(4, p=(0.3, 0.2, 0.1, 0.4)))
    held = int(rng.integers(LEAD, laws.hours))
    hold = (held, held + int(rng.integers(4 * 24, 20 * 24))) if rng.random() < laws.hold else (never, never)
    watched = bool(rng.random() < laws.watched)
    ends = (silent, final, final_code, hold)
    return Person(well, watched, kind, tuple(calendars), change, gap, hour, float(lasts), *ends)


def due_hours(rng: Rng, person: Person, local: Clock) -> Hours:
    """The hours at which this person's pays are due, ascending; irregular ones are drawn."""
    days = len(local.midnight)
    if person.kind == IRREGULAR:
        waits = rng.gamma(2.0, person.gap / 2.0, int(days / person.gap * 1.5) + 30)
        on = np.cumsum(np.maximum(1, np.rint(waits)).astype(np.int64)) - 1
        return local.midnight[on[on < days]] + person.hour
    hours = local.midnight + person.hour
    weeks, found = (local.ordinal - 1) // 7, []
    for weekday, phase, dom, left in person.calendars:
        weekly = (local.ordinal - 1) % 7 == weekday
        every = (weekly, weekly & (weeks % 2 == phase), local.dom == dom, local.left == left)
        found.append(every[person.kind])
    due: Flags = np.where(hours < person.change, *found)
    return np.asarray(hours[due])


def pays(rng: Rng, person: Person, due: Hours, times: int = 1) -> tuple[Hours, Hours]:
    """From and to which hour the money of each pay is there, in so many draws: arrays [times, pays].

    It ends when it is spent, and at the latest when the next pay is due; of a pay that does not come, at once.
    """
    shape = (times, due.size)
    came = rng.random(shape) >= SKIPPED
    begin = due + rng.integers(-1, 2, shape) + 24 * (rng.random(shape) < LATE)
    lasting = np.rint(person.lasts * np.exp(LASTS_PAYS * rng.standard_normal(shape)))
    end = begin + np.maximum(1, lasting).astype(np.int64)
    end = np.minimum(end, np.append(due[1:], 1 << 30)[None, :])
    return begin, np.where(came, end, begin)


def _settle(rng: Rng, person: Person, bank: Bank, funded: Flags, cross_border: bool) -> NDArray[np.int8]:
    """The number of a lone charge's answer, at each hour."""
    habit, mask, luck, which = rng.random((4, funded.size))
    hours = np.arange(funded.size)
    answers = np.where(luck < bank.luckless(cross_border), bank.base_code, APPROVED)
    answers = np.where(funded, answers, np.where(mask < bank.mask, DO_NOT_HONOR, POOR))
    if person.watched:
        answers = np.where(habit < bank.refuse, bank.habit_code, answers)
    answers = np.where(person.blocked(hours), bank.dead_code, answers)
    answers = np.where(bank.down | bank.outage, np.where(which < 0.7, NOT_AVAILABLE, PROCESSING), answers)
    return np.where(hours >= person.final, person.final_code, answers).astype(np.int8)


def _live(world: World, number: int, place: int, banks: list[Bank], rng: Rng) -> None:
    """One customer of that country: what charges meet at each hour, and how they are billed."""
    laws, (country, currency, price, zones) = world.laws, COUNTRIES[place]
    bank = banks[int(rng.integers(len(banks)))]
    zone = zones[int(rng.integers(len(zones)))]
    local, level = clock(zone, laws.hours), float(rng.choice([0.5, 1.0, 1.0, 2.0, 4.0]))
    joined, tenure = 0, int(rng.integers(1, 48))
    if rng.random() < laws.joining:
        joined, tenure = LEAD + int(rng.integers(laws.days * 24)), 0
    row: dict[str, Any] = {
        "customer_id": f"cus_{rng.integers(1 << 40):010x}", "country": country, "timezone": zone,
        "brand": str(rng.choice(["visa", "visa", "mastercard", "mastercard", "amex"])),
        "funding": FUNDINGS[int(rng.choice(3, p=laws.funding))], "issuer": bank.name,
        "amount": round(price * level), "currency": currency, "cross_border": bool(rng.random() < 0.2),
    }  # fmt: skip
    dom, hour, minute = int(rng.integers(1, 29)), int(rng.integers(24)), int(rng.integers(60))
    schedule = laws.schedules[int(rng.integers(len(laws.schedules)))]
    person = draw_person(rng, laws, bank, row["funding"], level)
    funded = np.full(laws.hours, person.well)
    if not person.well:
        for begin, end in zip(*pays(rng, person, due_hours(rng, person, local)), strict=True):
            for come, gone in zip(begin, end, strict=True):
                funded[max(0, come) : max(0, gone)] = True
    answers = _settle(rng, person, bank, funded, row["cross_border"])
    world.customers.append(Customer(row, bank, level, funded, answers))
    earliest = max(LEAD, joined + 15 * 24)  # Who joins is billed half a month later, at the earliest.
    bills = [int(at) for at in local.midnight[local.dom == dom] + hour if earliest <= at < laws.hours]
    _bill(world, number, [START + timedelta(hours=at - LEAD, minutes=minute) for at in bills], tenure, schedule, rng)


def _bill(world: World, number: int, firsts: list[datetime], tenure: int, schedule: tuple[int, ...], rng: Rng) -> None:
    """Bills one customer: by the schedule (days) in the history, and by one first charge in the test."""
    declined: list[datetime] = []
    end = START + timedelta(days=world.laws.days)
    for cycle, first in enumerate(firsts):
        row = {"invoice_id": f"in_{rng.integers(1 << 40):010x}", **world.customers[number].row}
        row |= {"tenure_months": tenure + cycle, "attempt_number": 0, "at": first}
        if first >= end + timedelta(days=TEST_DAYS):
            return
        if first >= end:
            answer = world.charge(number, first, declined)
            if not answer["approved"] and answer["decline_code"] not in FINAL:
                world.failures.append({**row, **answer, "failed_at": first, "customer_no": number})
                world.failed[number] = first
            return
        for attempt, days in enumerate((0, *schedule)):
            at = first + timedelta(days=days)
            if at >= end:
                break
            answer = world.charge(number, at, declined)
            world.history.append({**row, "attempt_number": attempt, "at": at, **answer})
            if answer["approved"]:
                break
            declined.append(at)
            if answer["decline_code"] in FINAL:
                return  # The subscription ends with the card.


def money(world: World, customer_no: int, hours: ArrayLike) -> Flags:
    """Whether the money is there at hours since START: the truth, for diagnosis."""
    return np.asarray(world.customers[customer_no].funded[LEAD + np.floor(np.asarray(hours)).astype(np.int64)])


def recoverable(world: World, failure: dict[str, Any], window_days: float) -> bool:
    """Whether a lone charge at any hour after the failure's, within the window (days), would be approved."""
    begin, end = slot(failure["failed_at"]), slot(failure["failed_at"] + timedelta(days=window_days))
    return bool((world.customers[failure["customer_no"]].answers[begin + 1 : end + 1] == APPROVED).any())
