"""Pages of simulations: watched while they run, read as totals, calendar and events."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from campaigns.admin.columns import link
from campaigns.admin.simulation_calendar import load_calendar
from campaigns.admin.simulation_events import load_events
from campaigns.admin.simulation_result import load_result
from campaigns.admin.simulation_words import STATUS
from campaigns.models import SimulationRun
from customers.admin.base import ReadOnlyAdmin
from customers.admin.page import Fact, PageAdmin, Section
from customers.display import choice_badge, when


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

    empty_text = _("Press Simulate on a ladder to see what it would send, to whom and when.")
    #: One about all open cases plays strangers' too; what somebody may simulate who sees only some is one of theirs.
    tells_of_many = ""
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
        Section("result", _("Result"), "admin/campaigns/simulation/result.html", load_result,
                "campaigns.view_simulationrun", 10),
        Section("calendar", _("Calendar"), "admin/campaigns/simulation/calendar.html", load_calendar,
                "campaigns.view_simulationrun", 20),
        Section("events", _("Events"), "admin/campaigns/simulation/events.html", load_events,
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
