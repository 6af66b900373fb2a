"""What money adds to the customer page: balances, open invoices, subscriptions, methods, promises."""

from datetime import datetime
from typing import Any

from django.db.models import Count, Sum
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from billing import money
from billing.admin.columns import ATTEMPT, INVOICE, PROMISE, RETRY, SUBSCRIPTION
from billing.admin.facts import method_badge
from billing.admin.ledgers import ledger_rows
from billing.models import AttemptStatus, Fee, InvoiceStatus, PaymentAttempt
from customers.admin.base import choice_badge
from customers.admin.customer import CustomerAdmin
from customers.admin.page import Fact, Section
from customers.display import customer_zone
from customers.models import Customer

LIMIT = 100


def _balances(request: HttpRequest, customer: Customer, now: datetime) -> list[Fact]:
    """Open balance per currency; nothing is summed across currencies."""
    rows = (
        customer.invoices.filter(status=InvoiceStatus.OPEN)
        .values("currency")
        .annotate(owed=Sum("balance"), n=Count("id"))
        .order_by("currency")
    )
    language = getattr(request, "LANGUAGE_CODE", "en")
    lines = [
        (money.display(r["owed"], r["currency"], language), ngettext("%(n)d invoice", "%(n)d invoices", r["n"]) % r)
        for r in rows
    ]
    fees = (
        customer.fees.filter(status=Fee.Status.OPEN)
        .values("currency")
        .annotate(owed=Sum("amount"))
        .order_by("currency")
    )
    # Beside the balance, never in it: no charge takes them.
    lines += [(money.display(r["owed"], r["currency"], language), str(_("late fees and interest"))) for r in fees]
    text = format_html_join("", "<div>{} <span class='sol-muted'>· {}</span></div>", lines)
    return [Fact(_("Owes"), text or _("Nothing"), order=15)]


def _invoices(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    rows = list(customer.invoices.order_by("status", "due_at", "-id").filter(status=InvoiceStatus.OPEN)[:LIMIT])
    others = list(customer.invoices.exclude(status=InvoiceStatus.OPEN).order_by("-issued_at", "-id")[:LIMIT])
    planned = {
        a.invoice_id: a
        for a in PaymentAttempt.objects.filter(invoice__in=[r.pk for r in rows], status=AttemptStatus.PLANNED)
    }
    return {
        "open_invoices": [
            (r, choice_badge(r, "status", INVOICE), planned.get(r.pk), choice_badge(r, "retry_state", RETRY))
            for r in rows
        ],
        "other_invoices": [
            (r, choice_badge(r, "status", INVOICE), choice_badge(r, "recovered_by", {})) for r in others
        ],
        "zone": customer_zone(customer),
    }


def _subscriptions(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    rows = customer.subscriptions.select_related("default_payment_method")[:LIMIT]
    return {"subscriptions": [(r, choice_badge(r, "status", SUBSCRIPTION)) for r in rows]}


def _methods(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    attempts = (
        PaymentAttempt.objects.filter(invoice__customer=customer)
        .select_related("invoice", "payment_method")
        .order_by("-id")[:LIMIT]
    )
    methods = list(customer.payment_methods.all()[:LIMIT])
    return {
        "methods": [(r, method_badge(r)) for r in methods],
        "ledgers": ledger_rows(methods, now),
        "attempts": [(r, choice_badge(r, "status", ATTEMPT)) for r in attempts],
    }


def _promises(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    rows = customer.promises.select_related("actor")[:LIMIT]
    plans = customer.payment_plans.prefetch_related("instalments")[:LIMIT]
    return {"promises": [(r, choice_badge(r, "status", PROMISE)) for r in rows], "plans": list(plans)}


def _section(slug: str, title: Any, load: Any, permission: str, order: int) -> None:
    CustomerAdmin.add_section(
        Section(slug, title, f"admin/billing/customer/{slug}.html", load, f"billing.{permission}", order)
    )


CustomerAdmin.add_fact(_balances)
_section("invoices", _("Invoices"), _invoices, "view_invoice", 20)
_section("subscriptions", _("Subscriptions"), _subscriptions, "view_subscription", 40)
_section("methods", _("Cards and attempts"), _methods, "view_paymentmethod", 50)
_section("promises", _("Promises"), _promises, "view_promise", 65)
