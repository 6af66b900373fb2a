"""Admin of the ways a debt rests: promises, plans, disputes. Made and ended by services, looked at here."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RangeDateTimeFilter
from unfold.decorators import display

from billing.admin.columns import DISPUTE, PLAN, PROMISE, amount, money_column
from billing.models import Dispute, PaymentPlan, PlanInstalment, Promise
from customers.admin.base import ReadOnlyAdmin, choice_badge


@admin.register(Promise)
class PromiseAdmin(ReadOnlyAdmin):
    empty_text = _("Promises to pay appear here; staff note them on a customer's case.")
    list_display = ("customer", "money", "promised_on", "state", "actor", "created_at", "note")
    list_select_related = ("customer", "actor")
    list_filter = (("status", ChoicesDropdownFilter), ("promised_on", RangeDateFilter))
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (
        ("customer", "brand"), ("money", "promised_on"), ("status", "expires_at"), "note",
        ("actor", "created_at", "closed_at"),
    )  # fmt: skip
    readonly_fields = ("money",)
    money = money_column("amount", _("amount"))

    @display(description=_("status"), ordering="status")
    def state(self, row: Promise) -> str:
        return choice_badge(row, "status", PROMISE)


class InstalmentInline(TabularInline):
    model = PlanInstalment
    extra = 0
    can_delete = False
    fields = ("number", "due_on", "money", "paid_at")
    readonly_fields = fields

    @display(description=_("amount"))
    def money(self, row: PlanInstalment) -> str:
        return amount(row.amount, row.plan.currency)

    def get_queryset(self, request: HttpRequest):  # type: ignore[no-untyped-def]
        return super().get_queryset(request).select_related("plan")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(PaymentPlan)
class PaymentPlanAdmin(ReadOnlyAdmin):
    empty_text = _("Payment plans agreed with customers appear here.")
    list_display = ("__str__", "customer", "currency", "state", "created_at", "closed_at")
    list_select_related = ("customer",)
    list_filter = (("status", ChoicesDropdownFilter), ("created_at", RangeDateTimeFilter))
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (("customer", "brand"), ("currency", "status"), ("created_at", "closed_at"), "invoices")
    inlines = (InstalmentInline,)

    @display(description=_("status"), ordering="status")
    def state(self, row: PaymentPlan) -> str:
        return choice_badge(row, "status", PLAN)


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    empty_text = _("Charges that customers dispute with their bank, and invoices they dispute with us, appear here.")
    list_display = ("__str__", "invoice", "customer", "money", "state", "opened_at", "closed_at")
    list_select_related = ("invoice__customer",)
    list_filter = (("status", ChoicesDropdownFilter), ("opened_at", RangeDateTimeFilter))
    search_exact = ("external_id", "invoice__number")
    search_trigram = ("invoice__customer__name", "invoice__customer__email")
    ordering = ("-id",)
    fields = (
        "invoice", ("money", "reason"), ("status", "opened_at", "closed_at"), ("source", "external_id"),
    )  # fmt: skip
    readonly_fields = ("money",)
    money = money_column("amount", _("amount"))

    @display(description=_("customer"))
    def customer(self, row: Dispute) -> str:
        return str(row.invoice.customer)

    @display(description=_("status"), ordering="status")
    def state(self, row: Dispute) -> str:
        return choice_badge(row, "status", DISPUTE)
