"""Owns the verdict: may this customer be contacted on this channel now? Pure; only delays or forbids."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from campaigns.guard import zones
from campaigns.guard.holidays import is_holiday
from campaigns.guard.hours import Hours, is_open, next_open
from campaigns.guard.policy import ChannelRules, Policy
from campaigns.guard.types import Allowed, Blocked, Deferred, GuardSnapshot, Verdict
from campaigns.models.case import CaseState
from campaigns.models.message import MessagePurpose
from customers.addresses import normalise
from customers.models import Channel

_DAY, _WEEK, _MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=30)
#: Channels that write to an address; the others reach the customer without one.
ADDRESSED = frozenset({Channel.EMAIL, Channel.SMS, Channel.WHATSAPP, Channel.CALL, Channel.LETTER})
_STATES = frozenset(CaseState)
_ALLOWED = Allowed()
#: How soon to look again at rules a manager has to mend first.
_MENDING = timedelta(hours=1)
#: More than the rules there are: each may push the moment under another, and all only push it forward.
_ROUNDS = 50


# Translated only when told: the check runs for every case of a batch.
_ON_CHANNEL = {
    "daily_cap": gettext_noop("%(count)s contacts on this channel within a day are the most."),
    "weekly_cap": gettext_noop("%(count)s contacts on this channel within seven days are the most."),
    "monthly_cap": gettext_noop("%(count)s contacts on this channel within thirty days are the most."),
}
_IN_ALL = {
    "daily_cap": gettext_noop("%(count)s contacts within a day are the most."),
    "weekly_cap": gettext_noop("%(count)s contacts within seven days are the most."),
}


def policy_of(snapshot: GuardSnapshot, now: datetime) -> Policy:
    """The rules that hold for the snapshot's customer at `now` (aware UTC)."""
    return snapshot.book.policy_for(
        snapshot.country,
        now,
        snapshot.zone,
        kind=snapshot.kind,
        collector=snapshot.collector,
        brand_id=snapshot.brand_id,
    )


def check(snapshot: GuardSnapshot, channel: str, now: datetime, policy: Policy | None = None) -> Verdict:
    """Whether `channel` may be used towards the customer at `now` (aware UTC).

    A deferral's `until` is later than `now`, and the first moment at which, as things stand, no rule would defer any
    more. Without `policy` the one of the snapshot's book is taken.
    """
    policy = policy or policy_of(snapshot, now)
    rules = policy.rules(channel)
    blocked = next(_blocks(snapshot, channel, rules), None)
    if blocked is not None:
        return blocked
    if policy.unreadable:
        return Deferred(now + _MENDING, "policy.unreadable", policy.unreadable)
    until, first = now, None
    for _round in range(_ROUNDS):
        later = next(_delays(snapshot, channel, until, policy, rules), None)
        if later is None:
            break
        first = first or later
        until = later.until
    return _ALLOWED if first is None else Deferred(until, first.rule, _until(first.reason, until, snapshot.zone))


def _blocks(snapshot: GuardSnapshot, channel: str, rules: ChannelRules) -> Iterator[Blocked]:
    receipt = snapshot.purpose == MessagePurpose.RECEIPT
    if snapshot.deleted:
        yield Blocked("customer.deleted", _("The customer was deleted at the source."))
    if snapshot.do_not_contact:
        yield Blocked("customer.do_not_contact", _("The customer is marked «do not contact»."))
    if not receipt:
        yield from _exclusions(snapshot)
        yield from _case_states(snapshot)
    if channel in snapshot.closed:
        yield Blocked(
            "channel.not_configured",
            _("The channel is not set up here (%(missing)s).") % {"missing": snapshot.closed[channel]},
        )
    address = snapshot.addresses.get(channel, "")
    if channel in ADDRESSED:
        if not address:
            yield Blocked("address.missing", _("There is no address for this channel."))
            return
        if not snapshot.suppressed and rules.consent == "opt_out":
            return
        pair = (channel, normalise(channel, address, snapshot.country))
        if pair in snapshot.suppressed:
            yield Blocked(
                "address.suppressed",
                _("%(address)s may not be used: it bounced, complained or opted out.") % {"address": address},
            )
        if rules.consent == "opt_in" and pair not in snapshot.granted:
            yield Blocked(
                "consent.missing",
                _("%(address)s has not allowed this channel, and the rules ask for that.") % {"address": address},
            )


def _exclusions(snapshot: GuardSnapshot) -> Iterator[Blocked]:
    if snapshot.legal_hold:
        yield Blocked("customer.legal_hold", _("The customer is under a legal hold."))
    if snapshot.bankrupt:
        yield Blocked("customer.bankrupt", _("The customer is insolvent: claims go to the administrator."))
    if snapshot.no_dunning:
        yield Blocked("customer.no_dunning", _("The customer is excluded from dunning."))
    if snapshot.vulnerable:
        yield Blocked("customer.vulnerable", _("The customer is vulnerable: a person decides about each contact."))


def _case_states(snapshot: GuardSnapshot) -> Iterator[Blocked]:
    if not snapshot.owes:
        yield Blocked("balance.paid", _("Nothing is owed any more."))
    if snapshot.promised or snapshot.case_state == CaseState.PROMISED:
        yield Blocked("case.promised", _("A promise to pay stands."))
    if snapshot.in_plan or snapshot.case_state == CaseState.IN_PLAN:
        yield Blocked("case.in_plan", _("A payment plan is being kept."))
    if snapshot.disputed or snapshot.case_state == CaseState.DISPUTED:
        yield Blocked("case.disputed", _("The debt is disputed."))
    if snapshot.case_state == CaseState.PAUSED:
        yield Blocked("case.paused", _("The case is paused."))
    if snapshot.case_state == CaseState.AGENCY:
        yield Blocked("case.agency", _("An agency handles the case."))
    if snapshot.case_state not in _STATES:
        yield Blocked("case.unknown", _("The case is in no known state."))
    elif snapshot.case_state != CaseState.OPEN:
        yield Blocked("case.closed", _("The case is closed."))


def _delays(
    snapshot: GuardSnapshot, channel: str, at: datetime, policy: Policy, rules: ChannelRules
) -> Iterator[Deferred]:
    """What stands against contact at `at`, each with the moment from which it no longer would."""
    if snapshot.purpose != MessagePurpose.RECEIPT:
        if snapshot.talks:
            yield from _peace(snapshot, channel, at, policy, rules)
        if snapshot.contacts:
            yield from _gaps(snapshot, channel, at, rules)
            yield from _caps(snapshot, channel, at, policy, rules)
    yield from _closed_hours(snapshot, at, rules)


def _peace(
    snapshot: GuardSnapshot, channel: str, at: datetime, policy: Policy, rules: ChannelRules
) -> Iterator[Deferred]:
    """The quiet time after a conversation: for one channel after a call, for all after any."""
    calls = [talk.at for talk in snapshot.talks if talk.channel == Channel.CALL]
    if calls and rules.after_call_hours:
        until = max(calls) + timedelta(hours=rules.after_call_hours)
        if until > at:
            words = _("There was a conversation by telephone less than %(span)s ago.") % {
                "span": _span(rules.after_call_hours)
            }
            yield Deferred(until, f"after_call.{rules.policy}", words)
    general = policy.general
    if general.after_talk_hours and channel in ADDRESSED:
        until = max(talk.at for talk in snapshot.talks) + timedelta(hours=general.after_talk_hours)
        if until > at:
            words = _("There was a conversation with the customer less than %(span)s ago.") % {
                "span": _span(general.after_talk_hours)
            }
            yield Deferred(until, f"after_talk.{general.policy}", words)


def _span(hours: int) -> str:
    days, rest = divmod(hours, 24)
    return _("%(count)s days") % {"count": days} if days > 1 and not rest else _("%(count)s hours") % {"count": hours}


def _gaps(snapshot: GuardSnapshot, channel: str, at: datetime, rules: ChannelRules) -> Iterator[Deferred]:
    last = snapshot.last_contact_at
    if last is not None and snapshot.min_gap_hours:
        until = last + timedelta(hours=snapshot.min_gap_hours)
        if until > at:
            words = _("The last message was less than %(hours)s hours ago.") % {"hours": snapshot.min_gap_hours}
            yield Deferred(until, "min_gap.ladder", words)
    if rules.min_gap_hours:
        same = [contact.at for contact in snapshot.contacts if contact.channel == channel]
        until = max(same, default=at) + timedelta(hours=rules.min_gap_hours)
        if same and until > at:
            words = _("The last contact on this channel was less than %(hours)s hours ago.") % {
                "hours": rules.min_gap_hours
            }
            yield Deferred(until, f"min_gap.{rules.policy}", words)


def _caps(
    snapshot: GuardSnapshot, channel: str, at: datetime, policy: Policy, rules: ChannelRules
) -> Iterator[Deferred]:
    on_channel = [contact.at for contact in snapshot.contacts if contact.channel == channel]
    for name, most, window in (
        ("daily_cap", rules.per_day, _DAY),
        ("weekly_cap", rules.per_week, _WEEK),
        ("monthly_cap", rules.per_month, _MONTH),
    ):
        until = _room(on_channel, most, window, at)
        if until is not None:
            yield Deferred(until, f"{name}.{rules.policy}", _(_ON_CHANNEL[name]) % {"count": most})
    if channel not in ADDRESSED:
        return
    general = policy.general
    everywhere = [contact.at for contact in snapshot.contacts if contact.channel in ADDRESSED]
    for name, most, window in (("daily_cap", general.per_day, _DAY), ("weekly_cap", general.per_week, _WEEK)):
        until = _room(everywhere, most, window, at)
        if until is not None:
            yield Deferred(until, f"{name}.all.{general.policy}", _(_IN_ALL[name]) % {"count": most})


def _room(contacts: list[datetime], most: int, window: timedelta, at: datetime) -> datetime | None:
    """When one more fits into any span of that length; None: at once. Contacts still to be made count as made."""
    if not most or len(contacts) < most:
        return None
    recent = sorted((moment for moment in contacts if moment > at - window), reverse=True)
    return recent[most - 1] + window if len(recent) >= most else None


def _closed_hours(snapshot: GuardSnapshot, at: datetime, rules: ChannelRules) -> Iterator[Deferred]:
    if rules.hours is None:
        return
    names = _zones(snapshot, rules)
    if _is_open(at, rules.hours, snapshot.country, names):
        return
    where = [zones.zone(name) for name in names]
    until = next_open(at, rules.hours, snapshot.country, where)
    local = at.astimezone(where[0])
    spans = ", ".join(str(span) for span in rules.hours.spans(local.date(), snapshot.country))
    if spans:
        words = _("Quiet hours: contact only %(hours)s local time.") % {"hours": spans}
        yield Deferred(until, f"quiet_hours.{rules.policy}", words)
    elif rules.hours.holiday is not None and is_holiday(local.date(), snapshot.country):
        yield Deferred(until, f"public_holiday.{rules.policy}", _("Today is a public holiday there."))
    else:
        yield Deferred(until, f"day_of_rest.{rules.policy}", _("There is no contact on this day of the week."))


@lru_cache(maxsize=4096)
def _is_open(at: datetime, hours: Hours, country: str, names: tuple[str, ...]) -> bool:
    # At one moment the answer is the same for everybody in a zone: a batch asks it once.
    return is_open(at, hours, country, [zones.zone(name) for name in names])


def _zones(snapshot: GuardSnapshot, rules: ChannelRules) -> tuple[str, ...]:
    if snapshot.zone_is_guess and rules.in_every_zone:
        return (snapshot.zone, *(name for name in zones.zones_of(snapshot.country) if name != snapshot.zone))
    return (snapshot.zone,)


def _until(words: str, until: datetime, zone: str) -> str:
    local = until.astimezone(zones.zone(zone))
    return _("%(reason)s Waits until %(moment)s (%(zone)s).") % {
        "reason": words,
        "moment": f"{local:%Y-%m-%d %H:%M}",
        "zone": zone,
    }
