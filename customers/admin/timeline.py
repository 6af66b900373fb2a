"""The communication log as people read it: newest first, by key, with an icon and colour per kind."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
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

from customers.kinds import KINDS, label
from customers.models import Interaction

PAGE = 50
#: Characters of a search that are looked for; more is no word of a log.
LONGEST_SEARCH = 100

#: First part of a kind's dotted code → icon.
ICONS = {
    "agency": "apartment",
    "approval": "approval",
    "attempt": "credit_card",
    "call": "call",
    "case": "folder_open",
    "command": "outbox",
    "consent": "how_to_reg",
    "contact": "contact_mail",
    "customer": "person",
    "delivery": "mark_email_read",
    "dispute": "gavel",
    "fee": "percent",
    "file": "attach_file",
    "invoice": "receipt_long",
    "letter": "local_post_office",
    "limit": "policy_alert",
    "log": "verified",
    "message": "mail",
    "note": "sticky_note_2",
    "payment": "payments",
    "payment_method": "credit_card_gear",
    "plan": "calendar_month",
    "portal": "public",
    "promise": "handshake",
    "reply": "reply",
    "retries": "event_repeat",
    "retry": "event_repeat",
    "service": "power_settings_new",
    "step": "stairs",
    "subscription": "autorenew",
    "suppression": "block",
    "task": "task_alt",
    "work": "checklist",
}
_GOOD = re.compile(r"succeeded|paid|recovered|kept|delivered|done|won|completed|attached|reactivated")
_BAD = re.compile(r"declined|failed|bounced|complained|broken|lost|cancel|exhausted|blocked|conflict|uncollectible")
_LIVELY = re.compile(r"sent|opened|clicked|visited|note|promise|portal")

#: What the filter above a timeline offers: title, and first parts of kinds.
GROUPS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "messages": (_("Messages"), ("message", "letter", "delivery", "notice", "suppression", "reply")),
    "calls": (_("Calls"), ("call",)),
    "money": (
        _("Invoices and payments"),
        ("invoice", "payment", "attempt", "retry", "retries", "payment_method", "fee", "subscription", "limit"),
    ),
    "case": (_("Cases and steps"), ("case", "step", "task", "command", "service", "approval", "agency", "work")),
    "arrangements": (_("Promises and disputes"), ("promise", "plan", "dispute")),
    "notes": (_("Notes and files"), ("note", "file")),
    "portal": (_("Payment page"), ("portal",)),
    "people": (_("Customer and consent"), ("customer", "contact", "consent", "log")),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One entry with what it takes to show it."""

    entry: Interaction
    icon: str
    tone: str
    url: str
    words: str
    detail: "Detail | None" = None


@dataclass(frozen=True, slots=True)
class Detail:
    """What the app a line is about shows beside it: a badge, a note, and the address of a page whose element
    `.sol-part` is opened below the line when somebody asks for it."""

    badge: str = ""
    note: str = ""
    url: str = ""


DetailLoader = Callable[[HttpRequest, Collection[int]], Mapping[int, Detail]]
_details: dict[str, DetailLoader] = {}


def add_detail(subject: str, load: DetailLoader) -> None:
    """Has lines about `subject` (`message` of `message:12`) show what `load` says of the ids on a page, in a constant
    number of queries."""
    _details[subject] = load


#: The line whose text is opened; later lines about the same row tell what became of it.
_OPENS = frozenset({"message.sent", "message.to_print", "message.ambiguous"})


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


def lines(request: HttpRequest, entries: Sequence[Interaction]) -> list[Line]:
    """The entries with what it takes to show them; one query more for each app that has details."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for entry in entries:
        name, _colon, key = entry.subject.partition(":")
        if name in _details and key.isdecimal() and entry.kind in _OPENS:
            wanted[name].add(int(key))
    found = {
        f"{name}:{pk}": detail for name, ids in wanted.items() for pk, detail in _details[name](request, ids).items()
    }
    return [
        Line(
            entry=e,
            icon=ICONS.get(e.kind.partition(".")[0], "circle"),
            tone=tone(e),
            url=subject_url(e.subject),
            words=label(e.kind),
            detail=found.get(e.subject) if e.kind in _OPENS else None,
        )
        for e in entries
    ]


def narrowed(rows: QuerySet[Interaction], *, kind: str = "", words: str = "") -> QuerySet[Interaction]:
    """The entries of one kind (a group of GROUPS or a code) in which `words` stand."""
    if kind in GROUPS:
        wanted = Q()
        for part in GROUPS[kind][1]:
            wanted |= Q(kind__startswith=f"{part}.")
        rows = rows.filter(wanted)
    elif kind in KINDS:
        rows = rows.filter(kind=kind)
    for word in words[:LONGEST_SEARCH].split():
        rows = rows.filter(Q(summary__icontains=word) | Q(body__icontains=word))
    return rows


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

    `?kind=` names a group of GROUPS or a code of KINDS, `?find=` words to look for; `?before=<at>,<id>` starts after
    that entry, so that the ten-thousandth page costs what the first does.
    """
    kind, words = request.GET.get("kind", ""), request.GET.get("find", "").strip()
    rows = narrowed(rows, kind=kind, words=words)
    if cursor := request.GET.get("before"):
        rows = _older_than(rows, cursor)
    page = list(rows.select_related("actor").order_by("-at", "-id")[: PAGE + 1])
    chosen = {name: value for name, value in (("kind", kind), ("find", words)) if value}
    tab = request.GET.get("tab") or request.GET.get("section") or "timeline"
    more = ""
    if len(page) > PAGE:
        last = page[PAGE - 1]
        more = "?" + urlencode({"tab": tab, "before": f"{last.at.isoformat()},{last.pk}"} | chosen)
    return {
        "timeline": lines(request, page[:PAGE]),
        "timeline_more": more,
        "timeline_kind": kind,
        "timeline_find": words,
        "timeline_groups": [(slug, title) for slug, (title, _parts) in GROUPS.items()],
        "timeline_kinds": sorted(((code, str(words)) for code, words in KINDS.items()), key=lambda pair: pair[1]),
        "timeline_chosen": bool(chosen),
        "timeline_started": bool(cursor),
    }
