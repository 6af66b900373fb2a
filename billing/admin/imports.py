"""Pages of imports: a file is sent, its columns named, what it would do looked at, confirmed and watched."""

from datetime import datetime
from pathlib import PurePath
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing.admin.import_forms import ImportForm, LayoutForm
from billing.admin.import_rows import load_rows
from billing.imports.presets import FIELDS, INVOICES, Preset
from billing.imports.runs import (
    import_confirm,
    import_discard,
    import_map,
    import_remap,
    import_start,
    import_stop,
    import_table,
)
from billing.imports.staging import rejected_rows
from billing.models import ImportMapping, ImportRun
from customers import clock
from customers.admin.base import HistoryAdmin, ReadOnlyAdmin
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section, staff_id
from customers.display import badge, choice_badge, when
from customers.errors import SollecitoError
from customers.exports import content_type, export_bytes

ADD = "billing.add_importrun"
Status = ImportRun.Status
_STATUS: dict[str, str] = {
    Status.MAPPING: "warning", Status.CHECKING: "info", Status.CHECKED: "warning", Status.WRITING: "info",
    Status.STOPPED: "warning", Status.DONE: "success", Status.FAILED: "danger",
}  # fmt: skip


def _facts(request: HttpRequest, run: ImportRun, now: datetime) -> list[Fact]:
    facts = [
        Fact(_("Status"), choice_badge(run, "status", _STATUS), 10),
        Fact(_("Kind of file"), run.layout.get("name") or run.preset or "–", 20),
        Fact(_("Owed to"), str(run.brand), 30),
        Fact(_("As seen on"), run.as_of.isoformat(), 40),
        Fact(_("Asked"), format_html("{} · {}", when(run.created_at), run.asked_by or _now("by command")), 50),
        Fact(_("SHA-256"), format_html('<span title="{}">{}…</span>', run.sha256, run.sha256[:12]), 60),
    ]
    if run.finished_at is not None:
        facts.append(Fact(_("Finished"), when(run.finished_at), 55))
    if run.tidied_at is not None:
        facts.append(Fact(_("File deleted"), when(run.tidied_at), 70))
    return facts


def _may_be_mapped(run: ImportRun) -> bool:
    # Payments have columns the page does not ask about.
    waits = run.status in (Status.CHECKED, Status.FAILED)
    return waits and run.file_id is not None and run.layout.get("kind", INVOICES) == INVOICES


def _confirm(asked: Asked) -> str:
    import_confirm(run_id=asked.obj.pk, now=asked.now)
    return _now("The rows are being written.")


def _discard(asked: Asked) -> str:
    import_discard(run_id=asked.obj.pk, now=asked.now)
    return _now("The file was put aside; nothing was written.")


def _stop(asked: Asked) -> str:
    import_stop(run_id=asked.obj.pk, now=asked.now)
    return _now("The import was stopped. What was written stays; it goes on from there when you say so.")


def _remap(asked: Asked) -> HttpResponse:
    run = import_remap(run_id=asked.obj.pk)
    return HttpResponseRedirect(reverse("admin:billing_importrun_columns", args=[run.pk]))


@admin.register(ImportRun)
class ImportRunAdmin(PageAdmin, ReadOnlyAdmin):
    """The history of imports; a new one begins with a file."""

    empty_text = _("Send a file of invoices or payments in: Stripe, Chargebee, QuickBooks, Xero, or your own columns.")
    tells_of_many = "asked_by"
    list_display = ("file_name", "kind", "state", "created_at", "asked_by", "rows", "new", "changed", "rejected")
    list_select_related = ("asked_by",)
    list_filter = (("status", ChoicesDropdownFilter), ("brand", RelatedDropdownFilter))
    search_exact = ("sha256",)
    search_prefix = ("file_name",)
    ordering = ("-id",)
    fields = (
        ("file_name", "size", "sha256"),
        ("preset", "brand", "as_of"),
        ("status", "error"),
        ("asked_by", "created_at", "confirmed_at", "finished_at"),
        ("rows", "new", "changed", "unchanged", "rejected", "customers_new"),
    )
    page_sections = [
        Section("rows", _("Rows"), "admin/billing/import/rows.html", load_rows, "billing.view_importrun", 10)
    ]
    page_facts = [_facts]
    page_actions = [
        PageAction(
            slug="write",
            label=_("Import these rows"),
            icon="download_done",
            permission=ADD,
            question=_("New and changed rows are written; rejected ones are left out. What is paid here stays paid."),
            fits=lambda run: run.status == Status.CHECKED and bool(run.new + run.changed),
            run=_confirm,
            order=10,
        ),
        PageAction(
            slug="stop",
            label=_("Stop"),
            icon="stop_circle",
            permission=ADD,
            question=_("What was written stays. It can go on later, from the row it got to."),
            fits=lambda run: run.status == Status.WRITING,
            run=_stop,
            danger=True,
            order=15,
        ),
        PageAction(
            slug="resume",
            label=_("Go on"),
            icon="play_circle",
            permission=ADD,
            question=_("The rows that are left are written. What was written before stays as it is."),
            fits=lambda run: run.status == Status.STOPPED and run.tidied_at is None,
            run=_confirm,
            order=16,
        ),
        PageAction(
            slug="columns",
            label=_("Name the columns anew"),
            icon="view_column",
            permission=ADD,
            question=_("What was read is forgotten, and the file is read again with other columns."),
            fits=_may_be_mapped,
            run=_remap,
            order=20,
        ),
        PageAction(
            slug="discard",
            label=_("Discard the file"),
            icon="delete",
            permission=ADD,
            question=_("Nothing is written. The history keeps who sent which file."),
            fits=lambda run: Status.DISCARDED in ImportRun.TRANSITIONS[run.status],
            run=_discard,
            danger=True,
            order=30,
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("brand", "asked_by")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(ADD)

    def page_subtitle(self, obj: ImportRun) -> str:
        return _now("%(size)s kB") % {"size": max(1, obj.size // 1024)}

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            # An int: as a path it would take the address of the act of that name too.
            path("<int:object_id>/columns/", view(self.columns_view), name="billing_importrun_columns"),
            path("<int:object_id>/rejected.<str:form>", view(self.rejected_view), name="billing_importrun_rejected"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self.get_object(request, unquote(object_id))
        waits = run is not None and run.status == Status.MAPPING and request.user.has_perm(ADD)
        if waits and request.method == "GET" and not request.GET:
            return HttpResponseRedirect(self.page_url(run, "columns"))
        return super().change_view(request, object_id, form_url, extra_context)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Takes a file in."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        now = clock.now()
        form = ImportForm(request.POST or None, request.FILES or None, label_suffix="")
        if request.method == "POST" and form.is_valid():
            data = form.cleaned_data
            try:
                run = import_start(
                    name=data["file"].name,
                    chunks=data["file"].chunks(),
                    preset=data["preset"],
                    brand_id=data["brand"].pk,
                    as_of=data["as_of"] or now.date(),
                    now=now,
                    actor_id=staff_id(request),
                    email_domain=data["email_domain"],
                )
            except SollecitoError as error:
                form.add_error("file", error.message)
            else:
                return HttpResponseRedirect(self.page_url(run))
        action = {
            "label": _("Import a file"),
            "question": _("First you see what each row would do. Nothing is written before you say so."),
        }
        context = {"action": action, "page_title": _now("a new one"), "back_url": "../"}
        return self._form_page(request, "admin/page/action.html", form, context)

    def columns_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Asks what the columns of an unknown file hold."""
        run = self.get_object(request, str(object_id))
        if run is None:
            raise Http404
        if not request.user.has_perm(ADD):
            raise PermissionDenied
        layout = Preset.from_json(run.layout)
        data = request.POST or None
        try:
            written = request.POST if data is not None else {}
            table = import_table(
                run,
                Preset(
                    code="",
                    columns={},
                    encoding=written.get("encoding", layout.encoding),
                    delimiter=written.get("delimiter", layout.delimiter),
                ),
            )
        except SollecitoError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(f"{self.page_url(run)}?section=rows")
        form = LayoutForm(data, table=table, layout=layout, name=layout.name or PurePath(run.file_name).stem[:40])
        if data is not None and "again" not in request.POST and form.is_valid():
            try:
                import_map(run_id=run.pk, layout=form.layout(), save_as=form.cleaned_data["name"])
            except SollecitoError as error:
                form.add_error(None, error.message)
            else:
                return HttpResponseRedirect(self.page_url(run))
        context = {"run": run, "original": run, "fields": FIELDS, "back_url": f"{self.page_url(run)}?section=rows"}
        return self._form_page(request, "admin/billing/import/columns.html", form, context)

    def _form_page(self, request: HttpRequest, template: str, form: Any, context: dict[str, Any]) -> HttpResponse:
        shared = {"title": _("Import a file"), "opts": self.opts, "media": self.media + form.media, "form": form}
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **shared, **context})

    def rejected_view(self, request: HttpRequest, object_id: int, form: str) -> HttpResponse | StreamingHttpResponse:
        """The rows that were left out, with what is wrong: to be mended and sent again."""
        run = self.get_object(request, str(object_id))
        if run is None or form not in ("csv", "xlsx"):
            raise Http404
        if not request.user.has_perm(ADD):
            raise PermissionDenied
        headings = [*run.headings, _now("Row"), _now("Line"), _now("Why it was rejected"), _now("What to do")]
        response = StreamingHttpResponse(
            export_bytes(form, headings, rejected_rows(run)), content_type=content_type(form)
        )
        response["Content-Disposition"] = f'attachment; filename="rejected-{run.pk}.{form}"'
        return response

    @display(description=_("kind of file"))
    def kind(self, row: ImportRun) -> str:
        return row.layout.get("name") or row.preset or "–"

    @display(description=_("status"), ordering="status")
    def state(self, row: ImportRun) -> str:
        return choice_badge(row, "status", _STATUS)


@admin.register(ImportMapping)
class ImportMappingAdmin(HistoryAdmin):
    """Kinds of files people named the columns of. Renamed or deleted here; made by importing a file."""

    list_display = ("name", "code", "columns", "created_at")
    readonly_fields = ("code", "columns", "created_at")
    fields = ("name", "code", "columns", "created_at")
    empty_text = _("Import a file whose columns we do not know, and name them.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @display(description=_("columns"))
    def columns(self, row: ImportMapping) -> str:
        told = row.layout.get("columns", {})
        return format_html_join(" ", "{}", ((badge(f"{FIELDS.get(k, k)}: {v}"),) for k, v in told.items())) or "–"
