"""Agencies: the terms agreed with each, and the account of what was given and what came in."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Sum
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from billing import money
from campaigns.admin.agency_kit import PACKAGE, SHOWN, STATUS, PackageForm, package_file
from campaigns.agencies.package import MOST, shared
from campaigns.models import Agency, AgencyRecovery, Handover, HandoverInvoice, HandoverStatus
from customers.admin.base import HistoryAdmin, NoDeleteMixin
from customers.admin.page import Asked, PageAction, PageAdmin, Section
from customers.display import choice_badge
from customers.errors import SollecitoError
from customers.visibility import seen


class AgencyForm(ModelForm):  # type: ignore[type-arg]
    """The terms; the commission in percent, as agreements say it."""

    percent = forms.DecimalField(
        label=_("Commission in percent"),
        min_value=Decimal(0),
        max_value=Decimal(100),
        decimal_places=2,
        initial=Decimal(0),
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("Of what comes in while a case is with them. Counted for hand-overs from now on."),
    )

    class Meta:
        model = Agency
        fields = (
            "name", "code", "active", "email", "agreement", "tail_days", "we_charge", "share_email", "share_phone",
            "share_address", "share_log", "share_consents",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["percent"].initial = Decimal(self.instance.commission_bps) / 100

    def save(self, commit: bool = True) -> Any:
        self.instance.commission_bps = int(self.cleaned_data["percent"] * 100)
        return super().save(commit)


def _account(request: HttpRequest, agency: Agency, now: datetime) -> dict[str, Any]:
    """By currency: what was given, what came in, and the agency's share; and the newest hand-overs."""
    mine = seen(Handover.objects.filter(agency=agency), request.user)
    given = HandoverInvoice.objects.filter(handover__in=mine).values("currency").annotate(n=Sum("balance"))
    came = (
        AgencyRecovery.objects.filter(handover__in=mine)
        .values("currency")
        .annotate(n=Sum("amount"), c=Sum("commission"))
    )
    by_currency: dict[str, dict[str, Any]] = {row["currency"]: {"given": row["n"]} for row in given}
    for row in came:
        by_currency.setdefault(row["currency"], {}).update(came=row["n"], commission=row["c"])

    def shown(code: str, amount: int | None) -> str:
        return money.shown(amount or 0, code)

    return {
        "sums": [
            (code, shown(code, row.get("given")), shown(code, row.get("came")), shown(code, row.get("commission")),
             f"{100 * row.get('came', 0) / row['given']:.1f} %" if row.get("given") else "–")
            for code, row in sorted(by_currency.items())
        ],
        "counts": dict(mine.values_list("status").annotate(n=Count("pk")).order_by()),
        "handovers": [
            (row, choice_badge(row, "status", STATUS))
            for row in mine.select_related("case__customer").order_by("-handed_at", "-pk")[:SHOWN]
        ],
        "shared": ", ".join(shared(agency)),
    }  # fmt: skip


def _package_of_agency(asked: Asked) -> HttpResponse:
    mine = seen(Handover.objects.filter(agency=asked.obj, status=HandoverStatus.OPEN), asked.request.user)
    fresh = mine.filter(exported_at__isnull=True).order_by("pk").values_list("pk", flat=True)
    ids = list(fresh[:MOST])
    if not ids:
        raise SollecitoError(_now("Every open hand-over was in a package already."), code="nothing_new")
    return package_file(asked, ids)


@admin.register(Agency)
class AgencyAdmin(PageAdmin, NoDeleteMixin, HistoryAdmin):
    form = AgencyForm
    empty_text = _("Agencies that collect for you, with what was agreed.")
    list_display = ("name", "commission", "active", "at_them")
    fields = (
        ("name", "code"), ("email", "agreement"), ("percent", "tail_days"), ("share_email", "share_phone"),
        ("share_address", "share_log"), ("share_consents", "we_charge"), "active",
    )  # fmt: skip
    prepopulated_fields = {"code": ("name",)}  # noqa: RUF012  (Django's own)
    page_sections = [
        Section(
            "account", _("Account"), "admin/campaigns/agency/account.html", _account, "campaigns.view_handover", 10
        )
    ]
    page_actions = [
        PageAction(
            slug="package",
            label=_("Make the package"),
            icon="folder_zip",
            permission=PACKAGE,
            question=_(
                "One file with the open hand-overs no package was made of yet. What is in it is what the agreement "
                "names; that it was made, by whom and with which hash goes into each customer's log."
            ),
            form=PackageForm,
            run=_package_of_agency,
            order=10,
        )
    ]

    @display(description=_("commission"))
    def commission(self, row: Agency) -> str:
        return f"{row.commission_bps / 100:.2f} %"

    @display(description=_("cases with them"))
    def at_them(self, row: Any) -> int:
        return int(row.open_cases)

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        found = Handover.objects.filter(agency__in=rows, status=HandoverStatus.OPEN).values_list("agency")
        open_cases = dict(found.annotate(n=Count("pk")).order_by())
        for row in rows:
            row.open_cases = open_cases.get(row.pk, 0)
