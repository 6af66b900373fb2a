"""Admin of the rules for payment plans: what may be offered to a brand's customers without asking anybody."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from billing import money
from billing.models import PlanPolicy
from customers.admin.base import HistoryAdmin, NoDeleteMixin
from customers.errors import SollecitoError


class PlanPolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """Takes the smallest instalment as people write it; the row keeps minor units."""

    smallest = forms.DecimalField(
        label=_("Smallest instalment"),
        min_value=Decimal(0),
        max_digits=15,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("In this currency; plans in others are not held to it."),
    )

    class Meta:
        model = PlanPolicy
        fields = (
            "brand", "most_instalments", "most_days", "first_within_days", "currency", "most_broken",
            "least_paid_percent", "risky_instalments", "risky_first_percent", "trusted_wait_days", "offered_online",
            "promise_days",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = self.instance
        self.fields["smallest"].initial = money.to_major(row.least_amount, row.currency)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("smallest") is not None and data.get("currency"):
            try:
                data["currency"] = data["currency"].upper()
                self.instance.least_amount = money.to_minor(data["smallest"], data["currency"])
            except SollecitoError as error:
                self.add_error("smallest", error.message)
        return data


@admin.register(PlanPolicy)
class PlanPolicyAdmin(NoDeleteMixin, HistoryAdmin):
    form = PlanPolicyForm
    empty_text = _("Nothing is set: up to six instalments within half a year, of twenty euros at least.")
    list_display = ("brand", "most_instalments", "most_days", "least", "most_broken")
    list_select_related = ("brand",)
    ordering = ("brand__name",)
    fields = (
        "brand", ("most_instalments", "most_days"), ("smallest", "currency"), ("first_within_days", "most_broken"),
        ("least_paid_percent", "trusted_wait_days"), ("risky_instalments", "risky_first_percent"),
        ("offered_online", "promise_days"),
    )  # fmt: skip

    @display(description=_("smallest instalment"))
    def least(self, row: PlanPolicy) -> str:
        return money.display(row.least_amount, row.currency)
