"""The risk models' pages: what they learned from, how well they foretell, what they go by, and which is in use."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.functional import lazy
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from billing.admin.model_charts import calibration_chart
from billing.models import RiskModel
from customers import clock
from customers.admin.base import ReadOnlyAdmin, choice_badge
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section
from customers.display import when
from insights.risk.fitting import data_state, model_retire

STATE = {"in_use": "success", "refused": "warning"}
_SEE = "billing.view_riskmodel"

#: Feature → what it means.
FEATURE_WORDS = {
    "late_share": _("Share of invoices paid late"),
    "late_lately": _("Share of the latest invoices paid late"),
    "late_last": _("The last invoice was paid late"),
    "days_late": _("Days after the due date, on average"),
    "invoices": _("Invoices whose outcome is known"),
    "overdue_now": _("Invoices overdue at the moment"),
    "open_now": _("Invoices open at the moment"),
    "amount": _("Amount beside other customers' invoices"),
    "amount_unusual": _("Amount beside the customer's other invoices"),
    "terms": _("Days given to pay"),
    "disputes": _("Share of invoices disputed"),
    "declines": _("Share of charges declined"),
    "broken": _("Promises broken"),
    "tenure": _("How long it has been a customer"),
}
JUDGED = {"model": _("This model"), "last": _("“Paid late last time”"), "base": _("Share of late invoices")}


def _thin() -> str:
    state = data_state(clock.now())
    if state.enough:
        return _now("There is data enough: a model is fitted once a week. Until then bands follow from ratings.")
    names = {
        "invoices": _now("invoices with a known outcome"),
        "late": _now("of them late"),
        "on_time": _now("of them on time"),
        "payers": _now("customers"),
    }
    missing = ", ".join(
        _now("%(found)d of %(needed)d %(what)s") % {"found": found, "needed": needed, "what": names[name]}
        for name, (found, needed) in state.needed.items()
        if found < needed
    )
    return _now("Not enough data: %(missing)s. Bands follow from ratings meanwhile.") % {"missing": missing}


def _quality(request: HttpRequest, model: RiskModel, now: datetime) -> dict[str, Any]:
    figures = model.figures
    bins = figures.get("model", {}).get("calibration", [])
    return {
        "figures": figures,
        "judged": [(words, figures[name]) for name, words in JUDGED.items() if name in figures],
        "bins": bins,
        "chart": calibration_chart(bins) if bins else None,
    }


def _features(request: HttpRequest, model: RiskModel, now: datetime) -> dict[str, Any]:
    pairs = zip(model.data.get("features", ()), model.data.get("weights", ()), strict=False)
    ordered = sorted(pairs, key=lambda pair: -abs(pair[1]))
    largest = max((abs(weight) for _name, weight in ordered), default=1.0) or 1.0
    return {
        "features": [
            {
                "name": FEATURE_WORDS.get(name, name),
                "weight": weight,
                "raises": weight > 0,
                "width": f"{100 * abs(weight) / largest:.0f}",
            }
            for name, weight in ordered
        ]
    }


def _facts(request: HttpRequest, model: RiskModel, now: datetime) -> list[Fact]:
    return [
        Fact(_("State"), choice_badge(model, "state", STATE), 10),
        Fact(_("Invoices learned from"), f"{model.rows:,}", 20),
        Fact(_("Customers"), f"{model.customers:,}", 30),
        Fact(_("Issued from"), when(model.trained_from), 40),
        Fact(_("Until"), when(model.trained_until), 50),
        Fact(_("Fitted"), when(model.fitted_at), 60),
    ]


def _retire(asked: Asked) -> str:
    model_retire(model_id=asked.obj.pk)
    return _now("It is out of use: bands follow from ratings again, as customers are scored anew.")


@admin.register(RiskModel)
class RiskModelAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = lazy(_thin, str)()
    list_display = ("__str__", "status", "rows", "customers", "foretells", "fitted_at")
    ordering = ("-id",)
    fields = (("state", "fitted_at"), ("trained_from", "trained_until"), ("rows", "customers"))
    page_facts = [_facts]
    page_sections = [
        Section("quality", _("Calibration"), "admin/insights/quality.html", _quality, _SEE, 10),
        Section("features", _("What it goes by"), "admin/insights/features.html", _features, _SEE, 20),
    ]
    page_actions = [
        PageAction(
            slug="retire",
            label=_("Take out of use"),
            icon="power_settings_new",
            permission="billing.switch_riskmodel",
            question=_("Bands follow from ratings until the weekly fit makes a model that is better than none."),
            fits=lambda model: model.state == RiskModel.State.IN_USE,
            run=_retire,
            danger=True,
        )
    ]

    @display(description=_("state"), ordering="state")
    def status(self, row: RiskModel) -> str:
        return choice_badge(row, "state", STATE)

    @display(description=_("AUC and Brier score on invoices it had not seen"))
    def foretells(self, row: RiskModel) -> str:
        figures = row.figures.get("model", {})
        return f"{figures['auc']:.3f} · {figures['brier']:.3f}" if "auc" in figures else "–"
