"""The retry models' pages: what they learned from, how well they foretell, how they compare, and who switched them."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import lazy
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from billing.admin.model_charts import calibration_chart, weeks_chart
from billing.models import RetryModel, RetryModelEvent
from billing.retries.champion.fitting import data_state
from billing.retries.champion.learnable import Describes, Effect
from billing.retries.champion.loading import ModelBroken, model_load
from billing.retries.champion.switching import alerts_seen, model_promote, model_retire
from billing.retries.champion.weeks import WEEKS, weeks_of
from customers import clock
from customers.admin.base import ReadOnlyAdmin, badge, choice_badge
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section
from customers.display import when

STATE = {"candidate": "info", "champion": "success"}
KIND = {"promoted": "success", "fitted": "info", "demoted": "danger", "broken": "danger", "retired": "warning"}
_SEE = "billing.view_retrymodel"
_SWITCH = "billing.switch_retrymodel"


def _thin() -> str:
    found, needed = data_state(clock.now())
    if found >= needed:
        return _now("There is data enough: models are fitted weekly. Until one is better, the rules plan retries.")
    words = _now("Not enough data: %(found)d of %(needed)d charges older than four weeks. The rules plan retries.")
    return words % {"found": found, "needed": needed}


class ReasonForm(forms.Form):
    """Why a model is switched; it stands in the models' log."""

    reason = forms.CharField(label=_("Why"), max_length=300, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))


def _promote(asked: Asked) -> str:
    model_promote(model_id=asked.obj.pk, reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now)
    return _now("It plans retries from now on.")


def _retire(asked: Asked) -> str:
    model_retire(model_id=asked.obj.pk, reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now)
    return _now("It is out of use.")


def _quality(request: HttpRequest, model: RetryModel, now: datetime) -> dict[str, Any]:
    figures = model.figures
    own, other = figures.get("candidate", {}), figures.get("baseline", {})
    bins = own.get("calibration", [])
    return {
        "own": own,
        "other": other,
        "against": figures.get("against", ""),
        "difference": figures.get("difference"),
        "bins": bins,
        "chart": calibration_chart(bins) if bins else None,
    }


def _trial(request: HttpRequest, model: RetryModel, now: datetime) -> dict[str, Any]:
    """The weekly comparisons in which it took part, newest first."""
    lines = model.events.filter(data__has_key="difference").exclude(kind=RetryModelEvent.Kind.FITTED)[:26]
    return {"lines": [(line, _spread(line.data)) for line in lines if "decisions" in line.data]}


def _spread(data: dict[str, Any]) -> dict[str, str] | None:
    """Places of a difference on a scale from -20 to 20 points, for its drawing; None without bounds."""
    difference = data["difference"]
    if difference["low"] is None or difference["high"] is None:
        return None
    low, at, high = (min(max((difference[k] + 0.2) / 0.4, 0), 1) for k in ("low", "value", "high"))
    return {"left": f"{100 * low:.2f}", "width": f"{max(100 * (high - low), 0.4):.2f}", "at": f"{100 * at:.2f}"}


def _drift(request: HttpRequest, model: RetryModel, now: datetime) -> dict[str, Any]:
    weeks = [asdict(week) for week in weeks_of(model, now)]
    return {"weeks": weeks, "chart": weeks_chart(weeks) if weeks else None, "looked_back": WEEKS}


def _beliefs(request: HttpRequest, model: RetryModel, now: datetime) -> dict[str, Any]:
    try:
        strategy = model_load(model)
    except ModelBroken as error:
        return {"broken": str(error)}
    effects = strategy.describe() if isinstance(strategy, Describes) else ()
    topics: dict[str, list[tuple[Effect, str]]] = {}
    for effect in effects:
        topics.setdefault(effect.topic, []).append((effect, f"{100 * min(max(effect.value, 0), 1):.1f}"))
    return {"topics": topics, "counted": any(effect.rows is not None for effect in effects)}


def _log(request: HttpRequest, model: RetryModel, now: datetime) -> dict[str, Any]:
    lines = model.events.select_related("actor")[:200]
    return {"lines": [(line, choice_badge(line, "kind", KIND)) for line in lines]}


def _facts(request: HttpRequest, model: RetryModel, now: datetime) -> list[Fact]:
    return [
        Fact(_("State"), choice_badge(model, "state", STATE), 10),
        Fact(_("Charges learned from"), f"{model.rows:,}", 20),
        Fact(_("Customers"), f"{model.customers:,}", 30),
        Fact(_("From"), when(model.trained_from), 40),
        Fact(_("Until"), when(model.trained_until), 50),
        Fact(_("Fitted"), when(model.fitted_at), 60),
    ]


@admin.register(RetryModel)
class RetryModelAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = lazy(_thin, str)()
    list_display = ("__str__", "status", "rows", "customers", "span", "foretells", "fitted_at")
    ordering = ("-id",)
    fields = (
        ("strategy", "state"), ("fitted_at", "trained_from", "trained_until"), ("rows", "customers"), "checksum",
    )  # fmt: skip
    readonly_fields = ("checksum",)
    page_facts = [_facts]
    page_sections = [
        Section("quality", _("Calibration"), "admin/billing/model/quality.html", _quality, _SEE, 10),
        Section("trial", _("Comparison"), "admin/billing/model/trial.html", _trial, _SEE, 20),
        Section("drift", _("Drift"), "admin/billing/model/drift.html", _drift, _SEE, 30),
        Section("beliefs", _("What it believes"), "admin/billing/model/beliefs.html", _beliefs, _SEE, 40),
        Section("log", _("Log"), "admin/billing/model/log.html", _log, _SEE, 50),
    ]
    page_actions = [
        PageAction(
            slug="promote",
            label=_("Make champion"),
            icon="emoji_events",
            permission=_SWITCH,
            question=_(
                "It plans retries in place of the present champion from now on; what is planned already stays. The "
                "weekly comparison goes on and may take it out again."
            ),
            form=ReasonForm,
            fits=lambda model: model.state != RetryModel.State.CHAMPION,
            run=_promote,
            order=10,
        ),
        PageAction(
            slug="retire",
            label=_("Take out of use"),
            icon="block",
            permission=_SWITCH,
            question=_("Without a champion the rules plan retries. What is planned already stays."),
            form=ReasonForm,
            fits=lambda model: model.state != RetryModel.State.RETIRED,
            run=_retire,
            danger=True,
            order=20,
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RetryModel]:
        # Model files are megabytes each.
        return super().get_queryset(request).defer("data")

    def page_subtitle(self, obj: RetryModel) -> str:
        if obj.state == RetryModel.State.CANDIDATE:
            return _now("On trial: it gets a share of the retries by lot, so that it can be compared.")
        return ""

    @display(description=_("state"), ordering="state")
    def status(self, row: RetryModel) -> str:
        return choice_badge(row, "state", STATE)

    @display(description=_("learned from"))
    def span(self, row: RetryModel) -> str:
        return f"{row.trained_from:%Y-%m-%d} – {row.trained_until:%Y-%m-%d}"

    @display(description=_("log loss, and the other's"))
    def foretells(self, row: RetryModel) -> str:
        own, other = row.figures.get("candidate", {}), row.figures.get("baseline", {})
        if "log_loss" not in own or "log_loss" not in other:
            return "–"
        return f"{own['log_loss']:.4f} / {other['log_loss']:.4f}"


@admin.register(RetryModelEvent)
class RetryModelEventAdmin(ReadOnlyAdmin):
    empty_text = lazy(_thin, str)()
    counted_as = _("entries")
    list_display = ("at", "what", "model", "reason", "who", "news")
    list_select_related = ("model", "actor")
    list_filter = ("kind",)
    ordering = ("-id",)
    actions = ("mark_seen",)
    fields = (("at", "kind"), ("model", "actor"), "reason", "seen_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RetryModelEvent]:
        return super().get_queryset(request).defer("model__data", "model__figures")

    @display(description=_("what"), ordering="kind")
    def what(self, row: RetryModelEvent) -> str:
        return choice_badge(row, "kind", KIND)

    @display(description=_("by"))
    def who(self, row: RetryModelEvent) -> str:
        return str(row.actor or _("the system"))

    @display(description=_("news"))
    def news(self, row: RetryModelEvent) -> str:
        return badge(_("please look"), "warning") if row.alert and row.seen_at is None else "–"

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(_SWITCH)

    @admin.action(description=_("I have seen these"), permissions=["switch"])
    def mark_seen(self, request: HttpRequest, queryset: Any) -> None:
        done = alerts_seen(event_ids=list(queryset.values_list("pk", flat=True)), now=clock.now())
        self.message_user(request, _now("%(done)d entries marked as seen.") % {"done": done})
