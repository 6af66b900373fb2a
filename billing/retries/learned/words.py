"""Owns the words of what was learned: why a moment was chosen, and what a model believes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from billing.retries.learned.belief import Belief
from billing.retries.learned.calendars import CALENDARS, HOUR, Calendar
from billing.retries.learned.habits import EXPOSED, LASTING_HOURS, LATELY_HOURS, Floats, Habits
from billing.retries.localtime import WEEKDAYS

_NTH = {1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}
_SHIFTS = {"none": "", "before": ", before weekends", "after": ", after weekends"}
_TOP = 5


def calendar_told(calendar: Calendar) -> str:
    """A pay calendar in words: "every second Friday", "on the 27th, before weekends"."""
    if calendar.kind == "weekday":
        return f"on the {_NTH[calendar.nth]} {WEEKDAYS[calendar.phase]} of the month"
    if calendar.kind == "business":
        return f"on working day {calendar.nth} of the month"
    if calendar.kind == "month":
        days = " and ".join("last day" if dom == 31 else ordinal(dom) for dom in calendar.doms)
        return f"on the {days}{_SHIFTS[calendar.shift]}"
    weekday = WEEKDAYS[(calendar.phase + 3) % 7]
    if calendar.every > 1:
        return f"on any day, about every {calendar.every} days"
    cycles = {1: "every day", 7: f"every {weekday}", 14: f"every second {weekday}", 28: f"every fourth {weekday}"}
    return cycles.get(calendar.days, f"every {calendar.days} days")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th …"""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def lasting_told(hours: float) -> str:
    """A length of time in round words."""
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"


def customer_told(belief: Belief) -> str:
    """What is believed of one customer's money, in a few words with how sure that is."""
    many = len(belief.hyps.beat)
    weights = belief.weights[0]
    by_calendar = np.bincount(belief.hyps.calendar[0, belief.hyps.beat], weights[:many], len(CALENDARS))
    best = int(by_calendar.argmax())
    always = float(weights[-1])
    if always > max(0.5, float(by_calendar[best])):
        return "usually has enough"
    if by_calendar[best] < 0.2:
        return "no pay calendar is known yet"
    with_it = belief.hyps.calendar[0, belief.hyps.beat] == best
    lasting = np.bincount(belief.hyps.lasting[with_it], weights[:many][with_it], len(LASTING_HOURS))
    lasts = lasting_told(LASTING_HOURS[int(lasting.argmax())])
    return f"paid {calendar_told(CALENDARS[best])} ({by_calendar[best]:.0%} sure), money lasts about {lasts}"


def beliefs(habits: Habits) -> Iterator[tuple[str, str, float]]:
    """Topic, name and share or chance of what a model believes of everybody."""
    for country, row in [("all countries", 0), *sorted(habits.countries.items())]:
        yield from _largest(f"Paydays, {country}", [calendar_told(c) for c in CALENDARS], habits.calendars[row])
    names = [f"about {lasting_told(hours)}" for hours in LASTING_HOURS]
    yield from (
        ("Money with a pay calendar lasts", name, float(v)) for name, v in zip(names, habits.lasting[0], strict=True)
    )
    always, others = habits.random[0, -1], habits.random[0, :-1].sum()
    yield "Money without a pay calendar", "always enough", float(always)
    yield "Money without a pay calendar", "comes and goes at random", float(others)
    for hour, share in enumerate(habits.hours[0]):
        yield "Hour at which money comes in", f"{hour:02}:00", float(share)
    clock = [f"{h:02}:00" for h in range(24)]
    for bank, row in sorted(habits.banks.items())[:20]:
        yield from _largest(f"Hour at which money comes in, {bank}", clock, habits.posting[row])
    yield "Pay", "comes late, by hours or days", float(habits.late)
    yield "Pay", "is used up, and there is money all the same", float(habits.gifts)
    for bank, row in [("all banks", 0), *sorted(habits.banks.items())[:20]]:
        moved = datetime.fromtimestamp(int(habits.moved[row]) * HOUR, UTC)
        which = f"{bank}, since its hours changed on {moved:%Y-%m-%d}" if habits.moved[row] else bank
        yield from _largest(f"Refused by the hour where that applies, {which}", clock, habits.refused[row])
        yield from _largest(
            f"Refused by the weekday where that applies, {which}", list(WEEKDAYS), habits.weekdays[row]
        )
    yield "Cards and banks", "its bank's hours and weekdays apply to a card of which nothing is known", EXPOSED
    yield "What banks advise", "a wait comes from one who knows when money does", float(habits.foresight)
    yield "Cards and calendars", "a card dies within a year", float(1 - np.exp(-habits.dying * 365 * 24))
    yield "Cards and calendars", "a calendar changes within a year", float(1 - np.exp(-habits.moving * 365 * 24))
    lately = 1 - np.exp(-habits.moving_lately * LATELY_HOURS)
    yield "Cards and calendars", "a calendar has changed in the four weeks before the last fit", float(lately)


def _largest(topic: str, names: list[str], values: Floats) -> Iterator[tuple[str, str, float]]:
    summed: dict[str, float] = {}
    for name, value in zip(names, values, strict=True):
        summed[name] = summed.get(name, 0.0) + float(value)
    for name, value in sorted(summed.items(), key=lambda item: -item[1])[:_TOP]:
        yield topic, name, value
