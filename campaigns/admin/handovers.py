"""Hand-overs: cases at an agency, what came in for each, and the ways there and back, one case or many."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing import money
from campaigns.admin.agency_kit import PACKAGE, SHOWN, STATUS, ChooseForm, HandOverForm, PackageForm, package_file
from campaigns.admin.bulk_actions import CASE_BULK
from campaigns.admin.case_actions import ReasonForm
from campaigns.admin.cases import CaseAdmin
from campaigns.admin.columns import link
from campaigns.agencies import cases_hand_over, cases_recall, handover_name
from campaigns.models import CaseState, Handover, HandoverStatus
from campaigns.models.case import LIVE_STATES
from customers.admin.base import ReadOnlyAdmin
from customers.admin.bulk import BulkAction, face
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section
from customers.bulk import Did
from customers.display import choice_badge, when
from customers.errors import SollecitoError


def _sums(rows: list[tuple[str, int]]) -> str:
    return ", ".join(money.shown(amount, code) for code, amount in rows) or "–"


def _done(did: dict[int, Did], pk: int) -> None:
    """Raises SollecitoError with the reason where one row was left alone."""
    found = did.get(pk)
    if found is None or not found.done:
        raise SollecitoError(found.reason if found else _now("There is no such case."), code="left_alone")


def _facts(request: HttpRequest, row: Handover, now: datetime) -> list[Fact]:
    given = list(row.handover_invoices.values_list("currency").annotate(n=Sum("balance")).order_by("currency"))
    came = list(row.recoveries.values_list("currency").annotate(n=Sum("amount")).order_by("currency"))
    share = list(row.recoveries.values_list("currency").annotate(n=Sum("commission")).order_by("currency"))
    facts = [
        Fact(_("Case"), link("campaigns_case", row.case_id, f"#{row.case_id}"), 10),
        Fact(_("Customer"), link("customers_customer", row.case.customer_id, row.case.customer), 20),
        Fact(
            _("Agency"), link("campaigns_agency", row.agency_id, row.agency) if row.agency_id else row.agency_named, 30
        ),
        Fact(_("Status"), choice_badge(row, "status", STATUS), 40),
        Fact(_("Handed over"), when(row.handed_at), 50),
        Fact(_("Given"), _sums(given), 60),
        Fact(_("Came in"), _sums(came), 70),
        Fact(_("Commission"), f"{_sums(share)} ({row.commission_bps / 100:.2f} %)", 80),
        Fact(_("Package made"), when(row.exported_at), 90),
    ]
    if row.ended_at:
        facts.append(Fact(_("Ended"), when(row.ended_at), 95))
    return facts


def _recoveries(request: HttpRequest, row: Handover, now: datetime) -> dict[str, Any]:
    return {
        "invoices": [
            (each.invoice, money.shown(each.balance, each.currency),
             money.shown(each.invoice.balance, each.currency))
            for each in row.handover_invoices.select_related("invoice").order_by("pk")[:SHOWN]
        ],
        "recoveries": [
            (each, money.shown(each.amount, each.currency),
             money.shown(each.commission, each.currency))
            for each in row.recoveries.select_related("allocation__payment").order_by("-at", "-pk")[:SHOWN]
        ],
    }  # fmt: skip


def _recall(asked: Asked) -> str:
    case_id = asked.obj.case_id if isinstance(asked.obj, Handover) else asked.obj.pk
    _done(
        cases_recall(case_ids=[case_id], reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now), case_id
    )
    return _now("Recalled; the case goes on with us.")


def _name(asked: Asked) -> str:
    handover_name(handover_id=asked.obj.pk, agency_id=asked.data["agency"].pk, actor_id=asked.actor_id, now=asked.now)
    return _now("The agency is set.")


def _hand_over(asked: Asked) -> str:
    did = cases_hand_over(
        case_ids=[asked.obj.pk],
        agency_id=asked.data["agency"].pk,
        reason=asked.data["reason"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    _done(did, asked.obj.pk)
    return _now("Handed over; nobody here contacts or charges them meanwhile.")


RECALL_QUESTION = _("The case goes on with the step it stood before; its invoices may be charged again.")


@admin.register(Handover)
class HandoverAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("Cases handed to an agency, by staff or by a ladder's last step.")
    list_display = ("__str__", "case", "who", "agency", "state", "handed_at", "exported_at", "ended_at")
    list_select_related = ("case__customer", "agency")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("agency", RelatedDropdownFilter),
        ("handed_at", MomentRangeFilter),
    )
    search_trigram = ("case__customer__name", "case__customer__email")
    fields = (
        ("case", "agency", "agency_named"), ("status", "handed_at", "handed_by"), ("commission_bps", "tail_days"),
        ("exported_at", "ended_at", "end_reason"),
    )  # fmt: skip
    page_facts = [_facts]
    page_sections = [
        Section(
            "money", _("Invoices and recoveries"), "admin/campaigns/agency/money.html", _recoveries,
            "campaigns.view_agencyrecovery", 10,
        )
    ]  # fmt: skip
    page_actions = [
        PageAction(
            slug="name",
            label=_("Say which agency"),
            icon="edit",
            permission="campaigns.change_handover",
            form=ChooseForm,
            fits=lambda row: row.status == HandoverStatus.OPEN and row.agency_id is None,
            run=_name,
            order=10,
        ),
        PageAction(
            slug="package",
            label=_("Make the package"),
            icon="folder_zip",
            permission=PACKAGE,
            question=_("What is in it is what the agreement names. That it was made goes into the customer's log."),
            form=PackageForm,
            fits=lambda row: row.status == HandoverStatus.OPEN and row.agency_id is not None,
            run=lambda asked: package_file(asked, [asked.obj.pk]),
            order=20,
        ),
        PageAction(
            slug="recall",
            label=_("Recall"),
            icon="assignment_return",
            permission="campaigns.change_handover",
            question=RECALL_QUESTION,
            form=ReasonForm,
            fits=lambda row: row.status == HandoverStatus.OPEN,
            run=_recall,
            danger=True,
            order=30,
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Handover]:
        return super().get_queryset(request).select_related("case__customer", "agency", "handed_by")

    def page_title(self, obj: Handover) -> str:
        return _now("Case #%(case)s at %(agency)s") % {"case": obj.case_id, "agency": obj.agency or obj.agency_named}

    @display(description=_("customer"))
    def who(self, row: Handover) -> str:
        return str(row.case.customer)

    @display(description=_("status"), ordering="status")
    def state(self, row: Handover) -> str:
        return choice_badge(row, "status", STATUS)


HAND_OVER = face(
    BulkAction(
        slug="cases.hand_over",
        icon="real_estate_agent",
        question=_(
            "The agency collects from now on: nobody here contacts these customers or charges the invoices handed "
            "over. Cases with a promise, a plan or a dispute, and customers no one may press, are left alone."
        ),
        form=HandOverForm,
        params=lambda data: {"agency": data["agency"].pk, "reason": data["reason"]},
        danger=True,
    )
)
RECALL = face(BulkAction(slug="cases.recall", icon="assignment_return", question=RECALL_QUESTION, form=ReasonForm))
CaseAdmin.bulk_actions = (*CASE_BULK, HAND_OVER, RECALL)
CaseAdmin.add_action(
    PageAction(
        slug="hand_over",
        label=_("Hand to an agency"),
        icon="real_estate_agent",
        permission="campaigns.add_handover",
        question=HAND_OVER.question,
        form=HandOverForm,
        fits=lambda case: case.state in LIVE_STATES and case.state != CaseState.AGENCY,
        run=_hand_over,
        danger=True,
        order=85,
    )
)
CaseAdmin.add_action(
    PageAction(
        slug="recall",
        label=_("Recall from the agency"),
        icon="assignment_return",
        permission="campaigns.change_handover",
        question=RECALL_QUESTION,
        form=ReasonForm,
        fits=lambda case: case.state == CaseState.AGENCY,
        run=_recall,
        order=20,
    )
)
