"""What money adds to the customer page: balances, open invoices, subscriptions, methods, promises."""

from datetime import datetime
from typing import Any

from django.db.models import Sum
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from billing import money
from billing.admin.columns import ATTEMPT, INVOICE, PROMISE, RETRY, SUBSCRIPTION, ageing_bar
from billing.admin.facts import method_badge
from billing.admin.ledgers import ledger_rows
from billing.ageing import BUCKETS, Owed, owed_by, value_of
from billing.models import AttemptStatus, Fee, InvoiceStatus, PaymentAttempt, Subscription
from billing.plans.offering import obstacles_told
from customers.admin.base import choice_badge
from customers.admin.customer import CustomerAdmin
from customers.admin.page import Fact, Section
from customers.display import customer_zone, day, zone
from customers.models import Customer

LIMIT = 100
#: A customer billed every day for a year is read on one page.
MOST_INVOICES = 400


def _balances(request: HttpRequest, customer: Customer, now: datetime) -> list[Fact]:
    """Open balance per currency and how late it is; nothing is summed across currencies."""
    owed = owed_by(customer_id=customer.pk, now=now)
    lines = [
        (
            money.shown(r.total, r.currency),
            ngettext("%(n)d invoice", "%(n)d invoices", r.invoices) % {"n": r.invoices},
        )
        for r in owed
    ]
    fees = (
        customer.fees.filter(status=Fee.Status.OPEN)
        .values("currency")
        .annotate(owed=Sum("amount"))
        .order_by("currency")
    )
    # Beside the balance, never in it: no charge takes them.
    lines += [(money.shown(r["owed"], r["currency"]), str(_("late fees and interest"))) for r in fees]
    text = format_html_join("", "<div>{} <span class='sol-muted'>· {}</span></div>", lines)
    facts = [Fact(_("Owes"), text or _("Nothing"), order=11)]
    if owed:
        facts.append(Fact(_("How late"), format_html_join("", "{}", ((_ageing(r),) for r in owed)), 12))
    return facts


def _ageing(owed: Owed) -> SafeString:
    """One currency's balance as a bar of its buckets, and in words."""
    parts = [
        (words, money.shown(part, owed.currency)) for words, part in zip(BUCKETS, owed.buckets, strict=True) if part
    ]
    told = format_html_join(" · ", "{1} {0}", parts)
    return format_html("{}<span class='sol-sub'>{}</span>", ageing_bar(owed.currency, BUCKETS, owed.buckets), told)


def _value(request: HttpRequest, customer: Customer, now: datetime) -> list[Fact]:
    """What the customer has paid so far."""
    value = value_of(customer_id=customer.pk)
    if not value.paid:
        return [Fact(_("Paid so far"), _("Nothing"), 48)]
    sums = format_html_join("", "<div>{}</div>", ((money.shown(a, c),) for c, a in value.paid.items()))
    since = (
        format_html("<span class='sol-sub'>{}</span>", _("since %(day)s") % {"day": day(value.since)})
        if value.since
        else ""
    )
    return [Fact(_("Paid so far"), format_html("{}{}", sums, since), 48)]


def _invoices(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    rows = list(
        customer.invoices.order_by("status", "due_at", "-id").filter(status=InvoiceStatus.OPEN)[:MOST_INVOICES]
    )
    others = list(customer.invoices.exclude(status=InvoiceStatus.OPEN).order_by("-issued_at", "-id")[:MOST_INVOICES])
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
        "obstacles": obstacles_told(rows, zone(customer_zone(customer))),
        "zone": customer_zone(customer),
        "subscriptions": _subscriptions(request, customer),
    }


def _subscriptions(request: HttpRequest, customer: Customer) -> list[tuple[Subscription, str]] | None:
    """None for who may not see them."""
    if not request.user.has_perm("billing.view_subscription"):
        return None
    rows = customer.subscriptions.select_related("default_payment_method")[:LIMIT]
    return [(r, choice_badge(r, "status", SUBSCRIPTION)) for r in rows]


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
CustomerAdmin.add_fact(_value)
_section("invoices", _("Invoices"), _invoices, "view_invoice", 20)
_section("methods", _("Cards and attempts"), _methods, "view_paymentmethod", 50)
_section("promises", _("Promises"), _promises, "view_promise", 65)
