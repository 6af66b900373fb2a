"""Owns the contact policies: dated, sourced rules per country, read from `policies/*.yaml` and checked."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from campaigns.guard.hours import Hours, Span
from campaigns.guard.zones import zone
from customers.errors import SollecitoError
from customers.models import Channel

FOLDER = Path(__file__).resolve().parent / "policies"
DEFAULT = "default"
#: law: a statute or regulation; code: a trade's code of conduct; house: our own choice where neither speaks.
BASES = ("law", "code", "house")


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What one policy version says of one channel."""

    #: None: at any hour.
    hours: Hours | None = None
    min_gap_hours: int = 0
    #: Contacts on this channel within any seven days; 0: not limited.
    per_week: int = 0
    #: Where the zone is a guess among several of the country: open only when open in all of them.
    in_every_zone: bool = False
    source: str = ""
    basis: str = "house"
    #: Code of the policy the rules come from: a country without rules for a channel has the default's.
    policy: str = DEFAULT


_UNLIMITED = ChannelRules()


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one country on one date. `code` is the country in lower case, or `default`."""

    code: str
    valid_from: date
    channels: dict[str, ChannelRules]
    #: Contacts on all channels together within any seven days; 0: not limited.
    per_week: int = 0

    def rules(self, channel: str) -> ChannelRules:
        """Rules of a channel; one no policy speaks of is not limited (in-app notices, webhooks)."""
        return self.channels.get(channel, _UNLIMITED)


@lru_cache(maxsize=4096)
def policy_for(country: str, now: datetime, zone_name: str = "UTC") -> Policy:
    """The policy in force for a country (ISO 3166, two letters, may be empty) on the local date of `now`."""
    return _policy_on(country.lower(), now.astimezone(zone(zone_name)).date())


@lru_cache(maxsize=4096)
def _policy_on(code: str, day: date) -> Policy:
    base = _in_force(DEFAULT, day)
    own = _in_force(code, day) if code != DEFAULT and code in _all() else None
    if base is None:
        raise SollecitoError(f"No default policy is in force on {day}.", code="guard_policy_missing")
    if own is None:
        return base
    return Policy(own.code, own.valid_from, {**base.channels, **own.channels}, own.per_week or base.per_week)


def _in_force(code: str, day: date) -> Policy | None:
    return next((version for version in _all()[code] if version.valid_from <= day), None)


@lru_cache(maxsize=1)
def _all() -> dict[str, tuple[Policy, ...]]:
    return {path.stem: read(path.stem, path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}


def read(code: str, source: str) -> tuple[Policy, ...]:
    """Versions of one policy file, newest first. Raises SollecitoError naming what is wrong with it."""
    try:
        versions = [_version(code, raw) for raw in yaml.safe_load(source)["versions"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SollecitoError(f"Policy {code}: {error!r}", code="guard_policy_wrong") from error
    return tuple(sorted(versions, key=lambda version: version.valid_from, reverse=True))


def _version(code: str, raw: dict[str, Any]) -> Policy:
    unknown = set(raw) - {"valid_from", "per_week", "channels"}
    if unknown or not isinstance(raw["valid_from"], date):
        raise ValueError(f"unknown or undated: {sorted(unknown)}")
    channels = {str(Channel(name)): _channel(code, rules) for name, rules in raw["channels"].items()}
    return Policy(code, raw["valid_from"], channels, int(raw.get("per_week", 0)))


def _channel(code: str, raw: dict[str, Any]) -> ChannelRules:
    unknown = set(raw) - {"source", "basis", "open", "min_gap_hours", "per_week", "in_every_zone"}
    if unknown:
        raise ValueError(f"unknown: {sorted(unknown)}")
    if not raw["source"].strip() or raw["basis"] not in BASES:
        raise ValueError("a rule needs its source and its basis")
    opened = raw.get("open")
    hours = None
    if opened is not None:
        days = {kind: tuple(Span.parse(span) for span in spans) for kind, spans in opened.items()}
        if set(days) - {"weekdays", "saturday", "sunday", "holiday"} or not days.get("weekdays"):
            raise ValueError("open hours need weekdays, and may have saturday, sunday, holiday")
        hours = Hours(days["weekdays"], days.get("saturday", ()), days.get("sunday", ()), days.get("holiday"))
    return ChannelRules(
        hours=hours,
        min_gap_hours=int(raw.get("min_gap_hours", 0)),
        per_week=int(raw.get("per_week", 0)),
        in_every_zone=bool(raw.get("in_every_zone", False)),
        source=" ".join(raw["source"].split()),
        basis=raw["basis"],
        policy=code,
    )
