"""The case list and the case page: where on the ladder it stands, what comes next and why."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import BigIntegerField, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display

from billing import money
from billing.admin.columns import INVOICE, amount
from billing.admin.ledgers import ledger_rows
from billing.models import AttemptStatus, InvoiceStatus, PaymentAttempt
from campaigns.admin.case_actions import CASE_ACTIONS
from campaigns.admin.columns import CASE, MESSAGE, TASK, link
from campaigns.admin.contact import contact_badge, contact_fact, load_verdicts
from campaigns.admin.rungs import ladder_shown
from campaigns.admin.segments import OwnedSegmentFilter
from campaigns.guard.zones import zone_name
from campaigns.models import Case, CaseInvoice, CaseState
from campaigns.models.case import LIVE_STATES
from campaigns.services.case_moves import version_for
from customers import clock
from customers.admin.base import ReadOnlyAdmin
from customers.admin.bulk import BulkAdmin
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Fact, PageAdmin, Section
from customers.admin.practice import PracticeFilter
from customers.admin.timeline import load_timeline
from customers.display import choice_badge, when
from customers.errors import SollecitoError
from customers.models import Interaction

#: Cases that are ticked in the list travel in the address of the next page.
MOST_CHOSEN = 300


def _zone(case: Case) -> str:
    customer = case.customer
    return zone_name(timezone=customer.timezone, country=customer.country, brand_timezone=case.brand.timezone)


def _owed(case: Case) -> str:
    """Open balance of the case, one line per currency; nothing is summed across currencies."""
    rows = (
        CaseInvoice.objects.filter(case=case, left_at__isnull=True, invoice__status=InvoiceStatus.OPEN)
        .values(currency=F("invoice__currency"))
        .annotate(owed=Sum("invoice__balance"))
        .order_by("currency")
    )
    return format_html_join("", "<div>{}</div>", ((money.shown(r["owed"], r["currency"]),) for r in rows))


def _facts(request: HttpRequest, case: Case, now: datetime) -> list[Fact]:
    facts = [
        Fact(_("Customer"), link("customers_customer", case.customer_id, case.customer), 10),
        Fact(_("Owes"), _owed(case) or _("Nothing"), 20),
        Fact(_("State"), choice_badge(case, "state", CASE), 30),
        Fact(_("Owner"), str(case.owner or "–"), 50),
        Fact(_("Opened"), when(case.opened_at), 60),
    ]
    if case.next_action_at and case.state == CaseState.OPEN:
        moment = when(case.next_action_at, _zone(case))
        facts.append(
            Fact(
                _("Next action"),
                format_html("{}<span class='sol-sub'>{}</span>", moment, case.next_action_reason),
                40,
            )
        )
    if case.rest_reason or case.rests_until:
        until = when(case.rests_until, _zone(case)) if case.rests_until else _("somebody resumes it")
        rest = format_html("{} <span class='sol-sub'>{}</span>", until, case.rest_reason)
        facts.append(Fact(_("Rests until"), rest, 45))
    if case.closed_at:
        end = format_html("{}<span class='sol-sub'>{}</span>", when(case.closed_at), case.get_close_reason_display())
        facts.append(Fact(_("Closed"), end, 70))
    if case.state in LIVE_STATES and (contact := contact_fact(case, now)) is not None:
        facts.append(contact)
    return facts


def _progress(request: HttpRequest, case: Case, now: datetime) -> dict[str, Any]:
    joined = list(case.case_invoices.select_related("invoice").order_by("joined_at", "id")[:200])
    attempts = PaymentAttempt.objects.filter(
        invoice__in=[row.invoice_id for row in joined], status=AttemptStatus.PLANNED
    ).select_related("payment_method")
    planned = {row.invoice_id: row for row in attempts}
    sent = case.messages.select_related("template_version__template").defer("html", "text").order_by("-id")[:50]
    tasks = case.tasks.select_related("assignee").order_by("-id")[:50]
    return {
        **ladder_shown(case, now, _zone(case)),
        "case_invoices": [
            (row, choice_badge(row.invoice, "status", INVOICE), planned.get(row.invoice_id)) for row in joined
        ],
        "sent": [(row, choice_badge(row, "status", MESSAGE)) for row in sent],
        "tasks": [(row, choice_badge(row, "status", TASK)) for row in tasks],
        "ledgers": ledger_rows([row.payment_method for row in planned.values()], now),
    }


def _log(request: HttpRequest, case: Case, now: datetime) -> dict[str, Any]:
    """What happened to the customer while the case was alive, and whatever names the case later on."""
    during = Q(at__gte=case.opened_at) & (Q(at__lte=case.closed_at) if case.closed_at else Q())
    rows = Interaction.objects.filter(customer_id=case.customer_id).filter(during | Q(subject=f"case:{case.pk}"))
    return load_timeline(request, rows, now)


@admin.register(Case)
class CaseAdmin(PageAdmin, BulkAdmin, ReadOnlyAdmin):
    empty_text = _("A case opens when a payment fails or an invoice passes its due date.")
    list_display = ("__str__", "who", "owed", "shown_state", "rung", "next_action", "contact", "owner")
    list_display_links = ("__str__", "who")
    list_select_related = ("customer", "ladder_version__ladder", "owner")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("close_reason", ChoicesDropdownFilter),
        ("trigger", ChoicesDropdownFilter),
        ("brand", RelatedDropdownFilter),
        OwnedSegmentFilter,
        ("ladder_version__ladder", RelatedDropdownFilter),
        ("owner", AutocompleteSelectFilter),
        ("next_action_at", MomentRangeFilter),
        ("opened_at", MomentRangeFilter),
        ("closed_at", MomentRangeFilter),
        PracticeFilter,
    )
    search_trigram = ("customer__name", "customer__email")
    search_exact = ("customer__external_id",)
    search_help_text = _("Case number, or the customer's name, e-mail or id")
    ordering = ("-id",)
    fields = (
        ("customer", "brand"), ("ladder_version", "trigger"), ("state", "owner"),
        ("opened_at", "anchor_at", "closed_at"), ("round", "position"), ("next_action_at", "next_action_reason"),
        ("rests_until", "rest_reason"), ("last_contact_at", "close_reason"),
    )  # fmt: skip
    page_sections = [
        Section("progress", _("Progress"), "admin/campaigns/case/progress.html", _progress, "campaigns.view_case", 10),
        Section("log", _("Log"), "admin/page/timeline.html", _log, "customers.view_interaction", 20),
    ]
    page_facts = [_facts]
    page_actions = CASE_ACTIONS
    actions = ("move_to_published",)

    def page_customer(self, obj: Case) -> int:
        return obj.customer_id

    def has_move_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.change_ladderversion")

    @admin.action(description=_("Move to the published version…"), permissions=["move"])
    def move_to_published(self, request: HttpRequest, chosen: QuerySet[Case]) -> HttpResponseRedirect | None:
        """To the page that shows what each would do, and asks."""
        ids = list(chosen.order_by("pk").values_list("pk", flat=True)[: MOST_CHOSEN + 1])
        try:
            if len(ids) > MOST_CHOSEN:
                raise SollecitoError(_now("At most %(most)d at once.") % {"most": MOST_CHOSEN}, code="too_many")
            version = version_for(case_ids=ids)
        except SollecitoError as error:
            messages.error(request, error.message)
            return None
        page = reverse("admin:campaigns_ladderversion_do", args=[version.pk, "move"])
        return HttpResponseRedirect(f"{page}?{urlencode({'cases': ','.join(map(str, ids))})}")

    def page_title(self, obj: Case) -> str:
        return f"{obj.customer} · {obj}"

    def page_subtitle(self, obj: Case) -> str:
        return f"{obj.ladder_version} · {obj.get_trigger_display()} · {obj.brand}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Case]:
        rows = super().get_queryset(request).select_related("customer", "brand", "ladder_version__ladder", "owner")
        open_rows = CaseInvoice.objects.filter(
            case=OuterRef("pk"), left_at__isnull=True, invoice__status=InvoiceStatus.OPEN
        ).order_by()
        largest = open_rows.values("invoice__currency").annotate(owed=Sum("invoice__balance")).order_by("-owed")
        # Computed for the rows a page shows: the subqueries are in its select list, below its limit.
        return rows.annotate(  # type: ignore[no-any-return]
            owed_amount=Subquery(largest.values("owed")[:1], output_field=BigIntegerField()),
            owed_currency=Subquery(largest.values("invoice__currency")[:1]),
        )

    @display(description=_("customer"), ordering="customer__name")
    def who(self, row: Case) -> str:
        return format_html('<span class="sol-cut sol-short" title="{}">{}</span>', row.customer, row.customer)

    @display(description=_("owes"))
    def owed(self, row: Any) -> str:
        return amount(row.owed_amount, row.owed_currency)

    @display(description=_("state"), ordering="state")
    def shown_state(self, row: Case) -> str:
        return choice_badge(row, "state", CASE)

    @display(description=_("rung"), ordering="position")
    def rung(self, row: Case) -> str:
        ladder = row.ladder_version
        return format_html("{}<span class='sol-sub sol-cut sol-short'>{}</span>", row.position, ladder)

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        now = clock.now()
        verdicts = load_verdicts([row.pk for row in rows if row.state in LIVE_STATES], now)
        for row in rows:
            row.verdicts = verdicts.get(row.pk, [])

    @display(description=_("contact now?"))
    def contact(self, row: Any) -> str:
        return contact_badge(getattr(row, "verdicts", []))

    @display(description=_("next action"), ordering="next_action_at")
    def next_action(self, row: Case) -> str:
        why = row.next_action_reason or row.rest_reason
        return format_html(
            "{}<span class='sol-sub sol-cut sol-short' title='{}'>{}</span>", when(row.next_action_at), why, why
        )
