"""Simulations: asked for on a ladder's page, watched while they run, read as totals, calendar and events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
)

from billing import money
from campaigns.admin.columns import link
from campaigns.admin.ladder_versions import LadderVersionAdmin
from campaigns.admin.ladders import LadderAdmin
from campaigns.engine.specs import published_texts
from campaigns.models import Ladder, LadderVersion, SimulationRun
from campaigns.services.simulations import MOST_CASES, MOST_DAYS, simulation_start
from campaigns.simulator.pack import Packed
from campaigns.simulator.types import Event, Kind
from customers.admin.base import ReadOnlyAdmin
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section
from customers.display import badge, choice_badge, when
from customers.models import Channel, Customer

STATUS = {"queued": "info", "running": "primary", "done": "success", "failed": "danger"}
#: Lines of the table of events on one page.
PAGE = 50
_WAITS = frozenset({SimulationRun.Status.QUEUED, SimulationRun.Status.RUNNING})
_KIND: Mapping[str, tuple[Any, str]] = {
    Kind.OPENED: (_("Case opens"), "info"),
    Kind.JOINED: (_("Invoice joins"), ""),
    Kind.REANCHORED: (_("Counts anew"), ""),
    Kind.RESTED: (_("Rests"), "primary"),
    Kind.WOKEN: (_("Goes on"), ""),
    Kind.SENT: (_("Message"), "success"),
    Kind.RECEIPT: (_("Thank-you"), "success"),
    Kind.TASK: (_("Task for staff"), "info"),
    Kind.ACTED: (_("Action"), "info"),
    Kind.STARTED: (_("Other ladder"), "info"),
    Kind.DEFERRED: (_("Put off"), "warning"),
    Kind.BLOCKED: (_("Not allowed"), "danger"),
    Kind.SKIPPED: (_("Skipped"), ""),
    Kind.SUPERSEDED: (_("Left out"), ""),
    Kind.RETRY: (_("Charge"), "primary"),
    Kind.PAID: (_("Paid"), "success"),
    Kind.PROMISE_BROKEN: (_("Promise broken"), "danger"),
    Kind.RECOVERED: (_("Recovered"), "success"),
    Kind.CANCELLED: (_("Closed"), ""),
    Kind.ENDED: (_("Ladder ends"), "danger"),
}
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


class SimulateForm(forms.Form):
    """Which version, on whom, how far; `initial` brings the ladder whose versions can be chosen."""

    version = forms.ChoiceField(label=_("Version"), widget=UnfoldAdminSelectWidget)
    other = forms.ChoiceField(
        label=_("Compare with"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("A second version of this ladder, played on the same cases."),
    )
    source = forms.ChoiceField(
        label=_("Play on"),
        choices=SimulationRun.Source.choices,
        initial=SimulationRun.Source.OPEN_CASES,
        widget=UnfoldAdminSelectWidget,
    )
    cases = forms.IntegerField(
        label=_("At most so many cases"),
        initial=200,
        min_value=1,
        max_value=MOST_CASES,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("Spread evenly over all open ones; of a past period, so many customers."),
    )
    customer = forms.ModelChoiceField(
        label=_("Customer"),
        queryset=Customer.objects.all(),
        required=False,
        widget=AutocompleteSelect(SimulationRun._meta.get_field("customer"), admin.site),
        help_text=_("For one customer only."),
    )
    since = forms.DateField(
        label=_("Past period from"),
        required=False,
        widget=UnfoldAdminSingleDateWidget,
        help_text=_("Debts that began on these days are played with the days on which they were really paid."),
    )
    upto = forms.DateField(label=_("to"), required=False, widget=UnfoldAdminSingleDateWidget)
    days = forms.IntegerField(
        label=_("Days ahead"),
        initial=60,
        min_value=1,
        max_value=MOST_DAYS,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("From now, or after the end of the past period."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        versions = LadderVersion.objects.filter(ladder=self.initial.get("ladder")).order_by("-number")[:20]
        choices = [(row.pk, f"v{row.number} · {row.get_status_display()}") for row in versions]
        self.fields["version"].choices = choices  # type: ignore[attr-defined]
        self.fields["other"].choices = [("", "–"), *choices]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("source") == SimulationRun.Source.CUSTOMER and not data.get("customer"):
            self.add_error("customer", _now("Name the customer."))
        if data.get("source") == SimulationRun.Source.PAST:
            for name in ("since", "upto"):
                if not data.get(name) and name not in self.errors:
                    self.add_error(name, _now("A past period needs its first and last day."))
        return data


def _simulate(asked: Asked) -> HttpResponseRedirect:
    data = asked.data
    run = simulation_start(
        version_id=int(data["version"]),
        other_version_id=int(data["other"]) if data["other"] else None,
        source=data["source"],
        cases=data["cases"],
        customer_id=data["customer"].pk if data["customer"] else None,
        since=data["since"],
        upto=data["upto"],
        days=data["days"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return HttpResponseRedirect(reverse("admin:campaigns_simulationrun_change", args=[run.pk]))


def _initial(ladder: Ladder, now: datetime) -> dict[str, Any]:
    live = ladder.versions.filter(status="published").values_list("pk", flat=True).first()
    return {"ladder": ladder.pk, "version": live}


def _action(initial: Any) -> PageAction:
    return PageAction(
        slug="simulate",
        label=_("Simulate"),
        icon="event_upcoming",
        permission="campaigns.add_simulationrun",
        question=_("Plays the ladder on a calendar. Nothing is sent, nothing is charged, nothing is changed."),
        form=SimulateForm,
        initial=initial,
        run=_simulate,
        order=50,
    )


LadderAdmin.add_action(_action(_initial))
LadderVersionAdmin.add_action(_action(lambda row, now: {"ladder": row.ladder_id, "version": row.pk}))


# --- the result


@dataclass(frozen=True, slots=True)
class Row:
    """A line of totals: one value per version."""

    label: Any
    values: list[Any]
    #: The versions differ.
    apart: bool


def _rows(told: Sequence[Mapping[str, Any]]) -> list[Row]:
    def row(label: Any, values: list[Any]) -> Row:
        return Row(label, values, len(set(map(str, values))) > 1)

    wanted = (
        ("lives", _("Cases played")),
        ("reminders", _("Messages that ask for payment")),
        ("invoices_reminded", _("Invoices they name")),
        ("reminders_paid_soon", _("… followed by a payment within three days")),
        ("tasks", _("Tasks for staff")),
        ("retries", _("Charges")),
        ("deferrals", _("Times a step was put off")),
        ("blocked", _("Cases in which a step was not allowed")),
        ("receipts", _("Thank-yous")),
        ("recovered", _("Cases recovered")),
        ("ended", _("Cases whose ladder ended unpaid")),
    )
    rows = [row(label, [one["figures"][name] for one in told]) for name, label in wanted]
    costs = [_money(one["figures"]["cost"], one["figures"]["currency"]) for one in told]
    return [*rows, row(_("Cost of the messages"), costs)]


def _money(amount: int, currency: str) -> str:
    return money.display(amount, currency, get_language() or "en") if currency else "–"


def _table(told: Sequence[Mapping[str, Any]], name: str, label: Any = str) -> list[Row]:
    """Rows of a mapping each version has, over all its keys."""
    keys = sorted({key for one in told for key in one["figures"][name]})
    return [
        Row(label(key), values, len(set(values)) > 1)
        for key in keys
        for values in [[one["figures"][name].get(key, 0) for one in told]]
    ]


def _result(request: HttpRequest, run: SimulationRun, now: datetime) -> dict[str, Any]:
    told = run.result.get("versions", [])
    context: dict[str, Any] = {"run": run, "waits": run.status in _WAITS, "told": told}
    if not told:
        return context
    rules = {rule: words for one in told for rule, words in one["figures"]["rule_words"].items()}
    costs = {channel for one in told for channel in one["figures"]["cost_by_channel"]}
    return context | {
        "empty": all(one["figures"]["lives"] == 0 for one in told),
        "names": [one["name"] for one in told],
        "rows": _rows(told),
        "channels": _table(told, "by_channel", _channel),
        "costs": [
            (
                _channel(channel),
                [_money(o["figures"]["cost_by_channel"].get(channel, 0), o["figures"]["currency"]) for o in told],
            )
            for channel in sorted(costs)
        ],
        "steps": [(one["name"], one["figures"]["steps"]) for one in told],
        "rules": [(row, rules.get(row.label, "")) for row in _table(told, "by_rule")],
        "days_from_due": _histogram(told),
        "comparison": _comparison(run.result.get("comparison")),
    }


def _comparison(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if told is None:
        return None
    shown = [(line["life"], line["label"], [_first(line["first"]), _first(line["second"])]) for line in told["shown"]]
    return {"same": told["same"], "different": told["different"], "shown": shown}


def _first(event: Mapping[str, str] | None) -> SafeString:
    """What happens first in one version and not in the other."""
    if event is None:
        return format_html('<span class="sol-muted">{}</span>', _now("nothing more"))
    title, variant = _KIND.get(event["kind"], (event["kind"], ""))
    words = " · ".join(w for w in (event["name"], _channel(event["channel"]), event["rule"]) if w)
    return format_html('{} {}<span class="sol-sub">{}</span>', event["at"], badge(title, variant), words)


def _histogram(told: Sequence[Mapping[str, Any]]) -> list[tuple[int, list[tuple[int, int]]]]:
    """Per day from the due day and version: the messages, and the length of their bar in percent."""
    days = sorted({int(day) for one in told for day in one["figures"]["by_days_from_due"]})
    most = max((n for one in told for n in one["figures"]["by_days_from_due"].values()), default=1)
    counts = [one["figures"]["by_days_from_due"] for one in told]
    return [(day, [(c.get(str(day), 0), round(100 * c.get(str(day), 0) / most)) for c in counts]) for day in days]


def _channel(name: str) -> str:
    extra = {"receipt": _now("thank-you"), "task": _now("task"), "retry": _now("charge")}
    return extra.get(name) or (str(Channel(name).label) if name in Channel.values else name)


@dataclass(frozen=True, slots=True)
class Day:
    """One cell of the calendar: what happens that day, by version, and how much of it beside the busiest day."""

    day: date
    counts: list[list[tuple[str, int]]]
    share: int
    inside: bool

    @property
    def busy(self) -> bool:
        """Something happens, in one version at least."""
        return any(self.counts)


def _calendar(request: HttpRequest, run: SimulationRun, now: datetime) -> dict[str, Any]:
    told = run.result.get("versions", [])
    per_day = [one["figures"]["per_day"] for one in told]
    days = sorted({date.fromisoformat(day) for one in per_day for day in one})
    context: dict[str, Any] = {"run": run, "waits": run.status in _WAITS, "names": [one["name"] for one in told]}
    if not days:
        return context
    busiest = max(_contacts(one[day]) for one in per_day for day in one) or 1
    return context | {"months": list(_months(days, per_day, busiest)), "compared": len(told) > 1}


def _contacts(counts: Mapping[str, int]) -> int:
    return sum(number for name, number in counts.items() if name != Kind.RETRY)


def _months(
    days: Sequence[date], per_day: Sequence[Mapping[str, Mapping[str, int]]], busiest: int
) -> Iterator[tuple[str, list[list[Day]]]]:
    """Months with a week per row, from the first day on which something happens to the last."""
    month = days[0].replace(day=1)
    while month <= days[-1]:
        following = (month + timedelta(days=32)).replace(day=1)
        first = month - timedelta(days=month.weekday())
        weeks: list[list[Day]] = []
        while first < following:
            week = []
            for day in (first + timedelta(days=n) for n in range(7)):
                counts = [one.get(day.isoformat(), {}) for one in per_day]
                share = round(100 * max(map(_contacts, counts)) / busiest)
                lines = [[(_channel(name), number) for name, number in one.items()] for one in counts]
                week.append(Day(day, lines, share, day.month == month.month))
            weeks.append(week)
            first += timedelta(days=7)
        yield date_format(month, "F Y"), weeks
        month = following


def _events(request: HttpRequest, run: SimulationRun, now: datetime) -> dict[str, Any]:
    context: dict[str, Any] = {"run": run, "waits": run.status in _WAITS}
    if run.events is None:
        return context
    packed = Packed(run.events)
    names = [one["name"] for one in run.result["versions"]]
    asked = {name: request.GET.get(name, "") for name in ("kind", "life", "page", "of")}
    which = 1 if asked["of"] == "1" and len(names) > 1 else 0
    life = int(asked["life"]) if asked["life"].isdigit() else None
    kinds = next((found for slug, _title, found in _GROUPS if slug == asked["kind"]), None)
    places = packed.places(which, life=life, kinds=kinds)
    pages = max(1, -(-len(places) // PAGE))
    page = min(max(1, int(asked["page"]) if asked["page"].isdigit() else 1), pages)

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
    title, variant = _KIND.get(event.kind, (event.kind, ""))
    numbers = [packed.numbers.get(pk, str(pk)) for pk in event.invoices]
    return Line(
        event=event,
        at=when(event.at, event.zone),
        zone=event.zone,
        who=who,
        only=only,
        badge=badge(title, variant),
        channel=_channel(event.channel) if event.channel else "",
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


def _facts(request: HttpRequest, run: SimulationRun, now: datetime) -> list[Fact]:
    version = link("campaigns_ladderversion", run.version_id, f"v{run.version.number}")
    if run.other_version is not None:
        other = link("campaigns_ladderversion", run.other_version_id or 0, f"v{run.other_version.number}")
        version = format_html("{} · {}", version, other)
    facts = [
        Fact(_("Ladder"), link("campaigns_ladder", run.ladder_id, run.ladder), 10),
        Fact(_("Versions") if run.other_version_id else _("Version"), version, 20),
        Fact(_("Status"), choice_badge(run, "status", STATUS), 30),
        Fact(_("Played on"), _played_on(run), 40),
        Fact(_("Days ahead"), str(run.days), 50),
        Fact(_("Asked"), when(run.created_at), 60),
    ]
    if run.asked_by is not None:
        facts.append(Fact(_("By"), str(run.asked_by), 70))
    return facts


def _played_on(run: SimulationRun) -> Any:
    if run.source == SimulationRun.Source.CUSTOMER and run.customer is not None:
        return link("customers_customer", run.customer_id or 0, run.customer)
    if run.source == SimulationRun.Source.PAST:
        return _now("Debts of %(since)s to %(upto)s") % {"since": run.since, "upto": run.upto}
    return _now("At most %(n)s open cases") % {"n": intcomma(run.cases)}


@admin.register(SimulationRun)
class SimulationRunAdmin(PageAdmin, ReadOnlyAdmin):
    """Read-only: a simulation is asked for on its ladder's page."""

    list_display = ("__str__", "version", "other_version", "source", "state", "created_at", "asked_by")
    list_select_related = ("ladder", "version__ladder", "other_version__ladder", "asked_by")
    list_filter = (("status", ChoicesDropdownFilter), ("ladder", RelatedDropdownFilter))
    fields = (
        ("ladder", "version", "other_version"),
        ("source", "cases", "customer"),
        ("since", "upto", "days"),
        ("status", "done", "total", "error"),
        ("created_at", "starts_at", "ends_at", "finished_at"),
        "asked_by",
    )
    page_sections = [
        Section("result", _("Result"), "admin/campaigns/simulation/result.html", _result,
                "campaigns.view_simulationrun", 10),
        Section("calendar", _("Calendar"), "admin/campaigns/simulation/calendar.html", _calendar,
                "campaigns.view_simulationrun", 20),
        Section("events", _("Events"), "admin/campaigns/simulation/events.html", _events,
                "campaigns.view_simulationrun", 30),
    ]  # fmt: skip
    page_facts = [_facts]

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        rows = rows.select_related("ladder", "version__ladder", "other_version__ladder", "customer", "asked_by")
        # Only the table of events wants them, and they are large.
        return rows if request.GET.get("section") == "events" else rows.defer("events")

    @display(description=_("status"), ordering="status")
    def state(self, row: SimulationRun) -> str:
        return choice_badge(row, "status", STATUS)
