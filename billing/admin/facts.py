"""Admin of facts the processor or an import tells: payments, methods, subscriptions, attempts. Read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from billing.admin.columns import ATTEMPT, SUBSCRIPTION, money_column
from billing.admin.ledgers import load_ledger
from billing.models import Allocation, Payment, PaymentAttempt, PaymentMethod, Subscription
from billing.retries.card import ledgers_of
from customers import clock
from customers.admin.base import ReadOnlyAdmin, badge, choice_badge
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import PageAdmin, Section
from customers.admin.practice import PracticeFilter
from customers.display import percent, when


@admin.register(PaymentAttempt)
class PaymentAttemptAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "about", "state", "money", "moment", "why", "limits_used")
    list_select_related = ("invoice__customer", "payment_method", "retry_model")
    list_filter: tuple[Any, ...] = (
        ("status", ChoicesDropdownFilter),
        ("origin", ChoicesDropdownFilter),
        ("at", MomentRangeFilter),
        ("scheduled_for", MomentRangeFilter),
        PracticeFilter,
    )
    search_exact = ("external_id", "invoice__number", "invoice__external_id")
    search_trigram = ("invoice__customer__name", "invoice__customer__email")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": (("invoice", "number"), ("status", "origin"), ("money", "payment_method"))}),
        (
            _("When and why"),
            {
                "fields": (
                    ("scheduled_for", "at", "finished_at"),
                    "explanation",
                    "because",
                    ("strategy", "retry_model"),
                    ("foretold", "lot"),
                    "actor",
                )
            },
        ),
        (
            _("What the processor said"),
            {
                "fields": (
                    ("decline_category", "decline_code"),
                    ("network_decline_code", "advice_code", "network_advice_code"),
                    "failure_message",
                    "override_reason",
                    ("external_id", "resolve_at"),
                    "cancel_reason",
                )
            },
        ),
    )
    readonly_fields = ("money", "because", "foretold", "lot")
    money = money_column("amount", _("amount"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[PaymentAttempt]:
        # A model's file is megabytes.
        return super().get_queryset(request).defer("retry_model__data", "retry_model__figures")

    def prepare_rows(self, request: HttpRequest, rows: list[PaymentAttempt]) -> None:
        """The ledgers of the cards on the page, in two queries."""
        methods = [row.payment_method for row in rows if row.payment_method is not None]
        ledgers = ledgers_of(methods, clock.now())
        for row in rows:
            row.ledger = ledgers.get(row.payment_method_id or 0)  # type: ignore[attr-defined]

    @display(description=_("made or planned for"), ordering="scheduled_for")
    def moment(self, row: PaymentAttempt) -> str:
        return format_html("{}<br>{}", when(row.at or row.scheduled_for), row.get_origin_display())

    @display(description=_("why, and what was said"))
    def why(self, row: PaymentAttempt) -> str:
        chance = _("Chance %(chance)s.") % {"chance": percent(row.probability)} if row.probability is not None else ""
        said = (row.explanation, chance, row.decline_code.replace("_", " "))
        told = format_html_join(mark_safe("<br>"), "{}", ((each,) for each in said if each))
        return format_html('<span class="sol-why">{}</span>', told or "–")

    @display(description=_("limits and fees so far"))
    def limits_used(self, row: Any) -> str:
        if row.ledger is None:
            return "–"
        told = [verdict.sentence for verdict in row.ledger.limits] + [fee.text for fee in row.ledger.fees]
        return format_html_join(mark_safe("<br>"), "{}", ((each,) for each in told)) or "–"

    @display(description=_("what weighed most"))
    def because(self, row: PaymentAttempt) -> str:
        return format_html_join(mark_safe("<br>"), "{}", ((reason,) for reason in row.reasons)) or "–"

    @display(description=_("predicted chance"))
    def foretold(self, row: PaymentAttempt) -> str:
        return percent(row.probability)

    @display(description=_("drawn by lot with chance"))
    def lot(self, row: PaymentAttempt) -> str:
        return percent(row.propensity)

    @display(description=_("invoice and customer"))
    def about(self, row: PaymentAttempt) -> str:
        return format_html("{}<br>{}", row.invoice, row.invoice.customer)

    @display(description=_("status"), ordering="status")
    def state(self, row: PaymentAttempt) -> str:
        return choice_badge(row, "status", ATTEMPT)


class AllocationInline(TabularInline):
    model = Allocation
    extra = 0
    can_delete = False
    fields = ("invoice", "money", "created_at")
    readonly_fields = fields
    money = money_column("amount", _("amount"))

    def get_queryset(self, request: HttpRequest):  # type: ignore[no-untyped-def]
        return super().get_queryset(request).select_related("invoice")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "customer", "money", "settled", "back", "method", "received_at", "source")
    list_select_related = ("customer",)
    list_filter = (("received_at", MomentRangeFilter),)
    search_exact = ("external_id",)
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (("customer", "method"), ("money", "settled", "back"), ("source", "external_id"), "received_at")
    readonly_fields = ("money", "settled", "back")
    inlines = (AllocationInline,)
    money = money_column("amount", _("amount"))
    settled = money_column("allocated", _("allocated"))
    back = money_column("refunded", _("refunded"))


@admin.register(PaymentMethod)
class PaymentMethodAdmin(PageAdmin, ReadOnlyAdmin):
    list_display = ("__str__", "customer", "type", "funding", "country", "expires", "state", "attached_at")
    list_select_related = ("customer",)
    list_filter = ("is_default", ("attached_at", MomentRangeFilter))
    search_exact = ("external_id", "fingerprint")
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (
        ("customer", "type"), ("brand", "funding", "country", "issuer"), ("last4", "exp_month", "exp_year"),
        ("source", "external_id"), ("is_default", "attached_at", "detached_at"),
        ("never_again_at", "never_again_reason"),
    )  # fmt: skip
    page_facts = []
    page_actions = []
    page_details_first = True
    page_sections = [
        Section(
            "ledger", _("Networks' rules"), "admin/billing/ledger.html", load_ledger, "billing.view_paymentattempt", 10
        ),
    ]

    @display(description=_("expires"))
    def expires(self, row: PaymentMethod) -> str:
        return f"{row.exp_month:02d}/{row.exp_year}" if row.exp_month and row.exp_year else "–"

    @display(description=_("state"))
    def state(self, row: PaymentMethod) -> str:
        return method_badge(row)


def method_badge(row: PaymentMethod) -> str:
    """Whether the method may still be charged, in one word."""
    if row.detached_at:
        return badge(_("detached"))
    if row.never_again_at:
        return badge(_("never charge"), "danger")
    if row.is_default:
        return badge(_("default"), "success")
    return badge(_("stored"), "info")


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    list_display = (
        "__str__", "customer", "state", "money", "interval", "started_at", "current_period_end", "ended_at",
        "ended_reason",
    )  # fmt: skip
    list_select_related = ("customer",)
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("ended_at", MomentRangeFilter),
    )
    search_exact = ("external_id",)
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (
        ("customer", "status"), ("plan_name", "interval"), "money", ("source", "external_id"),
        "default_payment_method", ("started_at", "current_period_end"),
        ("cancel_at_period_end", "ended_at", "ended_reason"),
    )  # fmt: skip
    readonly_fields = ("money",)
    money = money_column("amount", _("amount per period"))

    @display(description=_("status"), ordering="status")
    def state(self, row: Subscription) -> str:
        return choice_badge(row, "status", SUBSCRIPTION)
