"""The pages of bulk jobs: what was counted asks to be confirmed, runs with its progress, and shows its result."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from customers import clock
from customers.admin.base import ReadOnlyAdmin
from customers.admin.bulk import face_of, job_url
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section, staff_id
from customers.bulk import BulkAct, act_known, act_named, owners
from customers.bulk.jobs import job_confirm, job_stop, job_undo_draft, reasons_of, undo_of
from customers.bulk.sight import jobs_shown
from customers.display import badge, choice_badge, when
from customers.errors import SollecitoError
from customers.exports import content_type, export_bytes
from customers.models import BulkItem, BulkJob, BulkOutcome, BulkStatus

STATUS = {
    "draft": "", "to_approve": "warning", "queued": "info", "running": "info", "done": "success", "stopped": "warning",
}  # fmt: skip
OUTCOME = {"waiting": "", "done": "success", "skipped": "warning", "failed": "danger"}
#: Rows of a job's page, and of the result file read at a time.
SHOWN = 100
READ = 2_000
VIEW = "customers.view_bulkjob"


def _label(job: BulkJob) -> str:
    act = act_known(job.act)
    return str(act.label) if act is not None else job.act


def _progress(request: HttpRequest, job: BulkJob, now: datetime) -> dict[str, Any]:
    act = act_known(job.act)
    return {
        "job": job,
        "live": job.status in (BulkStatus.QUEUED, BulkStatus.RUNNING),
        "waiting": job.total - job.settled,
        "reasons": [
            (badge(BulkOutcome(outcome).label, OUTCOME[outcome]), *rest) for outcome, *rest in reasons_of(job)
        ],
        "no_undo": act.no_undo if act is not None and job.done else "",
        "confirm_url": job_url(job, "confirm"),
        "result_url": job_url(job, "result"),
    }


def _rows(request: HttpRequest, job: BulkJob, now: datetime) -> dict[str, Any]:
    chosen = request.GET.get("outcome", "")
    after = request.GET.get("after", "0")
    rows = job.items.filter(target__gt=int(after) if after.isascii() and after.isdecimal() else 0)
    if chosen in BulkOutcome.values:
        rows = rows.filter(outcome=chosen)
    items = list(rows.order_by("target")[: SHOWN + 1])
    more = items[SHOWN - 1].target if len(items) > SHOWN else None
    act = act_known(job.act)
    return {
        "items": _shown(act, items[:SHOWN]),
        "outcomes": BulkOutcome.choices,
        "chosen": chosen,
        "after": more,
        "with_customer": act is None or act.model != "customers.Customer",
        "stake": act.stake[0] if act is not None and act.stake else "",
    }


def _shown(act: BulkAct | None, items: list[BulkItem]) -> list[dict[str, Any]]:
    ids = [item.target for item in items]
    named = owners(act, ids) if act is not None else {}
    stakes = act.stake[1](ids) if act is not None and act.stake else {}
    page = f"admin:{act.model.lower().replace('.', '_')}_change" if act is not None else ""
    return [
        {
            "item": item,
            "name": named.get(item.target, (f"#{item.target}", None, ""))[0],
            "customer": named.get(item.target, ("", None, ""))[2],
            "url": reverse(page, args=[item.target]) if item.target in named else "",
            "stake": stakes.get(item.target, "–"),
            "badge": choice_badge(item, "outcome", OUTCOME),
        }
        for item in items
    ]


def _facts(request: HttpRequest, job: BulkJob, now: datetime) -> list[Fact]:
    facts = [
        Fact(_("Status"), choice_badge(job, "status", STATUS), 10),
        Fact(_("Rows"), f"{job.total:,}", 20),
        Fact(_("Chosen"), job.selection or "–", 30),
        Fact(_("By"), format_html("{}<span class='sol-sub'>{}</span>", job.asked_by, when(job.created_at)), 40),
    ]
    if told := face_of(job.act).told(job.params):
        facts.append(Fact(_("With"), told, 35))
    if job.finished_at:
        facts.append(Fact(_("Finished"), when(job.finished_at), 60))
    return facts


def _stop(asked: Asked) -> str:
    job_stop(job_id=asked.obj.pk, now=asked.now)
    return _now("Stopped. What is done stays done.")


def _undo(request: HttpRequest, job: BulkJob, now: datetime) -> HttpResponse:
    try:
        undo = undo_of(job)
        if undo is not None and not request.user.has_perm(undo.permission):
            raise PermissionDenied
        drafted = job_undo_draft(job_id=job.pk, actor_id=staff_id(request), now=now)
    except SollecitoError as error:
        messages.error(request, error.message)
        return HttpResponseRedirect(job_url(job))
    return HttpResponseRedirect(job_url(drafted, "confirm"))


@admin.register(BulkJob)
class BulkJobAdmin(PageAdmin, ReadOnlyAdmin):
    """Read-only: a job is asked for from a list or a segment, by ticking rows and choosing an act."""

    empty_text = _("Tick rows in a list and choose an act, or press a button on a segment.")
    list_display = ("__str__", "what", "selection", "state", "settled_of", "asked_by", "created_at")
    list_display_links = ("__str__", "what")
    list_select_related = ("asked_by",)
    list_filter = (("status", ChoicesDropdownFilter),)
    fields = (
        ("act", "status"), "selection", ("total", "done", "skipped", "failed"), ("asked_by", "undoes"),
        ("created_at", "confirmed_at", "started_at", "finished_at"),
    )  # fmt: skip
    page_sections = [
        Section("progress", _("Progress"), "admin/customers/bulk/progress.html", _progress, VIEW, 10),
        Section("rows", _("Rows"), "admin/customers/bulk/rows.html", _rows, VIEW, 20),
    ]
    page_facts = [_facts]
    page_actions = [
        PageAction(
            slug="stop",
            label=_("Stop"),
            icon="stop_circle",
            permission="customers.add_bulkjob",
            question=_("Rows that are done stay done; the others are left alone."),
            fits=lambda job: job.status in (BulkStatus.QUEUED, BulkStatus.RUNNING),
            run=_stop,
            danger=True,
            order=20,
        ),
        PageAction(
            slug="undo",
            label=_("Take back"),
            icon="undo",
            permission="customers.add_bulkjob",
            fits=lambda job: undo_of(job) is not None,
            run=lambda asked: "",
            opens=_undo,
            order=30,
        ),
    ]

    def rows_seen(self, rows: QuerySet[BulkJob], user: Any) -> QuerySet[BulkJob]:
        return jobs_shown(rows, user)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("asked_by")

    def page_title(self, obj: BulkJob) -> str:
        return _label(obj)

    def page_subtitle(self, obj: BulkJob) -> str:
        return _now("Bulk act %(job)s") % {"job": obj}

    @display(description=_("act"))
    def what(self, row: BulkJob) -> str:
        return _label(row)

    @display(description=_("status"), ordering="status")
    def state(self, row: BulkJob) -> str:
        return choice_badge(row, "status", STATUS)

    @display(description=_("done"))
    def settled_of(self, row: BulkJob) -> str:
        return f"{row.done:,} / {row.total:,}"

    # --- pages of its own

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/confirm/", wrap(self.confirm_view), name="customers_bulkjob_confirm"),
            path("<int:pk>/result.csv", wrap(self.result_view), name="customers_bulkjob_result"),
            *super().get_urls(),
        ]

    def _job(self, request: HttpRequest, pk: int) -> BulkJob:
        job: BulkJob | None = self.get_queryset(request).filter(pk=pk).first()
        if job is None:
            raise Http404
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        return job

    def confirm_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Says what would be done and what is left alone (GET), then has it done (POST)."""
        job = self._job(request, pk)
        act, action = act_named(job.act), face_of(job.act)
        if not request.user.has_perm(act.permission) or job.asked_by_id != staff_id(request):
            raise PermissionDenied
        if job.status != BulkStatus.DRAFT:
            return HttpResponseRedirect(job_url(job))
        form = action.form(request.POST if request.method == "POST" else None, label_suffix="")
        if request.method == "POST" and form.is_valid():
            try:
                # What is taken back is taken back with what it was done with.
                params = job.params if job.undoes_id else {**job.params, **action.params(form.cleaned_data)}
                job = job_confirm(job_id=pk, params=params, actor_id=staff_id(request), now=clock.now())
            except SollecitoError as error:
                messages.error(request, error.message)
            return HttpResponseRedirect(job_url(job))
        now, fit = clock.now(), job.total - job.skipped
        second = act.second_person.needed(job, now) if act.second_person and fit else ""
        return TemplateResponse(
            request,
            "admin/page/action.html",
            {
                **self.admin_site.each_context(request),
                "title": act.label,
                "opts": self.opts,
                "media": self.media + form.media,
                "action": {
                    "label": act.label,
                    "question": action.question,
                    "danger": action.danger,
                    "details": "admin/customers/bulk/plan.html",
                    # What is not done yet is not called done.
                    "button": _("Ask for approval") if second else "",
                },
                "form": form,
                "job": job,
                "fit": fit,
                "reasons": reasons_of(job),
                "no_undo": act.no_undo if fit else "",
                "second": second,
                "refused": not fit,
                "page_title": ngettext("%(n)s row", "%(n)s rows", job.total) % {"n": f"{job.total:,}"},
                "back_url": reverse(f"admin:{act.model.lower().replace('.', '_')}_changelist"),
            },
        )

    def result_view(self, request: HttpRequest, pk: int) -> StreamingHttpResponse:
        """What became of each row, as CSV."""
        job = self._job(request, pk)
        headings = [_now("id"), _now("row"), _now("customer"), _now("outcome"), _now("reason"), _now("at")]
        response = StreamingHttpResponse(export_bytes("csv", headings, _result(job)), content_type=content_type("csv"))
        response["Content-Disposition"] = f'attachment; filename="bulk-{job.pk}.csv"'
        return response


def _result(job: BulkJob) -> Iterator[tuple[Any, ...]]:
    act, after = act_known(job.act), 0
    while items := list(job.items.filter(target__gt=after).order_by("target")[:READ]):
        named = owners(act, [item.target for item in items]) if act is not None else {}
        for item in items:
            name, _pk, customer = named.get(item.target, ("", None, ""))
            yield item.target, name, customer, item.get_outcome_display(), item.reason, item.at
        after = items[-1].target
