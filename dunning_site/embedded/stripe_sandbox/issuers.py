"""Owns the issuing banks: decides each authorisation from the card, the amount, the money spent and the clock.

A profile is a function ``(ask, options) -> decline code or None``. To add one, write it and name it in PROFILES.
Every answer depends on the seed and its inputs only, so two cards never influence each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

DAY = 86_400


@dataclass(frozen=True)
class Ask:
    """One request for authorisation; ``now`` in seconds UTC, ``amount`` in minor units of ``currency``."""

    fingerprint: str
    amount: int
    currency: str
    now: int
    exp_year: int
    exp_month: int
    seed: int = 0
    off_session: bool = True
    authenticated: bool = False
    set_up: bool = False
    setup: bool = False
    tries: tuple[int, ...] = ()
    spent: tuple[tuple[int, int], ...] = field(default=())


Options = dict[str, str]
Profile = Callable[[Ask, Options], str | None]

AUTHENTICATE = "authentication_required"
BLOCKED = "blocked"


def decide(profile: str, ask: Ask, options: Options) -> str | None:
    """Return None to approve, else a decline code (or BLOCKED for one that never reached the network).

    ``options['from']`` and ``options['until']`` (seconds UTC) bound the time the profile is in force.
    Raises KeyError for an unknown profile.
    """
    if (ask.exp_year, ask.exp_month) < _year_month(ask.now) and profile != "ignores_expiry":
        return "expired_card"
    rule = PROFILES[profile]
    if ask.now < int(options.get("from", 0)) or ask.now >= int(options.get("until", 1 << 62)):
        return None
    return rule(ask, options)


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on its arguments only."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _year_month(now: int) -> tuple[int, int]:
    at = datetime.fromtimestamp(now, UTC)
    return at.year, at.month


def _always_ok(ask: Ask, options: Options) -> str | None:
    return None


def _decline(ask: Ask, options: Options) -> str | None:
    return options.get("code", "generic_decline")


def _decline_charges(ask: Ask, options: Options) -> str | None:
    return None if ask.setup else options.get("code", "generic_decline")


def _blocked(ask: Ask, options: Options) -> str | None:
    return BLOCKED


def _hard(ask: Ask, options: Options) -> str | None:
    reasons = ("lost_card", "stolen_card", "pickup_card", "revocation_of_authorization", "invalid_account")
    pick = int(chance(ask.seed, ask.fingerprint, "hard") * len(reasons))
    return options.get("code", reasons[pick])


def _expired(ask: Ask, options: Options) -> str | None:
    return "expired_card"


def last_payday(now: int, options: Options, seed: int, fingerprint: str) -> int:
    """Seconds UTC of the latest payday at 06:00 on or before ``now``.

    ``weekday`` (0 = Monday) makes it weekly; ``day`` is the day of the month, shortened to the month's last.
    """
    at = datetime.fromtimestamp(now, UTC)
    if "weekday" in options:
        day = at.date() - timedelta(days=(at.weekday() - int(options["weekday"])) % 7)
        pay = _six(day)
        return pay if pay <= now else pay - 7 * DAY
    usual = (1, 5, 10, 15, 25, 27, 28)
    day_of_month = int(options.get("day", usual[int(chance(seed, fingerprint, "payday") * len(usual))]))
    pay = _six(_month_day(at.date(), day_of_month))
    if pay > now:
        pay = _six(_month_day(at.date().replace(day=1) - timedelta(days=1), day_of_month))
    return pay


def _month_day(anywhere: date, day: int) -> date:
    following = (anywhere.replace(day=28) + timedelta(days=4)).replace(day=1)
    last = (following - timedelta(days=1)).day
    return anywhere.replace(day=min(day, last))


def _six(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 6, tzinfo=UTC).timestamp())


def balance(ask: Ask, options: Options) -> int:
    """Minor units on the account: topped up on payday, spent down daily and by our own charges since."""
    payday = last_payday(ask.now, options, ask.seed, ask.fingerprint)
    top_up = int(options.get("top_up", 60_000 + int(chance(ask.seed, ask.fingerprint, "top") * 140_000)))
    lasting = 8 + chance(ask.seed, ask.fingerprint, payday, "days") * 18
    daily = int(options.get("daily", int(top_up / lasting)))
    ours = sum(amount for at, amount in ask.spent if at >= payday)
    return top_up - daily * ((ask.now - payday) // DAY) - ours


def _payday(ask: Ask, options: Options) -> str | None:
    return None if ask.setup or balance(ask, options) >= ask.amount else "insufficient_funds"


def _nsf_until_day(ask: Ask, options: Options) -> str | None:
    """Money is there from ``day`` of the month for ``days`` days (10), and never else."""
    opened = last_payday(ask.now, options, ask.seed, ask.fingerprint)
    rich = ask.now - opened < int(options.get("days", 10)) * DAY
    return None if ask.setup or rich else "insufficient_funds"


def _velocity(ask: Ask, options: Options) -> str | None:
    recent = sum(1 for at in ask.tries if at > ask.now - DAY)
    if recent >= int(options.get("limit", 3)):
        return "card_velocity_exceeded"
    return decide(options["then"], ask, options) if options.get("then") else None


def _do_not_honor(ask: Ask, options: Options) -> str | None:
    """Approves with a probability that is low at night; the same hour gives the same answer."""
    hour = datetime.fromtimestamp(ask.now, UTC).hour
    by_day, by_night = float(options.get("ok", 0.6)), float(options.get("ok_night", 0.25))
    likely = by_day if 7 <= hour < 21 else by_night
    lucky = chance(ask.seed, ask.fingerprint, ask.amount, ask.now // 3_600) < likely
    return None if ask.setup or lucky else options.get("code", "do_not_honor")


def _technical(ask: Ask, options: Options) -> str | None:
    """The processor is down for some hours of the day: ``hours`` as ``from-to``, else by the seed and date."""
    at = datetime.fromtimestamp(ask.now, UTC)
    if "hours" in options:
        start, end = (int(part) for part in options["hours"].split("-"))
    else:
        start = int(chance(ask.seed, at.date(), "down") * 20)
        end = start + 4
    return options.get("code", "processing_error") if start <= at.hour < end else None


def _authentication(ask: Ask, options: Options) -> str | None:
    return None if ask.authenticated else AUTHENTICATE


def _authentication_once(ask: Ask, options: Options) -> str | None:
    return None if ask.authenticated or ask.set_up else AUTHENTICATE


def _authentication_nsf(ask: Ask, options: Options) -> str | None:
    return "insufficient_funds" if ask.authenticated and not ask.setup else _authentication(ask, options)


PROFILES: dict[str, Profile] = {
    "always_ok": _always_ok,
    "ignores_expiry": _always_ok,
    "decline": _decline,
    "decline_charges": _decline_charges,
    "blocked": _blocked,
    "hard": _hard,
    "expired": _expired,
    "payday": _payday,
    "nsf_until_day": _nsf_until_day,
    "velocity": _velocity,
    "do_not_honor": _do_not_honor,
    "technical": _technical,
    "authentication": _authentication,
    "authentication_once": _authentication_once,
    "authentication_nsf": _authentication_nsf,
}
