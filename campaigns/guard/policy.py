"""Owns the contact policies: dated, sourced rules per country, read from `policies/*.yaml` and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from campaigns.guard.hours import Hours, Span
from customers.errors import SollecitoError
from customers.models import Channel

FOLDER = Path(__file__).resolve().parent / "policies"
DEFAULT = "default"
EU = "eu"
#: law: a statute or regulation; regulator: a supervisor's guideline; code: a trade's code of conduct or a network's
#: terms; house: our own choice where none of them speaks.
BASES = ("law", "regulator", "code", "house")
#: opt_out: may be used until refused; opt_in: only with a permission in the register.
CONSENTS = ("opt_out", "opt_in")
#: What a message must carry (campaigns.guard.texts).
TEXTS = ("sender_name", "postal_address", "opt_out_notice", "collector_notice")
#: The rules a source can be given for on its own, beside the one of the whole channel.
_NUMBERS = ("min_gap_hours", "per_day", "per_week", "per_month", "after_call_hours")
RULES = ("open", *_NUMBERS, "in_every_zone", "consent", "one_click", "texts")
GENERAL_RULES = ("per_day", "per_week", "after_talk_hours")
_DAYS = ("weekdays", "saturday", "sunday", "holiday")


@dataclass(frozen=True, slots=True)
class Ground:
    """What a rule rests on."""

    source: str = ""
    basis: str = "house"


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What one policy version says of one channel."""

    #: None: at any hour.
    hours: Hours | None = None
    min_gap_hours: int = 0
    #: Contacts on this channel within any one, seven, thirty days; 0: not limited.
    per_day: int = 0
    per_week: int = 0
    per_month: int = 0
    #: Hours without use of this channel after a conversation by telephone.
    after_call_hours: int = 0
    #: Where the zone is a guess among several of the country: open only when open in all of them.
    in_every_zone: bool = False
    consent: str = "opt_out"
    #: Mails carry List-Unsubscribe and List-Unsubscribe-Post (RFC 8058).
    one_click: bool = False
    #: Codes of TEXTS that a message must carry.
    texts: tuple[str, ...] = ()
    source: str = ""
    basis: str = "house"
    because: Mapping[str, Ground] = field(default_factory=lambda: MappingProxyType({}))
    #: Code of the policy the rules come from: a country without rules for a channel has its base's.
    policy: str = DEFAULT
    #: True: a manager's own rules, not the shipped ones.
    own: bool = False

    def ground(self, rule: str = "") -> Ground:
        """What a rule of RULES rests on: its own source, else the channel's."""
        return self.because.get(rule) or Ground(self.source, self.basis)


_UNLIMITED = ChannelRules()


@dataclass(frozen=True, slots=True)
class General:
    """What a policy version says of all channels together."""

    #: Contacts within any one and any seven days; 0: not limited.
    per_day: int = 0
    per_week: int = 0
    #: Hours of peace after any conversation with the customer.
    after_talk_hours: int = 0
    source: str = ""
    basis: str = "house"
    policy: str = DEFAULT
    own: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One dated version of one policy, by itself: without what it takes from its base."""

    code: str
    valid_from: date
    channels: Mapping[str, ChannelRules]
    general: General | None = None
    #: Differences where the customer is a business.
    business_channels: Mapping[str, ChannelRules] = field(default_factory=lambda: MappingProxyType({}))
    business_general: General | None = None


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """All shipped versions of one policy, newest first. `extends` names its base; the default has none."""

    code: str
    title: str
    extends: str
    versions: tuple[Version, ...]

    def on(self, day: date) -> Version | None:
        """The newest version that has begun by `day`."""
        return next((version for version in self.versions if version.valid_from <= day), None)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules for one kind of customer in one country on one date, with all that is taken from the bases."""

    code: str
    channels: Mapping[str, ChannelRules]
    general: General = General()
    #: Why the rules cannot be trusted (a manager's own that this release cannot read); empty: they can.
    unreadable: str = ""

    def rules(self, channel: str) -> ChannelRules:
        """Rules of a channel; one no policy speaks of is not limited (in-app notices, webhooks)."""
        return self.channels.get(channel, _UNLIMITED)


@lru_cache(maxsize=1)
def shipped() -> dict[str, PolicyFile]:
    """The shipped policies by code. Raises SollecitoError naming what is wrong with one."""
    return {path.stem: read(path.stem, path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}


def read(code: str, source: str) -> PolicyFile:
    """One policy file. Raises SollecitoError naming what is wrong with it."""
    try:
        raw = yaml.safe_load(source)
        unknown = set(raw) - {"title", "extends", "versions"}
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}")
        versions = [version(code, item, item["valid_from"]) for item in raw["versions"]]
        extends = str(raw.get("extends", "" if code == DEFAULT else DEFAULT))
        title = str(raw.get("title", code))
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise SollecitoError(f"Policy {code}: {error!r}", code="guard_policy_wrong") from error
    versions.sort(key=lambda item: item.valid_from, reverse=True)
    return PolicyFile(code, title, extends, tuple(versions))


def version(code: str, raw: Mapping[str, Any], valid_from: date, *, own: bool = False) -> Version:
    """One version from plain values (YAML or JSON). Raises ValueError, KeyError or TypeError saying what is wrong."""
    _known(raw, {"valid_from", "all", "channels", "business"}, "a version")
    business = raw.get("business") or {}
    _known(business, {"all", "channels"}, "business")
    if not isinstance(valid_from, date):
        raise ValueError("a version needs the day it is valid from")
    return Version(
        code,
        valid_from,
        _channels(code, raw.get("channels") or {}, own),
        _general(code, raw["all"], own) if raw.get("all") else None,
        _channels(code, business.get("channels") or {}, own),
        _general(code, business["all"], own) if business.get("all") else None,
    )


def _known(raw: Mapping[str, Any], names: set[str], where: str) -> None:
    if unknown := set(raw) - names:
        raise ValueError(f"{where}: unknown {sorted(unknown)}")


def _channels(code: str, raw: Mapping[str, Any], own: bool) -> dict[str, ChannelRules]:
    return {str(Channel(name)): channel_rules(code, rules, own=own) for name, rules in raw.items()}


def most(name: str) -> int:
    """The largest number a rule may have: beyond it the guard does not remember (campaigns.contacts)."""
    return 720 if name.endswith("_hours") else 50


def _number(raw: Mapping[str, Any], name: str) -> int:
    value = raw.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most(name):
        raise ValueError(f"{name} is a whole number from 0, for no limit, to {most(name)}")
    return value


def _ground(raw: Mapping[str, Any]) -> Ground:
    source = " ".join(str(raw["source"]).split())
    if not source or raw["basis"] not in BASES:
        raise ValueError("a rule needs its source and its basis")
    return Ground(source, raw["basis"])


def _general(code: str, raw: Mapping[str, Any], own: bool) -> General:
    _known(raw, {*GENERAL_RULES, "source", "basis"}, "all")
    ground = _ground(raw)
    return General(
        **{name: _number(raw, name) for name in GENERAL_RULES},
        source=ground.source,
        basis=ground.basis,
        policy=code,
        own=own,
    )


def channel_rules(code: str, raw: Mapping[str, Any], *, own: bool = False) -> ChannelRules:
    """The rules of one channel from plain values. Raises ValueError, KeyError or TypeError saying what is wrong."""
    _known(raw, {*RULES, "source", "basis", "because"}, "a channel")
    ground = _ground(raw)
    because = raw.get("because") or {}
    _known(because, set(RULES), "because")
    consent = raw.get("consent", "opt_out")
    texts = tuple(raw.get("texts") or ())
    if consent not in CONSENTS or set(texts) - set(TEXTS):
        raise ValueError(f"consent is one of {CONSENTS}, texts are of {TEXTS}")
    return ChannelRules(
        hours=_hours(raw.get("open")),
        **{name: _number(raw, name) for name in _NUMBERS},
        in_every_zone=bool(raw.get("in_every_zone", False)),
        consent=consent,
        one_click=bool(raw.get("one_click", False)),
        texts=texts,
        source=ground.source,
        basis=ground.basis,
        because={name: _ground(item) for name, item in because.items()},
        policy=code,
        own=own,
    )


def _hours(opened: Mapping[str, Any] | None) -> Hours | None:
    if opened is None:
        return None
    _known(opened, set(_DAYS), "open")
    days = {kind: tuple(Span.parse(span) for span in spans) for kind, spans in opened.items()}
    if not days.get("weekdays"):
        # So that no deferral waits for ever: a channel is closed for good by asking for consent nobody gave.
        raise ValueError("open hours need weekdays, and may have saturday, sunday, holiday")
    return Hours(days["weekdays"], days.get("saturday", ()), days.get("sunday", ()), days.get("holiday"))
