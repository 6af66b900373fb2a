"""Experiments: arms and shares as a draft, started and stopped by services, results with their uncertainty."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.formats import time_format
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from campaigns.admin.columns import link
from campaigns.experiments.results import ArmResult, Interval, experiment_results
from campaigns.experiments.services import experiment_start, experiment_stop
from campaigns.models import Experiment, ExperimentArm, ExperimentKind, ExperimentStatus
from customers.admin.base import HistoryAdmin
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section
from customers.display import choice_badge, when

STATUS = {
    ExperimentStatus.DRAFT.value: "info",
    ExperimentStatus.RUNNING.value: "success",
    ExperimentStatus.STOPPED.value: "",
}


class ReasonForm(forms.Form):
    """Why an experiment is stopped."""

    reason = forms.CharField(label=_("Why"), max_length=100, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))


def _start(asked: Asked) -> str:
    experiment_start(experiment_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("Started: customers are drawn from now on.")


def _stop(asked: Asked) -> str:
    experiment_stop(experiment_id=asked.obj.pk, actor_id=asked.actor_id, reason=asked.data["reason"], now=asked.now)
    return _now("Stopped: nobody is drawn any more, and those without contact are written to again.")


def treatment_words(arm: ExperimentArm) -> str:
    """What an arm does, in a few words."""
    if arm.holdout:
        return _now("No contact") if arm.retries else _now("No contact, no retries")
    if arm.ladder_version is not None:
        return str(arm.ladder_version)
    if arm.template is not None:
        return str(arm.template)
    if arm.send_from is not None and arm.send_to is not None:
        hours = {"from": time_format(arm.send_from, "H:i"), "to": time_format(arm.send_to, "H:i")}
        return _now("Sent from %(from)s to %(to)s local time") % hours
    return _now("As ever")


def _percent(value: float, sign: bool = False) -> str:
    return f"{100 * value:{'+' if sign else ''}.1f}".replace("-", "−")


def _bar(interval: Interval) -> dict[str, str]:
    """Places of an interval on a scale from 0 to 100, for its drawing."""
    return {
        "left": f"{100 * interval.low:.2f}",
        "width": f"{max(100 * (interval.high - interval.low), 0.4):.2f}",
        "at": f"{100 * interval.value:.2f}",
    }


def _shown(result: ArmResult) -> dict[str, Any]:
    rate, difference = result.rate, result.difference
    return {
        "arm": result.arm,
        "treatment": treatment_words(result.arm),
        "result": result,
        "messages_each": f"{result.messages_each:.1f}",
        "rate": _percent(rate.value) if rate else None,
        "rate_low": _percent(rate.low) if rate else None,
        "rate_high": _percent(rate.high) if rate else None,
        "bar": _bar(rate) if rate else None,
        "difference": _percent(difference.value, True) if difference else None,
        "difference_low": _percent(difference.low, True) if difference else None,
        "difference_high": _percent(difference.high, True) if difference else None,
        "clear": bool(difference and difference.excludes_zero),
    }


def _results(request: HttpRequest, experiment: Experiment, now: datetime) -> dict[str, Any]:
    arms = list(experiment.arms.select_related("ladder_version__ladder", "template").order_by("position", "id"))
    results = experiment_results(experiment, arms)
    return {
        "results": results,
        "arms": [_shown(result) for result in results.arms],
        "ratio_p": f"{results.ratio_p:.2g}",
        "open_percent": round(100 * results.open / results.exposed) if results.exposed else 0,
    }


def _log(request: HttpRequest, experiment: Experiment, now: datetime) -> dict[str, Any]:
    """Who started and stopped it, when and why: the lines of its history that changed its status."""
    lines = list(experiment.history.select_related("history_user").order_by("history_date", "history_id"))
    status = dict(ExperimentStatus.choices)
    changed = [
        {"at": line.history_date, "who": line.history_user or "–", "why": line.history_change_reason or "",
         "what": status[line.status]}
        for before, line in zip([None, *lines], lines, strict=False)
        if before is None or before.status != line.status
    ]  # fmt: skip
    return {"lines": changed}


class ArmFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        """Says while the arms are being written what the start would refuse."""
        super().clean()
        shares = [
            form.cleaned_data["share"]
            for form in self.forms
            if getattr(form, "cleaned_data", None)
            and form.cleaned_data.get("share")
            and not form.cleaned_data.get("DELETE")
        ]
        if shares and sum(shares) != 100:
            raise ValidationError(
                _("The shares of the arms add up to %(total)d, not to 100."), params={"total": sum(shares)}
            )


class ArmInline(StackedInline):
    model = ExperimentArm
    formset = ArmFormSet
    extra = 0
    ordering = ("position", "id")
    verbose_name_plural = _("Arms; the first is the base")
    autocomplete_fields = ("ladder_version", "template")
    fields = (
        ("position", "name", "share"),
        ("ladder_version", "template"),
        ("holdout", "retries"),
        ("send_from", "send_to"),
    )

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 2

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may: bool = super().has_change_permission(request, obj)
        return may and (obj is None or obj.status == ExperimentStatus.DRAFT)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may: bool = super().has_add_permission(request, obj)
        return may and (obj is None or obj.status == ExperimentStatus.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may: bool = super().has_delete_permission(request, obj)
        return may and (obj is None or obj.status == ExperimentStatus.DRAFT)


class ExperimentForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Experiment
        fields = ("name", "code", "question", "kind", "ladder", "template", "segment")
        widgets = {"question": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("kind") == ExperimentKind.TEMPLATE:
            needed, other = "template", "ladder"
        else:
            needed, other = "ladder", "template"
        if "kind" in data and not data.get(needed):
            self.add_error(needed, _("This comparison needs it."))
        if "kind" in data and data.get(other):
            self.add_error(other, _("Leave it empty for this comparison."))
        return data


@admin.register(Experiment)
class ExperimentAdmin(PageAdmin, HistoryAdmin):
    empty_text = _("An experiment compares ladders, texts or hours of sending on cases that open while it runs.")
    form = ExperimentForm
    list_display = ("name", "kind", "about", "state", "taking_part", "started_at", "stopped_at")
    list_select_related = ("ladder", "template")
    list_filter = (("status", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter))
    search_fields = ("name", "code")
    autocomplete_fields = ("ladder", "template", "segment")
    fields = (("name", "code"), "question", "kind", ("ladder", "template"), "segment")
    inlines = (ArmInline,)
    page_sections = [
        Section(
            "results",
            _("Results"),
            "admin/campaigns/experiment/results.html",
            _results,
            "campaigns.view_experiment",
            10,
        ),
        Section("log", _("Log"), "admin/campaigns/experiment/log.html", _log, "campaigns.view_experiment", 20),
    ]
    page_facts = [
        lambda request, experiment, now: [
            Fact(_("Status"), choice_badge(experiment, "status", STATUS), 10),
            Fact(_("Compares"), experiment.get_kind_display(), 20),
            Fact(_("On"), _about(experiment), 30),
            Fact(_("Among"), experiment.segment or _("Everybody"), 40),
            Fact(_("Started"), when(experiment.started_at), 50),
            Fact(_("Stopped"), when(experiment.stopped_at), 60),
        ]
    ]
    page_actions = [
        PageAction(
            slug="start",
            label=_("Start"),
            icon="play_arrow",
            permission="campaigns.change_experiment",
            question=_(
                "Customers are drawn from now on. Arms and shares can then no longer be changed; a stopped experiment"
                " cannot be started again."
            ),
            fits=lambda experiment: experiment.status == ExperimentStatus.DRAFT,
            run=_start,
        ),
        PageAction(
            slug="stop",
            label=_("Stop"),
            icon="stop",
            permission="campaigns.change_experiment",
            question=_(
                "Nobody is drawn any more. Stopping because of what the results show so far makes them look better"
                " than they are: stop at the date you set at the start."
            ),
            form=ReasonForm,
            fits=lambda experiment: experiment.status == ExperimentStatus.RUNNING,
            run=_stop,
            danger=True,
        ),
    ]

    def page_subtitle(self, obj: Experiment) -> str:
        return obj.question

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        rows = super().get_queryset(request).select_related("ladder", "template", "segment")
        return rows.annotate(exposed_count=Count("exposures"))  # type: ignore[no-any-return]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Experiment | None = None) -> dict[str, Any]:
        return {} if obj else {"code": ("name",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Experiment | None = None) -> tuple[str, ...]:
        # The lot is drawn by the code: it stays what it was from the first look at it.
        return ("code",) if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        may: bool = super().has_change_permission(request, obj)
        return may and (obj is None or obj.status == ExperimentStatus.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        may: bool = super().has_delete_permission(request, obj)
        return may and obj is not None and obj.status == ExperimentStatus.DRAFT

    @display(description=_("on"))
    def about(self, row: Experiment) -> str:
        return str(row.ladder or row.template or "–")

    @display(description=_("status"), ordering="status")
    def state(self, row: Experiment) -> str:
        return choice_badge(row, "status", STATUS)

    @display(description=_("customers"))
    def taking_part(self, row: Any) -> str:
        return str(row.exposed_count or "–")


def _about(experiment: Experiment) -> str:
    if experiment.ladder is not None:
        return link("campaigns_ladder", experiment.ladder.pk, experiment.ladder)
    if experiment.template is not None:
        return link("campaigns_template", experiment.template.pk, experiment.template)
    return "–"
