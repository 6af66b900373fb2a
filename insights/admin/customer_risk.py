"""What insights add to the pages and lists of customers and invoices: risk with its reasons, worth, terms advice."""

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from billing import money
from billing.admin.invoices import InvoiceAdmin
from billing.models import CollectionMethod, CustomerRisk, Invoice, InvoiceRisk, InvoiceStatus
from customers.admin.customer import CustomerAdmin
from customers.admin.page import Fact, Section
from customers.display import badge, percent
from customers.models import Customer
from insights.admin.risk_words import advice_words, rating_words, reason_words
from insights.risk.advice import advice_of

BAND = {"low": "success", "medium": "warning", "high": "danger"}
LIMIT = 100


def band_badge(risk: CustomerRisk | InvoiceRisk | None) -> str:
    """The band as a badge; a dash where there is none."""
    return badge(risk.get_band_display(), BAND[risk.band]) if risk is not None and risk.band else "–"


def _risk(customer: Any) -> CustomerRisk | None:
    return getattr(customer, "risk", None)


def _fact(request: HttpRequest, customer: Customer, now: datetime) -> list[Fact]:
    risk = _risk(customer)
    if risk is None:
        return []
    shown = band_badge(risk) if risk.band else _("Not enough to say")
    why = reason_words(*risk.reasons[0][:2]) if risk.reasons else rating_words(risk.rating, risk.counts)
    facts = [Fact(_("Risk"), format_html("{}<span class='sol-sub'>{}</span>", shown, why), 46)]
    if risk.rating:
        facts.append(Fact(_("Payer rating"), risk.get_rating_display(), 46))
    if risk.lifetime:
        facts.append(Fact(_("Paid so far"), _worth(risk), 47))
    return facts


def _worth(risk: CustomerRisk) -> str:
    return money.sums_shown(risk.lifetime)


def reason_rows(reasons: list[Any]) -> list[dict[str, Any]]:
    """Reasons for a table: the sentence, whether it raises the risk, and its weight against the weightiest."""
    largest = max((abs(effect) for _code, _figures, effect in reasons), default=1.0) or 1.0
    return [
        {"words": reason_words(code, figures), "raises": effect > 0, "width": f"{100 * abs(effect) / largest:.0f}"}
        for code, figures, effect in reasons
    ]


def _section(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    """Risk, reasons, worth, open invoices and advice, in four queries."""
    risk = _risk(customer)
    late = Q(collection_method=CollectionMethod.MANUAL, due_at__lt=now) | Q(
        collection_method=CollectionMethod.AUTOMATIC, first_failed_at__lt=now
    )
    open_now = Invoice.objects.filter(customer=customer, status=InvoiceStatus.OPEN, balance__gt=0)
    soon = open_now.exclude(late).filter(risk__isnull=False).select_related("risk")
    newest = Invoice.objects.filter(customer=customer).order_by("-issued_at", "-id").first()
    manual = newest is not None and newest.collection_method == CollectionMethod.MANUAL
    terms = (newest.due_at - newest.issued_at).days if manual and newest.due_at and newest.issued_at else 0  # type: ignore[union-attr]
    if risk is None:
        return {"risk": None}
    return {
        "risk": risk,
        "band": band_badge(risk),
        "chance": percent(risk.late_chance) if risk.late_chance is not None else "",
        "reasons": reason_rows(risk.reasons),
        "counted": rating_words(risk.rating, risk.counts),
        "worth": _worth(risk),
        "invoices": [
            (row, band_badge(row.risk), percent(row.risk.late_chance))
            for row in soon.order_by("-risk__late_chance")[:LIMIT]
        ],
        "advice": [
            advice_words(each)
            for each in advice_of(
                band=risk.band,
                rating=risk.rating,
                counts=risk.counts,
                terms_days=terms,
                overdue=open_now.filter(late).count(),
            )
        ],
        "model_url": reverse("admin:billing_riskmodel_change", args=[risk.model_id]) if risk.model_id else "",
    }


def _invoice_fact(request: HttpRequest, invoice: Any, now: datetime) -> list[Fact]:
    risk: InvoiceRisk | None = getattr(invoice, "risk", None)
    if risk is None:
        return []
    why = _now("foretold %(chance)s") % {"chance": percent(risk.late_chance)}
    return [
        Fact(_("Risk of paying late"), format_html("{} <span class='sol-sub'>{}</span>", band_badge(risk), why), 65)
    ]


@display(description=_("risk"), ordering="risk__late_chance")
def risk_column(row: Any) -> str:
    """The band of a row's `risk`, for lists that select it."""
    return band_badge(getattr(row, "risk", None))


CustomerAdmin.add_fact(_fact)
CustomerAdmin.add_section(
    Section("risk", _("Risk and worth"), "admin/insights/risk.html", _section, "billing.view_customerrisk", 65)
)
CustomerAdmin.list_display = (*CustomerAdmin.list_display, risk_column)
CustomerAdmin.list_select_related = (*CustomerAdmin.list_select_related, "risk")
CustomerAdmin.list_filter = (
    *CustomerAdmin.list_filter, ("risk__band", ChoicesDropdownFilter), ("risk__rating", ChoicesDropdownFilter),
)  # fmt: skip
InvoiceAdmin.add_fact(_invoice_fact)
InvoiceAdmin.list_filter = (*InvoiceAdmin.list_filter, ("risk__band", ChoicesDropdownFilter))
