"""Owns when a customer may next be called: the guard's verdict drawn out to a window that a list can keep. Pure."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from campaigns.guard import zones
from campaigns.guard.check import check, policy_of
from campaigns.guard.hours import Hours
from campaigns.guard.types import Blocked, Deferred, GuardSnapshot
from campaigns.worklist.types import Window
from customers.models import Channel

#: A channel without hours is open; the window is drawn anew every night.
_LONG = timedelta(days=2)
#: First words of the rules that say "not at this hour"; the others say "not so soon again".
HOURS = frozenset({"quiet_hours", "public_holiday", "day_of_rest"})


def call_window(guard: GuardSnapshot, now: datetime) -> Window:
    """The window in which calls are allowed as things stand at `now` (aware UTC): the open one, or the next."""
    policy = policy_of(guard, now)
    verdict = check(guard, Channel.CALL, now, policy)
    if isinstance(verdict, Blocked):
        return Window(rule=verdict.rule)
    start, rule = (verdict.until, verdict.rule) if isinstance(verdict, Deferred) else (now, "")
    rules = policy.rules(Channel.CALL)
    if rules.hours is None:
        return Window(start, start + _LONG, rule)
    names = [guard.zone]
    if guard.zone_is_guess and rules.in_every_zone:
        names += [name for name in zones.zones_of(guard.country) if name != guard.zone]
    return Window(start, _closing(start, rules.hours, guard.country, names), rule)


def by_hours(rule: str) -> bool:
    """True if a guard's rule only says that it is not the hour."""
    return rule.partition(".")[0] in HOURS


def _closing(start: datetime, hours: Hours, country: str, names: Iterable[str]) -> datetime:
    ends = []
    for name in names:
        tz = zones.zone(name)
        local = start.astimezone(tz)
        minute = local.hour * 60 + local.minute
        # A span may reach over midnight, so yesterday's counts too.
        for day, shift in ((local.date(), 0), (local.date() - timedelta(days=1), 24 * 60)):
            ends += [
                _at(day, span.end, tz) for span in hours.spans(day, country) if span.start <= minute + shift < span.end
            ]
    return min(ends, default=start + _LONG)


def _at(day: date, minutes: int, tz: ZoneInfo) -> datetime:
    wall = datetime.combine(day + timedelta(days=minutes // 1440), time(minutes % 1440 // 60, minutes % 60))
    return wall.replace(tzinfo=tz).astimezone(UTC)
