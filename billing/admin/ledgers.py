"""What the networks' rules leave of a card, wherever a card is shown; and the codes nobody has read up yet."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from billing.models import Invoice, PaymentMethod, UnknownCode
from billing.retries.card import ledgers_of
from billing.retries.declines import classify
from billing.retries.ledger import CardLedger
from customers.admin.base import ReadOnlyAdmin, badge


def ledger_rows(
    methods: Iterable[PaymentMethod | None], now: datetime, *, invoice: Invoice | None = None
) -> list[tuple[PaymentMethod, CardLedger]]:
    """Each card once with its ledger, for admin/billing/ledger.html; three queries."""
    each = {method.pk: method for method in methods if method is not None}
    ledgers = ledgers_of(each.values(), now, invoice=invoice)
    return [(method, ledgers[pk]) for pk, method in each.items()]


def load_ledger(request: HttpRequest, method: PaymentMethod, now: datetime) -> dict[str, Any]:
    """The section of a payment method's page."""
    return {"ledgers": ledger_rows([method], now)}


@admin.register(UnknownCode)
class UnknownCodeAdmin(ReadOnlyAdmin):
    list_display = ("code", "field", "seen", "first_seen_at", "last_seen_at", "latest", "state")
    list_select_related = ("example__invoice",)
    list_filter = ("field",)
    search_exact = ("code",)
    ordering = ("-last_seen_at",)
    fields = (("code", "field"), ("seen", "first_seen_at", "last_seen_at"), "example", "meaning")
    readonly_fields = ("meaning",)

    @display(description=_("latest decline"))
    def latest(self, row: UnknownCode) -> str:
        if row.example is None:
            return "–"
        url = reverse("admin:billing_paymentattempt_change", args=[row.example_id])
        return format_html('<a class="sol-link" href="{}">{}</a>', url, row.example.invoice)

    @display(description=_("table"))
    def state(self, row: UnknownCode) -> str:
        known = not classify(**{row.field: row.code}).unknown_codes
        return badge(_("known by now"), "success") if known else badge(_("retried with caution"), "warning")

    @display(description=_("meaning"))
    def meaning(self, row: UnknownCode) -> str:
        return classify(**{row.field: row.code}).reason
