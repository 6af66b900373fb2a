"""Admin of late fees and interest: looked at, waived, or marked as paid; they are charged by ladders."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.admin.columns import FEE, money_column
from billing.approvals.waiver import fee_waive
from billing.fees import fee_close, rates_ended
from billing.models import Fee
from customers import clock
from customers.admin.base import ReadOnlyAdmin, choice_badge
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, PageAction, PageAdmin


class CloseForm(forms.Form):
    """Why; it goes into the customer's log."""

    reason = forms.CharField(label=_("Reason"), max_length=500, widget=UnfoldAdminTextInputWidget)


def _is_open(fee: Fee) -> bool:
    return fee.status == Fee.Status.OPEN


def _waive(asked: Asked) -> str:
    return fee_waive(fee_id=asked.obj.pk, reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now).words


def _paid(asked: Asked) -> str:
    fee_close(fee_id=asked.obj.pk, paid=True, reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now)
    return _now("Marked as paid.")


@admin.register(Fee)
class FeeAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("Late fees and interest that ladders charge appear here.")
    list_display = ("__str__", "customer", "invoice", "money", "state", "on_payment", "accrued_until", "at")
    list_select_related = ("customer", "invoice")
    list_filter = (
        ("status", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter), ("at", MomentRangeFilter),
    )  # fmt: skip
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (
        ("customer", "invoice"), ("kind", "money"), ("status", "on_payment"), ("rule", "accrued_until"), "basis",
        ("actor", "at", "closed_at"),
    )  # fmt: skip
    readonly_fields = ("money",)
    money = money_column("amount", _("amount"))
    page_actions = [
        PageAction(
            slug="waive", label=_("Waive"), icon="money_off", permission="billing.change_fee", form=CloseForm,
            fits=_is_open, run=_waive, order=10,
        ),
        PageAction(
            slug="paid", label=_("Mark as paid"), icon="paid", permission="billing.change_fee", form=CloseForm,
            fits=_is_open, run=_paid, order=20,
        ),
    ]  # fmt: skip

    @display(description=_("status"), ordering="status")
    def state(self, row: Fee) -> str:
        return choice_badge(row, "status", FEE)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        for sentence in rates_ended(clock.now().date()):
            self.message_user(request, sentence, messages.WARNING)
        return super().changelist_view(request, extra_context)

    def page_subtitle(self, obj: Fee) -> str:
        return str(obj.customer)

    def get_queryset(self, request: HttpRequest):  # type: ignore[no-untyped-def]
        return super().get_queryset(request).select_related("customer__brand", "invoice")
