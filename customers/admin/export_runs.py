"""The log of exports, and the files that were written for them."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from customers.admin.base import ReadOnlyAdmin
from customers.admin.exports import MAY, download_kept, export_url
from customers.admin.page import Fact, PageAdmin, Section
from customers.display import choice_badge, when
from customers.models import ExportRun

_STATUS: dict[str, str] = {
    ExportRun.Status.QUEUED: "info",
    ExportRun.Status.RUNNING: "info",
    ExportRun.Status.DONE: "success",
    ExportRun.Status.FAILED: "danger",
}


def _facts(request: HttpRequest, run: ExportRun, now: datetime) -> list[Fact]:
    facts = [
        Fact(_("Status"), choice_badge(run, "status", _STATUS), 10),
        Fact(_("List"), format_html('<a class="sol-link" href="{}">{}</a>', export_url(run), run.model), 20),
        Fact(_("Rows"), str(run.rows), 30),
        Fact(_("Asked"), format_html("{} · {}", when(run.created_at), run.asked_by), 40),
    ]
    if run.query:
        facts.append(Fact(_("Filter"), format_html("<code>{}</code>", run.query[:300]), 50))
    return facts


def _file(request: HttpRequest, run: ExportRun, now: datetime) -> dict[str, Any]:
    return {
        "run": run,
        "working": run.status in (ExportRun.Status.QUEUED, ExportRun.Status.RUNNING),
        "may_take": run.file_id is not None and _may_take(request, run),
        "percent": min(100, 100 * run.rows // run.expected) if run.expected else 0,
    }


def _may_take(request: HttpRequest, run: ExportRun) -> bool:
    """Who asked, while they may export: another person may see fewer customers."""
    return request.user.has_perm(MAY) and (request.user.is_superuser or run.asked_by_id == request.user.pk)


@admin.register(ExportRun)
class ExportRunAdmin(PageAdmin, ReadOnlyAdmin):
    """Read-only: an export is asked for on its list."""

    empty_text = _("Press Export on a list. Each export stands here: who took what, by which filter, how many rows.")
    tells_of_many = "asked_by"
    list_display = ("__str__", "state", "format", "rows", "asked_by", "created_at")
    list_select_related = ("asked_by",)
    list_filter = (("status", ChoicesDropdownFilter), ("asked_by", RelatedDropdownFilter))
    search_prefix = ("model",)
    ordering = ("-id",)
    fields = (
        ("model", "format", "status"),
        ("query", "columns"),
        ("asked_by", "created_at", "finished_at"),
        ("rows", "error"),
    )
    page_sections = [
        Section("file", _("File"), "admin/customers/export/file.html", _file, "customers.view_exportrun", 10)
    ]
    page_facts = [_facts]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("asked_by", "file")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.take_view)
        return [path("<int:pk>/file/", view, name="customers_exportrun_file"), *super().get_urls()]

    def take_view(self, request: HttpRequest, pk: int) -> StreamingHttpResponse:
        """Hands the file to whoever asked for it."""
        run = self.get_object(request, str(pk))
        if run is None:
            raise Http404
        if not _may_take(request, run):
            raise PermissionDenied
        return download_kept(run)

    @display(description=_("status"), ordering="status")
    def state(self, row: ExportRun) -> str:
        return choice_badge(row, "status", _STATUS)
