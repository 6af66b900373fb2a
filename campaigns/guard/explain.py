"""Owns the verdict in words: what a badge shows, and what its details say of the rule and its source. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from campaigns.guard.check import check, policy_of
from campaigns.guard.policy import Ground, Policy
from campaigns.guard.types import Allowed, Blocked, GuardSnapshot

#: First word of a guard rule's id → the rule of the policy it stands for.
_RULES = {
    "quiet_hours": "open",
    "public_holiday": "open",
    "day_of_rest": "open",
    "min_gap": "min_gap_hours",
    "daily_cap": "per_day",
    "weekly_cap": "per_week",
    "monthly_cap": "per_month",
    "after_call": "after_call_hours",
    "consent": "consent",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict for people: what a badge shows and its details say."""

    channel: str
    #: ok, wait or stop.
    level: str
    title: str
    sentence: str
    rule: str = ""
    until: datetime | None = None
    #: What the rule rests on, with its basis (one of campaigns.guard.policy.BASES); empty where a fact of the
    #: customer or case decides and no policy.
    source: str = ""
    basis: str = ""
    #: True where the rule is a manager's own, not the shipped one.
    own: bool = False


def explain(snapshot: GuardSnapshot, channel: str, now: datetime, policy: Policy | None = None) -> Explanation:
    """The verdict of `check` in words, with the source of the rule that decided; of the channel where none did."""
    policy = policy or policy_of(snapshot, now)
    verdict = check(snapshot, channel, now, policy)
    if isinstance(verdict, Allowed):
        ground = policy.rules(channel).ground()
        return Explanation(
            channel, "ok", _("Allowed"), _("Nothing stands against it now."), source=ground.source, basis=ground.basis
        )
    ground, own = ground_of(verdict.rule, channel, policy)
    if isinstance(verdict, Blocked):
        return Explanation(
            channel, "stop", _("No contact"), verdict.reason, verdict.rule, None, ground.source, ground.basis, own
        )
    return Explanation(
        channel, "wait", _("Later"), verdict.reason, verdict.rule, verdict.until, ground.source, ground.basis, own
    )


def ground_of(rule: str, channel: str, policy: Policy) -> tuple[Ground, bool]:
    """What a guard rule's id rests on under `policy`, and whether it is a manager's own rule."""
    first, _dot, rest = rule.partition(".")
    if rest == "ladder":
        return Ground(_("The ladder's own least gap between messages."), "house"), False
    if first == "after_talk" or rest.startswith("all."):
        return Ground(policy.general.source, policy.general.basis), policy.general.own
    if first in _RULES:
        rules = policy.rules(channel)
        return rules.ground(_RULES[first]), rules.own
    return Ground("", ""), False


def explain_all(snapshot: GuardSnapshot, channels: Iterable[str], now: datetime) -> list[Explanation]:
    """The verdicts of several channels; where one fact forbids them all, each says so."""
    policy = policy_of(snapshot, now)
    return [explain(snapshot, channel, now, policy) for channel in channels]


def summary(verdicts: Iterable[Explanation]) -> Explanation | None:
    """The kindest of several verdicts: a list asks whether there is any way at all. Of waits the soonest."""
    order = {"ok": 0, "wait": 1, "stop": 2}
    found = list(verdicts)
    if not found:
        return None
    return min(found, key=lambda v: (order[v.level], v.until.timestamp() if v.until else 0.0))
