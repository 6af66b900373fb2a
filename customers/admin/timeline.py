"""The communication log as people read it: newest first, by key, with an icon and colour per kind."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from customers.models import Interaction

PAGE = 50

#: First part of a kind's dotted code → icon.
ICONS = {
    "attempt": "credit_card",
    "call": "call",
    "case": "folder_open",
    "command": "outbox",
    "consent": "how_to_reg",
    "contact": "contact_mail",
    "customer": "person",
    "delivery": "mark_email_read",
    "dispute": "gavel",
    "invoice": "receipt_long",
    "message": "mail",
    "note": "sticky_note_2",
    "payment": "payments",
    "payment_method": "credit_card_gear",
    "plan": "calendar_month",
    "portal": "public",
    "promise": "handshake",
    "retry": "event_repeat",
    "step": "stairs",
    "subscription": "autorenew",
    "suppression": "block",
    "task": "task_alt",
}
_GOOD = re.compile(r"succeeded|paid|recovered|kept|delivered|done|won|completed|attached|reactivated")
_BAD = re.compile(r"declined|failed|bounced|complained|broken|lost|cancel|exhausted|blocked|conflict|uncollectible")
_LIVELY = re.compile(r"sent|opened|clicked|visited|note|promise|portal")

#: What the filter above a timeline offers: title, and first parts of kinds.
GROUPS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "messages": (_("Messages"), ("message", "delivery", "suppression", "reply", "consent")),
    "money": (_("Invoices and payments"), ("invoice", "payment", "attempt", "retry", "payment_method")),
    "case": (_("Cases and steps"), ("case", "step", "task", "command")),
    "arrangements": (_("Promises and disputes"), ("promise", "plan", "dispute")),
    "people": (_("Notes and portal"), ("note", "call", "portal", "contact", "customer")),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One entry with what it takes to show it."""

    entry: Interaction
    icon: str
    tone: str
    url: str


@lru_cache(maxsize=64)
def _route(name: str) -> str | None:
    alias = {"attempt": "paymentattempt", "plan": "paymentplan", "command": "processorcommand"}.get(name, name)
    alias = alias.replace("_", "")
    for model in admin.site._registry:
        if model._meta.model_name == alias and model._meta.app_label in {
            "customers",
            "billing",
            "campaigns",
            "portal",
        }:
            return f"admin:{model._meta.app_label}_{alias}_change"
    return None


def subject_url(subject: str, *, link: bool = False) -> str:
    """Address of the page of what an entry is about (`invoice:12`); empty for none. `link` makes it an anchor."""
    name, _colon, key = subject.partition(":")
    route = _route(name) if key else None
    if route is None:
        return subject if link else ""
    try:
        url = reverse(route, args=[key])
    except NoReverseMatch:
        return subject if link else ""
    return format_html('<a class="sol-link" href="{}">{}</a>', url, subject) if link else url


def tone(entry: Interaction) -> str:
    """Colour of an entry by the last word of its kind: success, danger, info or none."""
    words = f"{entry.kind.partition('.')[2]} {entry.outcome}"
    if _BAD.search(words):
        return "danger"
    if _GOOD.search(words):
        return "success"
    return "info" if _LIVELY.search(entry.kind) else ""


def lines(entries: Sequence[Interaction]) -> list[Line]:
    return [
        Line(entry=e, icon=ICONS.get(e.kind.partition(".")[0], "circle"), tone=tone(e), url=subject_url(e.subject))
        for e in entries
    ]


def _older_than(rows: QuerySet[Interaction], cursor: str) -> QuerySet[Interaction]:
    stamp, _comma, key = cursor.rpartition(",")
    try:
        at = parse_datetime(stamp)
    except ValueError:
        at = None
    if at is None or not key.isdecimal():
        return rows
    return rows.filter(at__lte=at).exclude(Q(at=at, pk__gte=int(key)))


def load_timeline(request: HttpRequest, rows: QuerySet[Interaction], now: datetime) -> dict[str, Any]:
    """Context of admin/page/timeline.html: one page of `rows` in the order of their index.

    `?kind=` names a group of GROUPS; `?before=<at>,<id>` starts after that entry, so that the ten-thousandth
    page costs what the first does.
    """
    chosen = request.GET.get("kind", "")
    if chosen in GROUPS:
        wanted = Q()
        for part in GROUPS[chosen][1]:
            wanted |= Q(kind__startswith=f"{part}.")
        rows = rows.filter(wanted)
    if cursor := request.GET.get("before"):
        rows = _older_than(rows, cursor)
    page = list(rows.select_related("actor").order_by("-at", "-id")[: PAGE + 1])
    more = ""
    if len(page) > PAGE:
        last = page[PAGE - 1]
        query = {"section": request.GET.get("section", "timeline"), "before": f"{last.at.isoformat()},{last.pk}"}
        more = "?" + urlencode(query | ({"kind": chosen} if chosen else {}))
    return {
        "timeline": lines(page[:PAGE]),
        "timeline_more": more,
        "timeline_kind": chosen,
        "timeline_groups": [(slug, title) for slug, (title, _parts) in GROUPS.items()],
        "timeline_started": bool(cursor),
    }
