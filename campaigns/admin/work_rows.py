"""A row of the worklist as people read it: what to do, why, may one call now, what is owed since when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html, format_html_join, strip_tags
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from billing import money
from billing.admin.columns import ageing_bar
from campaigns.guard.zones import zone
from campaigns.models import WorkAction, WorkItem
from campaigns.worklist.types import BANDS
from campaigns.worklist.windows import by_hours
from campaigns.worklist.words import BANDS as BAND_WORDS
from campaigns.worklist.words import FLAGS, REASONS, RESTS, day_words, rule_words, say
from customers.admin.customer import CustomerAdmin
from customers.display import ago, badge, when
from customers.models import CallOutcome

ICONS = {
    WorkAction.ANSWER: "reply",
    WorkAction.CALL: "call",
    WorkAction.WRITE: "edit",
    WorkAction.FIND: "person_search",
    WorkAction.DECIDE: "rule",
}
_TOUCHES: dict[str, Any] = {
    "call.logged": _lazy("Call"),
    "message.sent": _lazy("Message"),
    "note.added": _lazy("Note"),
    "portal.paid": _lazy("Paid in the portal"),
    "portal.visited": _lazy("Visited the portal"),
    "promise.broken": _lazy("Promise broken"),
    "promise.made": _lazy("Promise made"),
    "reply.received": _lazy("They wrote"),
    "task.done": _lazy("Task done"),
}


@dataclass(frozen=True, slots=True)
class WorkRow:
    """What the template shows of an item; texts are in the reader's language."""

    item: WorkItem
    icon: str
    action: str
    why: list[str]
    flags: SafeString
    call: SafeString
    local: str
    owed: list[str]
    ageing: SafeString
    reason: str
    touch: str
    rest: str
    url: str
    call_url: str
    write_url: str
    #: A call now is what the guard allows: its button is the one to press.
    call_now: bool


def work_row(item: WorkItem, now: datetime, back: str) -> WorkRow:
    """The row of an item at `now` (aware UTC); acts started from it lead back to `back`. Asks the database nothing
    beyond what the item was read with."""
    rest = ""
    if item.rest and (item.due_at is None or item.due_at > now):
        rest = str(RESTS.get(item.rest, item.rest))
    return WorkRow(
        item=item,
        icon=ICONS.get(WorkAction(item.action), "bolt"),
        action=item.get_action_display(),
        why=say(item.reasons, item.zone),
        flags=_flags(item),
        call=call_badge(item, now),
        local=f"{now.astimezone(zone(item.zone)):%H:%M}",
        owed=[money.shown(amount, currency) for currency, amount in item.balances.items()],
        ageing=ageing(item),
        reason=str(REASONS.get(item.reason, item.reason)) if item.balances else "",
        touch=_touch(item, now),
        rest=rest,
        url=reverse("admin:campaigns_workitem_change", args=[item.pk]) + f"?{urlencode({'next': back})}",
        call_url=act_url(item.pk, "call", back) if item.action == WorkAction.CALL else "",
        write_url=act_url(item.pk, "write", back) if item.action == WorkAction.WRITE else "",
        call_now=item.call_from is not None
        and item.call_until is not None
        and item.call_from <= now < item.call_until,
    )


def act_url(customer_id: int, slug: str, back: str) -> str:
    """Where an act of the customer page is asked for, leading back to `back` with the customer named, so that the list
    shows at once what came of it; empty where the page has no such act."""
    if not any(action.slug == slug for action in CustomerAdmin.page_actions):
        return ""
    target = reverse("admin:customers_customer_do", args=[customer_id, slug])
    return f"{target}?{urlencode({'next': touched(back, customer_id)})}"


def touched(back: str, customer_id: int) -> str:
    """The path with the customer named whose row is to be ranked anew on arrival."""
    return f"{back}{'&' if '?' in back else '?'}touched={customer_id}"


def call_badge(item: WorkItem, now: datetime) -> SafeString:
    """The guard's verdict on a call now, as it was drawn out when the row was ranked."""
    start, end = item.call_from, item.call_until
    if start is None or end is None:
        return badge(_("Do not call"), "danger") + _sub(rule_words(item.call_rule)) if item.call_rule else badge("–")
    if start <= now < end:
        return badge(_("Call now"), "success") + _sub(_("until %(at)s") % {"at": day_words(end, now, item.zone)})
    if now >= end:
        return badge(_("Later"), "warning") + _sub(_("closed for today"))
    words = _("from %(at)s") % {"at": day_words(start, now, item.zone)}
    kind = "warning" if by_hours(item.call_rule) else "danger"
    return badge(_("Later"), kind) + _sub(f"{words}: {rule_words(item.call_rule)}")


def ageing(item: WorkItem) -> SafeString:
    """How old what is owed is, in parts of the largest balance."""
    return ageing_bar(item.currency, [BAND_WORDS[first] for first in BANDS], item.ageing)


def _flags(item: WorkItem) -> SafeString:
    known = [FLAGS[code] for code, _data in item.flags if code in FLAGS]
    return format_html_join(" ", "{}", ((badge(words, variant),) for words, variant in known))


def _touch(item: WorkItem, now: datetime) -> str:
    if item.touched_at is None:
        return "–"
    kind, _blank, outcome = item.touched.partition(" ")
    words = str(_TOUCHES.get(kind, kind))
    if outcome in CallOutcome.values:
        words = f"{words}: {CallOutcome(outcome).label}"
    when_words = _("%(span)s ago") % {"span": ago((now - item.touched_at).total_seconds())}
    title = when(item.touched_at, item.zone)
    return format_html("{}{}", words, _sub(format_html("<span title='{}'>{}</span>", strip_tags(title), when_words)))


def _sub(words: Any) -> SafeString:
    return format_html('<span class="sol-sub">{}</span>', words)
