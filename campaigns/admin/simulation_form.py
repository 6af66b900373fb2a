"""Asking for a simulation on the page of a ladder or of a version: the form, its choices, the action."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
)

from campaigns.admin.ladder_versions import LadderVersionAdmin
from campaigns.admin.ladders import LadderAdmin
from campaigns.models import Ladder, LadderVersion, SimulationRun
from campaigns.services.simulations import MOST_CASES, MOST_DAYS, simulation_start
from customers.admin.page import Asked, PageAction
from customers.models import Customer
from customers.visibility import must_see


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
    # Whatever its source, a simulation tells of the customers it was made from.
    chosen = data["customer"] if data["source"] == SimulationRun.Source.CUSTOMER else None
    must_see(asked.request.user, chosen.pk if chosen else None)
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
