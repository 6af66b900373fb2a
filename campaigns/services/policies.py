"""Owns what managers do with contact rules of their own: putting them in force, taking them back."""

from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from campaigns.guard.book import SHIPPED, Override, PolicyBook
from campaigns.guard.overrides import read
from campaigns.guard.policy import GENERAL_RULES, RULES, ChannelRules, General, Policy, shipped, version
from campaigns.guard.words import CHANNELS, raw_channel, raw_general
from campaigns.models import Case, CaseState, Message, MessageStatus, PolicyOverride, StepRun
from campaigns.models.case import Decision
from customers.errors import SollecitoError
from customers.wake import wake

#: Rules of the guard that come from a policy, as a regular expression of PostgreSQL's; `min_gap.ladder` does not.
_OF_POLICIES = (
    r"^(quiet_hours|day_of_rest|public_holiday|min_gap|daily_cap|weekly_cap|monthly_cap|after_call|after_talk"
    r"|consent|policy)\.(?!ladder$)"
)
#: What a row of rules is written for.
EVERYBODY, BUSINESS = "all", "business"


def rules_without(row_id: int | None, *, code: str, brand_id: int | None, day: date, audience: str) -> Policy:
    """The rules that hold for a policy on `day` without the row of that id: what it is compared with."""
    rows = PolicyOverride.objects.filter(withdrawn_at=None).exclude(pk=row_id or 0)
    book = PolicyBook(shipped(), [read(row) for row in rows])
    return book.resolve(code, day, _kind(audience), brand_id or 0)


def rules_with(row: PolicyOverride) -> Policy:
    """The rules that hold from the row's day on, the row counted in, withdrawn or not."""
    rows = PolicyOverride.objects.filter(withdrawn_at=None).exclude(pk=row.pk)
    book = PolicyBook(shipped(), [*(read(other) for other in rows), read(row)])
    return book.resolve(row.code, row.valid_from, _kind(audience_of(row.rules)), row.brand_id or 0)


def rules_shipped(row: PolicyOverride) -> Policy:
    """The rules as shipped, for the row's policy on its day."""
    return SHIPPED.resolve(row.code, row.valid_from, _kind(audience_of(row.rules)))


def _kind(audience: str) -> str:
    return "business" if audience == BUSINESS else "consumer"


def audience_of(rules: dict[str, Any]) -> str:
    """Whom a row's rules are for."""
    return BUSINESS if rules.get("business") else EVERYBODY


def rules_of(*, before: Policy, channels: dict[str, ChannelRules], general: General, audience: str) -> dict[str, Any]:
    """What a row has to hold so that `channels` and `general` hold instead of `before`: only what differs.

    Rules left as they were keep their sources. Raises SollecitoError where a rule was changed but still claims to rest
    on what the old one rested on.
    """
    found: dict[str, Any] = {}
    for channel in CHANNELS:
        old, new = before.rules(channel), channels[channel]
        changed = [name for name in RULES if _value(old, name) != _value(new, name)]
        if not changed:
            continue
        if new.source == old.source and old.basis != "house":
            raise SollecitoError(
                _("%(channel)s: say what your own rule rests on; the shipped source speaks of another.")
                % {"channel": channel.label},
                code="policy_source",
            )
        kept = [name for name in RULES if name not in changed and _value(old, name) not in _NOTHING]
        grounds = {name: old.ground(name) for name in kept}
        because = {name: {"basis": g.basis, "source": g.source} for name, g in grounds.items() if g.source}
        found.setdefault("channels", {})[channel.value] = raw_channel(new) | {"because": because}
    if any(getattr(before.general, name) != getattr(general, name) for name in GENERAL_RULES):
        if general.source == before.general.source and before.general.basis != "house":
            raise SollecitoError(_("All channels: say what your own rule rests on."), code="policy_source")
        found["all"] = raw_general(general)
    if not found:
        raise SollecitoError(_("Nothing differs from the rules in force."), code="policy_same")
    return {"business": found} if audience == BUSINESS else found


_NOTHING: tuple[Any, ...] = (0, False, (), None, "opt_out")


def _value(rules: ChannelRules, name: str) -> Any:
    if name != "open":
        return getattr(rules, name)
    hours = rules.hours
    return hours and (hours.weekdays, hours.saturday, hours.sunday, hours.holiday)


def policy_check(*, code: str, rules: dict[str, Any], valid_from: date) -> Override:
    """Reads rules as the guard will. Raises SollecitoError saying what is wrong with them."""
    try:
        return Override(0, version(code, rules, valid_from, own=True), code, valid_from)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SollecitoError(str(error), code="guard_policy_wrong") from error


def policy_withdraw(*, override_id: int, now: datetime) -> PolicyOverride:
    """Takes own rules out of force from this moment (aware UTC); what held before them holds again at the next batch.

    Who did it stands in the history. Raises SollecitoError if they are not in force.
    """
    with transaction.atomic():
        row = PolicyOverride.objects.select_for_update().filter(pk=override_id, withdrawn_at=None).first()
        if row is None:
            raise SollecitoError(_("These rules are not in force."), code="not_in_force")
        row.withdrawn_at = now
        row.save(update_fields=["withdrawn_at", "changed_at"])
        waiting_wake(now)
    return row


def policy_save(*, row: PolicyOverride, now: datetime) -> PolicyOverride:
    """Puts rules a manager wrote (checked by `policy_check`) in force, and has all who wait looked at under them."""
    with transaction.atomic():
        row.save()
        waiting_wake(now)
    return row


def waiting_wake(now: datetime) -> int:
    """Has cases and messages that contact rules put off looked at again at `now` (aware UTC), in the caller's
    transaction; returns how many. What the rules still put off goes on waiting, and the log is not told again."""
    by_rules = StepRun.objects.filter(
        case_id=OuterRef("pk"),
        round=OuterRef("round"),
        decision__in=(Decision.DEFERRED, Decision.BLOCKED),
        rule__regex=_OF_POLICIES,
    )
    woken = Case.objects.filter(Exists(by_rules), state=CaseState.OPEN, next_action_at__gt=now).update(
        next_action_at=now
    )
    freed = Message.objects.filter(status=MessageStatus.QUEUED, send_at__gt=now, rule__regex=_OF_POLICIES).update(
        send_at=now
    )
    if woken:
        wake("campaigns.tasks.escalate_due")
    if freed:
        wake("campaigns.tasks.deliver_due")
    return woken + freed
