"""The events of a simulation, loaded for its page: filtered, a page at a time, each message with its preview."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from campaigns.admin.columns import link
from campaigns.admin.simulation_words import KIND, channel_name, waits
from campaigns.engine.specs import published_texts
from campaigns.models import SimulationRun
from campaigns.simulator.pack import Packed
from campaigns.simulator.types import Event, Kind
from customers.display import badge, when
from customers.models import Customer

#: Lines of the table on one page.
PAGE = 50
_GROUPS: Sequence[tuple[str, Any, frozenset[str] | None]] = (
    ("", _("Everything"), None),
    ("contacts", _("Contacts"), frozenset({Kind.SENT, Kind.RECEIPT, Kind.TASK, Kind.ACTED})),
    ("held", _("Put off or not allowed"), frozenset({Kind.DEFERRED, Kind.BLOCKED, Kind.SKIPPED, Kind.SUPERSEDED})),
    ("charges", _("Charges and payments"), frozenset({Kind.RETRY, Kind.PAID})),
    (
        "cases",
        _("Cases"),
        frozenset({Kind.OPENED, Kind.JOINED, Kind.REANCHORED, Kind.RESTED, Kind.WOKEN, Kind.PROMISE_BROKEN})
        | {Kind.RECOVERED, Kind.CANCELLED, Kind.ENDED, Kind.STARTED},
    ),
)


def load_events(request: HttpRequest, run: SimulationRun, now: datetime) -> dict[str, Any]:
    """Context of the table of events, by the address's filters; decodes one page of them."""
    context: dict[str, Any] = {"run": run, "waits": waits(run)}
    if run.events is None:
        return context
    packed = Packed(run.events)
    names = [one["name"] for one in run.result["versions"]]
    asked = {name: request.GET.get(name, "") for name in ("kind", "life", "page", "of")}
    which = 1 if asked["of"] == "1" and len(names) > 1 else 0
    life = int(asked["life"]) if asked["life"].isdecimal() else None
    kinds = next((found for slug, _title, found in _GROUPS if slug == asked["kind"]), None)
    places = packed.places(which, life=life, kinds=kinds)
    pages = max(1, -(-len(places) // PAGE))
    page = min(max(1, int(asked["page"]) if asked["page"].isdecimal() else 1), pages)

    def url(**changed: Any) -> str:
        values = {"section": "events"} | asked | {"page": ""} | changed
        return "?" + urlencode({name: value for name, value in values.items() if value != ""})

    shown = [packed.event(place, which) for place in places[(page - 1) * PAGE : page * PAGE]]
    past = run.source == SimulationRun.Source.PAST
    previews = _previews(shown, packed, past)
    return context | {
        "events": [_line(event, packed, past, previews, url(life=event.life)) for event in shown],
        "total": len(places),
        "page": page,
        "pages": pages,
        "before": url(page=page - 1) if page > 1 else "",
        "after": url(page=page + 1) if page < pages else "",
        "groups": [(title, url(kind=slug), slug == asked["kind"]) for slug, title, _kinds in _GROUPS],
        "versions": [(name, url(of=number), number == which) for number, name in enumerate(names)],
        "life": packed.labels.get(life) if life is not None else None,
        "everybody": url(life=""),
        "currency": run.result["versions"][which]["figures"]["currency"],
    }


@dataclass(frozen=True, slots=True)
class Line:
    """One event as the table shows it."""

    event: Event
    at: Any
    zone: str
    who: SafeString
    only: str
    badge: SafeString
    channel: str
    why: str
    until: Any
    invoices: str
    cost: str
    preview: str


def _line(event: Event, packed: Packed, past: bool, previews: Mapping[tuple[int, str, int], str], only: str) -> Line:
    label = packed.labels[event.life]
    who = (
        link("customers_customer", packed.customers[event.life], label)
        if past
        else link("campaigns_case", event.life, label)
    )
    title, variant = KIND.get(event.kind, (event.kind, ""))
    numbers = [packed.numbers.get(pk, str(pk)) for pk in event.invoices]
    return Line(
        event=event,
        at=when(event.at, event.zone),
        zone=event.zone,
        who=who,
        only=only,
        badge=badge(title, variant),
        channel=channel_name(event.channel) if event.channel else "",
        why=event.reason,
        until=when(event.until, event.zone) if event.until else "",
        invoices=", ".join(numbers[:5]) + (" …" if len(numbers) > 5 else ""),
        cost=f"{event.cost / 1000:g}" if event.cost else "",
        preview=previews.get((event.template_id or 0, event.channel, event.life), ""),
    )


def _previews(events: Sequence[Event], packed: Packed, past: bool) -> dict[tuple[int, str, int], str]:
    """Where each message is shown rendered, by template, channel and life: with the facts of its case, in the
    customer's language. Two queries."""
    sent = [event for event in events if event.kind == Kind.SENT and event.template_id]
    if not sent:
        return {}
    texts = published_texts()
    customers = Customer.objects.filter(pk__in={packed.customers[event.life] for event in sent})
    languages = dict(customers.values_list("pk", "language"))
    found = {}
    for event in sent:
        text = texts.get(event.template_id or 0)
        channel = text.text_channel(event.channel) if text is not None else ""
        if text is None or not channel:
            continue
        language = text.language(channel, languages.get(packed.customers[event.life], ""))
        asked = {"section": "preview", "text": f"{channel}-{language}"} | ({} if past else {"case": event.life})
        page = reverse("admin:campaigns_templateversion_change", args=[text.version_id])
        found[event.template_id or 0, event.channel, event.life] = f"{page}?{urlencode(asked)}"
    return found
