"""The invoice list and the invoice page: attempts, what they cost, what happens next and why."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    FieldTextFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import action, display

from billing import money
from billing.admin.columns import ATTEMPT, INVOICE, RETRY, money_column
from billing.admin.invoice_actions import INVOICE_ACTIONS
from billing.admin.ledgers import ledger_rows
from billing.breaker import paused_until
from billing.category_words import HELP_WORDS, category_words
from billing.charge_path import account_of
from billing.models import AttemptStatus, Fee, Invoice, RetryState
from billing.retries.card import asked_for
from customers.admin.base import ReadOnlyAdmin, badge, choice_badge
from customers.admin.bulk import BulkAdmin
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Fact, PageAdmin, Section
from customers.admin.practice import PracticeFilter
from customers.admin.timeline import load_timeline
from customers.display import customer_zone, when
from customers.models import Interaction


def _facts(request: HttpRequest, invoice: Invoice, now: datetime) -> list[Fact]:
    facts = [
        Fact(
            _("Customer"),
            format_html(
                '<a class="sol-link" href="{}">{}</a>',
                reverse("admin:customers_customer_change", args=[invoice.customer_id]),
                invoice.customer,
            ),
            10,
        ),
        Fact(_("Balance"), money.shown(invoice.balance, invoice.currency), 20),
        Fact(_("Amount"), money.shown(invoice.amount_due, invoice.currency), 30),
        Fact(_("Status"), choice_badge(invoice, "status", INVOICE), 40),
        Fact(_("Due"), when(invoice.due_at), 50),
    ]
    if invoice.first_failed_at:
        facts.append(Fact(_("First failed"), when(invoice.first_failed_at), 60))
    if invoice.disputed_at:
        facts.append(Fact(_("Disputed since"), when(invoice.disputed_at), 70))
    fees = [fee for fee in invoice.fees.all() if fee.status == Fee.Status.OPEN]
    if fees:
        # Beside the balance, never in it: no charge takes them.
        words = ", ".join(f"{money.shown(f.amount, f.currency)} {f.get_kind_display()}" for f in fees)
        facts.append(Fact(_("Late fees"), words, 25))
    if invoice.recovered_by:
        facts.append(Fact(_("Recovered by"), badge(invoice.get_recovered_by_display(), "success"), 80))
    return facts


def _attempts(request: HttpRequest, invoice: Invoice, now: datetime) -> dict[str, Any]:
    attempts = list(invoice.attempts.select_related("payment_method", "actor").order_by("-number")[:200])
    planned = next((a for a in attempts if a.status == AttemptStatus.PLANNED), None)
    under_way = next((a for a in attempts if a.status in (AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN)), None)
    return {
        "attempts": [(a, choice_badge(a, "status", ATTEMPT)) for a in attempts],
        "planned": planned,
        "ledgers": ledger_rows([a.payment_method for a in attempts], now, invoice=invoice),
        "under_way": under_way,
        "zone": customer_zone(invoice.customer),
        "allocations": list(invoice.allocations.select_related("payment").order_by("-id")[:100]),
        "retry_badge": choice_badge(invoice, "retry_state", RETRY),
        "helps": HELP_WORDS[asked_for(attempts)] if invoice.retry_state == RetryState.STOPPED else "",
        "paused_until": paused_until(account_of(invoice), now),
    }


def _log(request: HttpRequest, invoice: Invoice, now: datetime) -> dict[str, Any]:
    """The lines about this invoice: they name it, or one of its attempts, as their subject."""
    about = [f"invoice:{invoice.pk}", *(f"attempt:{pk}" for pk in invoice.attempts.values_list("pk", flat=True)[:200])]
    rows = Interaction.objects.filter(customer_id=invoice.customer_id).filter(
        Q(subject__in=about) | Q(data__invoice_id=invoice.pk)
    )
    return load_timeline(request, rows, now)


@admin.register(Invoice)
class InvoiceAdmin(PageAdmin, BulkAdmin, ReadOnlyAdmin):
    actions_list = ("import_file", "export_list")

    list_display = (
        "__str__", "customer", "state", "due", "open_balance", "due_at", "first_failed_at", "decline", "retries",
        "recovered",
    )  # fmt: skip
    list_select_related = ("customer",)
    list_filter: tuple[Any, ...] = (
        ("status", ChoicesDropdownFilter),
        ("collection_method", ChoicesDropdownFilter),
        ("retry_state", ChoicesDropdownFilter),
        ("recovered_by", ChoicesDropdownFilter),
        ("brand", RelatedDropdownFilter),
        ("currency", FieldTextFilter),
        ("last_decline_category", FieldTextFilter),
        "in_plan",
        ("due_at", MomentRangeFilter),
        ("first_failed_at", MomentRangeFilter),
        ("paid_at", MomentRangeFilter),
        PracticeFilter,
    )
    search_exact = ("external_id",)
    search_prefix = ("number",)
    search_trigram = ("customer__name", "customer__email")
    search_help_text = _("Number, processor id, or the customer's name or e-mail")
    ordering = ("-id",)
    fieldsets = (
        (
            None,
            {"fields": (("number", "source", "external_id"), ("customer", "brand", "subscription"), "description")},
        ),
        (
            _("Money"),
            {"fields": (("due", "paid", "credited", "open_balance"), ("collection_method", "default_payment_method"))},
        ),
        (
            _("Dates"),
            {"fields": (("issued_at", "due_at", "first_failed_at"), ("paid_at", "closed_at", "disputed_at"))},
        ),
        (
            _("Retries"),
            {
                "fields": (
                    ("retry_state", "retry_reason", "retry_not_before"),
                    ("processor_attempts", "processor_next_attempt_at"),
                    ("last_decline_category", "last_decline_code"),
                )
            },
        ),
        (_("Links and data"), {"fields": ("hosted_url", "pdf_url", "metadata")}),
    )
    readonly_fields = ("due", "paid", "credited", "open_balance")
    page_sections = [
        Section(
            "attempts",
            _("Attempts"),
            "admin/billing/invoice/attempts.html",
            _attempts,
            "billing.view_paymentattempt",
            10,
        ),
        Section("log", _("Log"), "admin/page/timeline.html", _log, "customers.view_interaction", 20),
    ]
    page_facts = [_facts]
    page_actions = INVOICE_ACTIONS

    due = money_column("amount_due", _("amount"))
    paid = money_column("amount_paid", _("paid"))
    credited = money_column("amount_credited", _("credited"))
    open_balance = money_column("balance", _("balance"))

    def has_import_file_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.add_importrun")

    @action(description=_("Import"), url_path="import-file", permissions=["import_file"], icon="upload_file")
    def import_file(self, request: HttpRequest) -> HttpResponse:
        """The button on the list: goes to the page that takes a file."""
        return HttpResponseRedirect(reverse("admin:billing_importrun_add"))

    def page_subtitle(self, obj: Invoice) -> str:
        return " · ".join(filter(None, (obj.get_collection_method_display(), obj.description, obj.external_id)))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        return super().get_queryset(request).select_related("customer__brand", "brand")

    @display(description=_("status"), ordering="status")
    def state(self, row: Invoice) -> str:
        return choice_badge(row, "status", INVOICE)

    @display(description=_("last decline"))
    def decline(self, row: Invoice) -> str:
        return category_words(row.last_decline_category)

    @display(description=_("retries"), ordering="retry_state")
    def retries(self, row: Invoice) -> str:
        return choice_badge(row, "retry_state", RETRY) if row.retry_state != "none" else "–"

    @display(description=_("recovered by"))
    def recovered(self, row: Invoice) -> str:
        return choice_badge(
            row, "recovered_by", dict.fromkeys(["silent_retry", "email", "portal", "call", "staff"], "success")
        )
