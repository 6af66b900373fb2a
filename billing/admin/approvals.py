"""The back office for four eyes: requests that wait for a second person, and the limits below which none is asked."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing import money
from billing.admin.columns import APPROVAL, money_column
from billing.approvals import approval_decide, approval_withdraw
from billing.approvals.acts import act_choices
from billing.approvals.deciders import (
    DECIDE,
    About,
    decision_words,
    may_decide,
    others_decide,
    requests_shown,
)
from billing.approvals.write_off import job_request
from billing.models import ApprovalLimit, ApprovalRequest
from customers.admin.base import HistoryAdmin, ReadOnlyAdmin, choice_badge
from customers.admin.bulk_jobs import BulkJobAdmin
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, Fact, PageAction, PageAdmin
from customers.bulk.sight import jobs_shown
from customers.display import when
from customers.errors import SollecitoError
from customers.models import BulkJob


def _label(slug: str) -> str:
    """An act in words; one that no app registers any more keeps its slug."""
    return str(dict(act_choices()).get(slug, slug))


class NoteForm(forms.Form):
    """What who decides has to say, if anything; it goes into the customer's log."""

    note = forms.CharField(
        label=_("Note"), max_length=500, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2})
    )


class WhyForm(forms.Form):
    """Why not; who asked reads it."""

    note = forms.CharField(label=_("Why not"), max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))


def _decide(asked: Asked, *, approve: bool) -> str:
    request = approval_decide(
        request_id=asked.obj.pk, approve=approve, note=asked.data["note"], actor_id=asked.actor_id, now=asked.now
    )
    if request.status == ApprovalRequest.Status.FAILED:
        raise SollecitoError(_now("It could not be carried out: %(why)s") % {"why": request.result})
    return request.result if approve else _now("Declined.")


def _withdraw(asked: Asked) -> str:
    approval_withdraw(request_id=asked.obj.pk, note=asked.data["note"], actor_id=asked.actor_id, now=asked.now)
    return _now("The request is taken back.")


def _is_pending(request: ApprovalRequest) -> bool:
    return request.status == ApprovalRequest.Status.PENDING


def _is_own(request: HttpRequest, obj: ApprovalRequest) -> bool:
    return obj.requested_by_id == request.user.pk


def _facts(request: HttpRequest, obj: ApprovalRequest, now: datetime) -> list[Fact]:
    asked = format_html("{}<span class='sol-sub'>{}</span>", obj.requested_by, when(obj.requested_at))
    facts = [
        Fact(_("Status"), choice_badge(obj, "status", APPROVAL), 10),
        Fact(_("At most"), money.sums_shown(obj.amounts), 20),
        Fact(_("Asked by"), asked, 30),
        Fact(_("Reason"), obj.reason or "–", 40),
    ]
    if obj.customer_id:
        url = reverse("admin:customers_customer_change", args=[obj.customer_id])
        facts.insert(0, Fact(_("Customer"), format_html('<a class="sol-link" href="{}">{}</a>', url, obj.customer), 5))
    if obj.decided_by_id:
        who = format_html("{}<span class='sol-sub'>{}</span>", obj.decided_by, when(obj.decided_at))
        facts.append(Fact(_("Decided by"), who, 50))
    elif obj.status == ApprovalRequest.Status.PENDING:
        facts.append(Fact(_("Who decides"), decision_words(obj, request.user), 50))
    about = About.request(obj)
    if about.job_id is not None:
        words = _now("Bulk act %(job)s") % {"job": f"#{about.job_id}"}
        if jobs_shown(BulkJob.objects.filter(pk=about.job_id), request.user).exists():
            url = reverse("admin:customers_bulkjob_change", args=[about.job_id])
            told = _now("Bulk act #%(job)s: its rows") % {"job": about.job_id}
            words = format_html('<a class="sol-link" href="{}?section=rows">{}</a>', url, told)
        facts.append(Fact(_("About"), words, 15))
    if obj.note or obj.result:
        facts.append(Fact(_("What came of it"), obj.result or obj.note, 60))
    return facts


def _told(request: HttpRequest, obj: ApprovalRequest, now: datetime) -> dict[str, Any]:
    """What whoever decides has to know of it, on the form that asks."""
    return {"facts": sorted(_facts(request, obj, now), key=lambda fact: fact.order)}


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("What somebody may not do alone waits here for a second person: write-offs, credits, waived fees.")
    list_display = ("summary", "customer", "money", "state", "requested_by", "requested_at", "decided_by")
    list_select_related = ("customer", "requested_by", "decided_by")
    list_filter = (
        ("status", ChoicesDropdownFilter), ("requested_by", RelatedDropdownFilter),
        ("requested_at", MomentRangeFilter),
    )  # fmt: skip
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-requested_at", "-id")
    fields = (
        "summary", ("customer", "invoice"), "reason", ("requested_by", "requested_at"), ("decided_by", "decided_at"),
        "note", "result",
    )  # fmt: skip
    page_facts = [_facts]
    page_actions = [
        PageAction(
            slug="approve",
            label=_("Approve"),
            icon="check",
            permission=DECIDE,
            question=_("It is carried out at once, for who asked. If the debt has grown meanwhile, it is refused."),
            form=NoteForm,
            details="admin/page/facts.html",
            load=_told,
            fits=_is_pending,
            allows=lambda request, obj: may_decide(obj, request.user),
            run=lambda asked: _decide(asked, approve=True),
            danger=True,
            order=10,
        ),
        PageAction(
            slug="decline",
            label=_("Decline"),
            icon="close",
            permission=DECIDE,
            form=WhyForm,
            details="admin/page/facts.html",
            load=_told,
            fits=_is_pending,
            allows=lambda request, obj: may_decide(obj, request.user),
            run=lambda asked: _decide(asked, approve=False),
            order=20,
        ),
        PageAction(
            slug="withdraw",
            label=_("Take back"),
            icon="undo",
            permission="billing.view_approvalrequest",
            form=NoteForm,
            fits=_is_pending,
            allows=_is_own,
            run=_withdraw,
            order=30,
        ),
    ]

    def page_title(self, obj: ApprovalRequest) -> str:
        return obj.summary

    def page_subtitle(self, obj: ApprovalRequest) -> str:
        return _label(obj.act)

    def rows_seen(self, rows: QuerySet[ApprovalRequest], user: Any) -> QuerySet[ApprovalRequest]:
        return requests_shown(rows, user)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApprovalRequest]:
        return super().get_queryset(request).select_related("customer", "requested_by", "decided_by")

    @display(description=_("at most"))
    def money(self, row: ApprovalRequest) -> str:
        return money.sums_shown(row.amounts)

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        others = others_decide(rows, request.user)
        for row in rows:
            row.others_decide = row.pk in others

    @display(description=_("status"), ordering="status")
    def state(self, row: Any) -> str:
        shown = choice_badge(row, "status", APPROVAL)
        if not row.others_decide:
            return shown
        return format_html("{}<span class='sol-sub'>{}</span>", shown, _now("somebody else decides"))


def _job_facts(request: HttpRequest, job: BulkJob, now: datetime) -> list[Fact]:
    """Who decides, or decided, about a bulk act beyond a limit, with the way to it."""
    asked = job_request(job.pk) if job.confirmed_at else None
    if asked is None:
        return []
    url = reverse("admin:billing_approvalrequest_change", args=[asked.pk])
    link = format_html('<a class="sol-link" href="{}">{}</a>', url, _now("Request %(request)s") % {"request": asked})
    if asked.decided_by is None:
        said = decision_words(asked, request.user)
    else:
        said = f"{asked.get_status_display()}: {asked.decided_by}"
    return [Fact(_("Second person"), format_html("{}<span class='sol-sub'>{}</span>", link, said), 45)]


BulkJobAdmin.add_fact(_job_facts)


class LimitForm(forms.ModelForm):  # type: ignore[type-arg]
    """A limit in major units, as people say it."""

    act = forms.ChoiceField(label=_("What"), widget=UnfoldAdminSelectWidget)
    currency = forms.CharField(label=_("Currency"), min_length=3, max_length=3, widget=UnfoldAdminTextInputWidget)
    most = forms.DecimalField(
        label=_("Up to"),
        min_value=0,
        max_digits=18,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("For one customer within thirty days; what goes beyond needs a second person."),
    )

    class Meta:
        model = ApprovalLimit
        fields = ("act", "group", "currency")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["act"].choices = act_choices()  # type: ignore[attr-defined]
        if self.instance.pk:
            self.initial["most"] = money.to_major(self.instance.amount, self.instance.currency)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if "most" in data and "currency" in data:
            data["currency"] = data["currency"].upper()
            try:
                self.instance.amount = money.to_minor(data["most"], data["currency"])
            except SollecitoError as error:
                raise forms.ValidationError(error.message) from error
        return data


@admin.register(ApprovalLimit)
class ApprovalLimitAdmin(HistoryAdmin):
    form = LimitForm
    empty_text = _("Without a limit here nobody gives up anything alone: every write-off waits for a second person.")
    list_display = ("what", "group", "most", "currency")
    list_select_related = ("group",)
    list_filter = (("group", RelatedDropdownFilter), "currency")
    ordering = ("act", "group__name", "currency")
    fields = ("act", "group", ("most", "currency"))
    most = money_column("amount", _("up to"))

    @display(description=_("what"), ordering="act")
    def what(self, row: ApprovalLimit) -> str:
        return _label(row.act)
