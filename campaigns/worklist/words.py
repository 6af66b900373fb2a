"""Owns what the worklist says: its codes in the reader's language, moments in the customer's zone."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from campaigns.guard.zones import zone
from campaigns.worklist.types import OVERDUE
from customers.display import words

Data = Mapping[str, Any]

#: Why something is owed, in the groups that chances are counted by.
REASONS: Mapping[str, Any] = {
    OVERDUE: _lazy("invoice not paid"),
    "new_card": _lazy("new card needed"),
    "authenticate": _lazy("bank wants a confirmation"),
    "funds": _lazy("not enough money"),
    "contact_bank": _lazy("bank refuses"),
    "nothing": _lazy("technical refusal"),
    "": _lazy("reason unknown"),
}
BANDS: Mapping[int, Any] = {
    0: _lazy("not yet late"),
    1: _lazy("1–30 days late"),
    31: _lazy("31–60 days late"),
    61: _lazy("61–90 days late"),
    91: _lazy("more than 90 days late"),
}
#: Why a row is not on the list now.
RESTS: Mapping[str, Any] = {
    "paused": _lazy("The case is paused"),
    "promised": _lazy("A promise stands"),
    "in_plan": _lazy("A payment plan runs"),
    "disputed": _lazy("The debt is disputed"),
    "agency": _lazy("An agency has it"),
    "nothing_owed": _lazy("Nothing is owed"),
    "snoozed": _lazy("Put aside"),
    "talked": _lazy("Spoken with"),
    "tried": _lazy("Tried; another time of day is better"),
    "contact_rules": _lazy("The contact rules ask for a pause"),
    "task_later": _lazy("The task is for later"),
}
FLAGS: Mapping[str, tuple[Any, str]] = {
    "promise": (_lazy("promise"), "primary"),
    "plan": (_lazy("plan"), "primary"),
    "dispute": (_lazy("dispute"), "warning"),
    "promises_broken": (_lazy("broken promise"), "danger"),
    "vulnerable": (_lazy("vulnerable"), "warning"),
    "do_not_contact": (_lazy("do not contact"), "danger"),
    "legal_hold": (_lazy("legal hold"), "danger"),
    "bankrupt": (_lazy("insolvent"), "danger"),
    "no_dunning": (_lazy("no dunning"), "warning"),
}
#: First words of the guard's rules, for a badge.
RULES: Mapping[str, Any] = {
    "address": _lazy("no number that may be used"),
    "consent": _lazy("no consent to calls"),
    "customer": _lazy("the customer may not be contacted"),
    "channel": _lazy("calls are not set up"),
    "after_talk": _lazy("spoken with lately"),
    "after_call": _lazy("spoken with lately"),
    "daily_cap": _lazy("enough contacts for today"),
    "weekly_cap": _lazy("enough contacts this week"),
    "monthly_cap": _lazy("enough contacts this month"),
    "min_gap": _lazy("contacted a moment ago"),
    "quiet_hours": _lazy("quiet hours there"),
    "public_holiday": _lazy("a public holiday there"),
    "day_of_rest": _lazy("no calls on this day"),
    "balance": _lazy("nothing is owed"),
    "case": _lazy("the case rests"),
    "policy": _lazy("the contact rules cannot be read"),
}


def rule_words(rule: str) -> str:
    """A guard's rule in a few words."""
    return str(RULES.get(rule.partition(".")[0], rule))


def share_words(share: float) -> str:
    """A share of 1 as whole percent."""
    return f"{round(100 * share)}\u00a0%"


def say(reasons: Iterable[tuple[str, Data]], zone_name: str) -> list[str]:
    """Reasons in words, moments on the customer's clock; codes nobody knows any more are passed over."""

    def at(data: Data, key: str = "at") -> str:
        return words(datetime.fromisoformat(data[key]).astimezone(zone(zone_name)))

    return [_SAY[code](data, at) for code, data in reasons if code in _SAY]


def _chance(data: Data, at: Callable[..., str]) -> str:
    told = {"share": share_words(data["share"])}
    if not data.get("talks"):
        return _("About %(share)s pay within a week of a talk (supposed).") % told
    return _("About %(share)s pay within a week of a talk.") % told


def _basis(data: Data, at: Callable[..., str]) -> str:
    named = {
        "reason": REASONS.get(data["reason"], data["reason"]),
        "band": BANDS[data["band"]],
        "talks": data["talks"],
        "paid": data["paid"],
    }
    if not data["talks"]:
        return _("That share is an assumption: no talks are counted yet (%(reason)s, %(band)s).") % named
    return _("Counted from %(paid)s of %(talks)s talks (%(reason)s, %(band)s), beside the assumption.") % named


def _late(data: Data, at: Callable[..., str]) -> str:
    told = {"share": share_words(data["share"])}
    if data["supposed"]:
        return _("Going by its rating it pays late in about %(share)s: else it may pay without a call.") % told
    return _("It pays late in about %(share)s, by its history: else it may pay without a call.") % told


def _no_call(data: Data, at: Callable[..., str]) -> str:
    if data.get("until"):
        return _("No call before %(at)s: %(rule)s.") % {"at": at(data, "until"), "rule": rule_words(data["rule"])}
    return _("No call: %(rule)s.") % {"rule": rule_words(data["rule"])}


_SAY: Mapping[str, Callable[[Data, Callable[..., str]], str]] = {
    "broken_today": lambda data, at: _("The promise to pay broke today."),
    "broken": lambda data, at: _("A promise broke on %(at)s; %(count)s in all.") % {"at": at(data), **data},
    "reply": lambda data, at: _("The customer wrote on %(at)s and waits for an answer.") % {"at": at(data)},
    "agreed": lambda data, at: _("Call agreed for %(at)s: %(title)s") % {"at": at(data), "title": data["title"]},
    "task": lambda data, at: _("Task: %(title)s") % data,
    "step": lambda data, at: _("The ladder waits for this call."),
    "mailed": lambda data, at: _("A message left on %(at)s; give it a day.") % {"at": at(data)},
    "charge": lambda data, at: (
        _("A charge on %(at)s succeeds by itself in about %(share)s.")
        % {"at": at(data), "share": share_words(data["share"])}
    ),
    "reach": lambda data, at: _("Reached in %(talks)s of %(calls)s calls this month.") % data,
    "no_call": _no_call,
    "no_mail": lambda data, at: _("No e-mail: %(rule)s.") % {"rule": rule_words(data["rule"])},
    "no_address": lambda data, at: _("There is neither a telephone number nor an e-mail address."),
    "chance": _chance,
    "basis": _basis,
    "late": _late,
}


def day_words(moment: datetime, now: datetime, zone_name: str) -> str:
    """A moment on the customer's clock, the day left out where it is today there: "14:00", "Mon 23 Nov, 09:00"."""
    local, today = moment.astimezone(zone(zone_name)), now.astimezone(zone(zone_name)).date()
    if local.date() == today:
        return f"{local:%H:%M}"
    return f"{date_format(local, 'D j M')}, {local:%H:%M}"
