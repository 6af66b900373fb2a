"""Pages of exports: a list that has columns to give (customers.export_lists) goes out as it stands, and is logged."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.test import RequestFactory
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import get_language
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminRadioSelectWidget

from customers import clock
from customers.datafiles import datafile_pieces
from customers.errors import SollecitoError
from customers.export_lists import column_names, column_titles, list_rows, resource_of
from customers.export_runs import DIRECT, OpenedList, export_start, export_stream
from customers.exports import content_type
from customers.models import ExportRun

if TYPE_CHECKING:
    from unfold.admin import ModelAdmin as _Admin
else:
    _Admin = object

MAY = "customers.add_exportrun"
#: Of the query string: the ids of ticked rows.
IDS = "_ids"


class ExportForm(forms.Form):
    """Which columns, in which format."""

    format = forms.ChoiceField(
        label=_("Format"), choices=ExportRun.Format.choices, initial="csv", widget=UnfoldAdminRadioSelectWidget
    )
    headings = forms.ChoiceField(
        label=_("Headings and states"),
        choices=[("words", _("In words, for people")), ("names", _("By the names of fields, for programs"))],
        initial="words",
        required=False,
        widget=UnfoldAdminRadioSelectWidget,
    )
    columns = forms.MultipleChoiceField(
        label=_("Columns"), choices=[], widget=UnfoldAdminCheckboxSelectMultipleWidget, required=True
    )

    def __init__(self, data: Any, names: list[str]) -> None:
        super().__init__(data, initial={"columns": names})
        self.fields["columns"].choices = [(name, name.replace("_", " ")) for name in names]  # type: ignore[attr-defined]


class ExportMixin(_Admin):
    """A list with an Export button and an act on ticked rows, for whoever may take data out."""

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Whether this list goes out to this user: it has columns to give, they may see it, and may export."""
        known = resource_of(self.model) is not None
        return known and request.user.has_perm(MAY) and self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        opts = self.model._meta
        view = self.admin_site.admin_view(self.list_export_view)
        urls: list[URLPattern] = super().get_urls()
        return [path("export/", view, name=f"{opts.app_label}_{opts.model_name}_export"), *urls]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        if self.has_export_permission(request):
            found["export_rows"] = (_export_ticked, "export_rows", _("Export"))
        return found

    def list_export_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Asks for columns and format; then streams the list, or has a worker write it."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        query = request.GET.copy()
        ids = _ids(query)
        label = self.model._meta.label_lower
        run = ExportRun(model=label, query=query.urlencode(), ids=ids, asked_by=request.user)  # type: ignore[misc]
        try:
            rows = _queryset(self, run)
        except SollecitoError as error:
            raise Http404(error.message) from error
        count = rows.order_by().values("pk")[: DIRECT + 1].count()
        form = ExportForm(request.POST or None, column_names(self.model))
        if request.method == "POST" and form.is_valid():
            direct = count <= DIRECT
            run = export_start(
                model=label,
                query=query.urlencode(),
                ids=ids,
                columns=form.cleaned_data["columns"],
                language=get_language() or "" if form.cleaned_data["headings"] == "words" else "",
                form=form.cleaned_data["format"],
                actor_id=request.user.pk or 0,
                now=clock.now(),
                direct=direct,
            )
            if not direct:
                return HttpResponseRedirect(reverse("admin:customers_exportrun_change", args=[run.pk]))
            return _download(run, export_stream(run, _opened(rows, run)))
        name = capfirst(self.model._meta.verbose_name_plural)
        return TemplateResponse(
            request,
            "admin/page/action.html",
            {
                **self.admin_site.each_context(request),
                "title": _now("Export %(list)s") % {"list": name},
                "opts": self.model._meta,
                "media": self.media + form.media,
                "action": {"label": _("Export"), "question": _question(count)},
                "form": form,
                "page_title": _now("as filtered") if query else _now("all of them"),
                "back_url": f"../?{query.urlencode()}",
            },
        )

    @action(description=_("Export"), url_path="export-list", permissions=["export"], icon="download")
    def export_list(self, request: HttpRequest) -> HttpResponse:
        """The button on the list: goes to the page that asks, with the list's filters."""
        opts = self.model._meta
        url = reverse(f"admin:{opts.app_label}_{opts.model_name}_export")
        # The button knows no filters; the page it was pressed on does.
        came = urlsplit(request.headers.get("Referer", ""))
        here = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
        return HttpResponseRedirect(f"{url}?{came.query}" if came.query and came.path == here else url)


def _question(count: int) -> str:
    if count > DIRECT:
        return _now("More than %(n)s rows: a worker writes the file, and you find it among the exports.") % {
            "n": DIRECT
        }
    return _now("%(n)s rows. The export is logged with your name and the filter.") % {"n": count}


def _export_ticked(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
    opts = model_admin.model._meta
    query = request.GET.copy()
    if request.POST.get("select_across") != "1":
        query[IDS] = ",".join(map(str, queryset.values_list("pk", flat=True)))
    return HttpResponseRedirect(f"{reverse(f'admin:{opts.app_label}_{opts.model_name}_export')}?{query.urlencode()}")


def _ids(query: QueryDict) -> list[int] | None:
    told = query.pop(IDS, None)
    if not told:
        return None
    return [int(one) for one in str(told[-1]).split(",") if one.isdecimal()]


def _queryset(model_admin: Any, run: ExportRun) -> QuerySet[Any]:
    """The rows of a list as the person who asks sees it: its filters, its search, and only what is theirs to see."""
    request = RequestFactory().get("/", QueryDict(run.query))
    request.user = run.asked_by  # type: ignore[assignment]
    if run.query or run.ids is None:
        try:
            rows: QuerySet[Any] = model_admin.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters as error:
            raise SollecitoError(_now("The list has no such filter."), code="bad_filter") from error
    else:
        rows = model_admin.get_queryset(request).order_by("-pk")
    return rows if run.ids is None else rows.filter(pk__in=run.ids)


def _opened(rows: QuerySet[Any], run: ExportRun) -> OpenedList:
    names = column_names(rows.model)
    words = bool(run.language)
    titles = column_titles(rows.model, words=words, naive=run.format == ExportRun.Format.XLSX)
    told = [title for name, title in zip(names, titles, strict=True) if not run.columns or name in run.columns]
    return OpenedList(told, list_rows(rows, run.columns, words=words))


def open_list(run: ExportRun) -> OpenedList:
    """The list of an export, opened for a worker. Raises SollecitoError where whoever asked may not export it (any
    more)."""
    model_admin: Any = admin.site._registry.get(apps.get_model(run.model))
    request = RequestFactory().get("/")
    request.user = run.asked_by  # type: ignore[assignment]
    if model_admin is None or run.asked_by is None or not model_admin.has_export_permission(request):
        raise SollecitoError(_now("Whoever asked for it may not export this list."), code="forbidden")
    rows = _queryset(model_admin, run)
    return replace(_opened(rows, run), expected=rows.order_by().count())


def _download(run: ExportRun, pieces: Any) -> StreamingHttpResponse:
    response = StreamingHttpResponse(pieces, content_type=content_type(run.format))
    name = f"{run.model.partition('.')[2]}-{run.pk}.{run.format}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def download_kept(run: ExportRun) -> StreamingHttpResponse:
    """The file a worker wrote, piece by piece. Raises Http404 where it is not kept any more."""
    if run.file_id is None or run.status != ExportRun.Status.DONE:
        raise Http404
    return _download(run, datafile_pieces(run.file_id))


def export_url(run: ExportRun) -> str:
    """The list an export was taken of, filtered as it was."""
    app, _dot, model = run.model.partition(".")
    query = run.query or (urlencode({"id__in": ",".join(map(str, run.ids[:50]))}) if run.ids else "")
    return f"{reverse(f'admin:{app}_{model}_changelist')}?{query}"
