"""Segments: written with completion, counted while typed, used as a filter of the customer and case lists."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet, Sum
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse, reverse_lazy
from django.utils.functional import lazystr
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from billing import money
from billing.models import Invoice, InvoiceStatus
from campaigns.admin.columns import link
from campaigns.models import Segment
from campaigns.models.segment import MAX_QUERY
from campaigns.segments.completion import introspection
from campaigns.segments.evaluate import Count as Found
from campaigns.segments.evaluate import count_among, query_count, segment_ids, segment_ids_lately
from campaigns.segments.language import SegmentError
from campaigns.services.segments import segment_uses
from customers import clock
from customers.admin.base import HistoryAdmin
from customers.admin.page import PageAdmin, Section
from customers.models import Customer
from customers.visibility import among, only_seen, seen_ids


class SegmentFilter(DropdownFilter):
    """Narrows a list to a segment; `owner` is the path from its rows to the customer."""

    title = _("segment")
    parameter_name = "segment"
    owner = "pk"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Segment.objects.values_list("code", "name"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        segment = Segment.objects.filter(code=self.value()).first()
        if segment is None:
            return queryset.none()
        try:
            return queryset.filter(among(members(request, segment, lately=True), path=self.owner))
        except SegmentError:
            # A field it asks about is gone; the segment's own page says which.
            return queryset.none()


class OwnedSegmentFilter(SegmentFilter):
    """For rows that have a customer."""

    owner = "customer"


def members(request: HttpRequest, segment: Segment, *, lately: bool = False) -> list[int]:
    """Ids of the customers in a segment whom the user may see, read once for a request: a list asks for its count,
    its page and an action's rows, and may be told who was in it `lately`. Raises SegmentError."""
    found: dict[str, list[int]] = request.__dict__.setdefault("_segment_members", {})
    if segment.query not in found:
        read = segment_ids_lately if lately else segment_ids
        found[segment.query] = only_seen(read(segment.query, clock.now()), seen_ids(request.user))
    return found[segment.query]


class QueryWidget(UnfoldAdminTextareaWidget):
    """A textarea that completes as DjangoQL does and shows below who answers."""

    class Media:
        css = {"all": ["djangoql/css/completion.css"]}
        js = ["djangoql/js/completion.js", "campaigns/segment_editor.js"]

    def __init__(self) -> None:
        super().__init__(
            attrs={
                "rows": 4,
                "class": "sol-code",
                "spellcheck": "false",
                "autocomplete": "off",
                "data-introspect": lazystr(reverse_lazy("admin:campaigns_segment_introspect")),
                "data-count": lazystr(reverse_lazy("admin:campaigns_segment_count")),
            }
        )


class SegmentForm(ModelForm):  # type: ignore[type-arg]
    query = forms.CharField(
        label=_("Query"),
        max_length=MAX_QUERY,
        widget=QueryWidget,
        help_text=_(
            'For example: kind = "business" and overdue_days > 30. Fields and values are completed as you type.'
        ),
        # Blanks at the ends do not matter, and a place named in an error must be one the author sees.
        strip=False,
    )

    class Meta:
        model = Segment
        fields = ("name", "code", "description", "query")
        widgets = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 2})}


def found_context(query: str, now: datetime, user: Any) -> dict[str, Any]:
    """Context of found.html: how many that `user` may see answer and who, or what is wrong with the query. Eight
    queries at most."""
    if not query.strip():
        return {}
    try:
        theirs = seen_ids(user)
        found = query_count(query, now) if theirs is None else count_among(query, theirs, now)
    except SegmentError as error:
        return {"error": error.message}
    return {"found": found, "sample": _sample(found)}


def _sample(found: Found) -> list[dict[str, Any]]:
    customers = Customer.objects.in_bulk(found.sample)
    sums = (
        Invoice.objects.filter(customer__in=found.sample, status=InvoiceStatus.OPEN)
        .values("customer_id", "currency")
        .annotate(owed=Sum("balance"))
        .order_by("currency")
    )
    owes: dict[int, list[str]] = {}
    for row in sums:
        owes.setdefault(row["customer_id"], []).append(money.shown(row["owed"], row["currency"]))
    return [{"customer": customers[pk], "owes": owes.get(pk, [])} for pk in found.sample if pk in customers]


def _matching(request: HttpRequest, segment: Segment, now: datetime) -> dict[str, Any]:
    lists = [
        (title, f"{reverse(f'admin:{model}_changelist')}?segment={segment.code}")
        for title, model, permission in (
            (_("Its customers"), "customers_customer", "customers.view_customer"),
            (_("Their cases"), "campaigns_case", "campaigns.view_case"),
        )
        if request.user.has_perm(permission)
    ]
    uses = [link(use.model, use.pk, use.words) for use in segment_uses(segment)]
    return {**found_context(segment.query, now, request.user), "uses": uses, "lists": lists}


@admin.register(Segment)
class SegmentAdmin(PageAdmin, HistoryAdmin):
    form = SegmentForm
    list_display = ("name", "shown_query", "description", "used")
    search_fields = ("name", "code", "query")
    fields = (("name", "code"), "description", "query")
    page_sections = [
        Section(
            "matching",
            _("Customers"),
            "admin/campaigns/segment/matching.html",
            _matching,
            "customers.view_customer",
            10,
        )
    ]

    def page_subtitle(self, obj: Segment) -> str:
        return obj.description

    def get_queryset(self, request: HttpRequest) -> QuerySet[Segment]:
        return super().get_queryset(request).annotate(ladder_count=Count("ladders"))  # type: ignore[no-any-return]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, list[Any]]:
        """As Django's, with what protects a segment said in words that name each place of use."""
        deleted, counts, lacking, _protected = super().get_deleted_objects(objs, request)
        uses = [(segment, use) for segment in objs for use in segment_uses(segment)]
        named = [
            format_html("{}: {}", segment, link(use.model, use.pk, use.words)) if len(objs) > 1
            else link(use.model, use.pk, use.words)
            for segment, use in uses
        ]  # fmt: skip
        # Nothing goes with a segment: what uses it keeps it, whoever may delete that.
        return deleted, counts, set() if named else lacking, named

    def get_prepopulated_fields(self, request: HttpRequest, obj: Segment | None = None) -> dict[str, Any]:
        # A code in use stands in links and files; it does not follow the name.
        return {} if obj else {"code": ("name",)}

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "introspect/",
                self.admin_site.admin_view(self.introspect_view),
                name="campaigns_segment_introspect",
            ),
            path("count/", self.admin_site.admin_view(self.count_view), name="campaigns_segment_count"),
            *super().get_urls(),
        ]

    def _may_look(self, request: HttpRequest) -> None:
        # Both tell of customers: who may see neither segments nor them is told nothing.
        if not (self.has_view_permission(request) and request.user.has_perm("customers.view_customer")):
            raise PermissionDenied

    def introspect_view(self, request: HttpRequest) -> HttpResponse:
        """What may be completed, as JSON."""
        self._may_look(request)
        return JsonResponse(introspection())

    def count_view(self, request: HttpRequest) -> HttpResponse:
        """Who answers to the query sent, as a piece of HTML. POST, because a query may be long."""
        self._may_look(request)
        query = request.POST.get("query", "")[:MAX_QUERY]
        return TemplateResponse(
            request, "admin/campaigns/segment/found.html", found_context(query, clock.now(), request.user)
        )

    @display(description=_("query"))
    def shown_query(self, row: Segment) -> str:
        return row.query if len(row.query) <= 90 else row.query[:87] + "…"

    @display(description=_("ladders"), ordering="ladder_count")
    def used(self, row: Any) -> str:
        return str(row.ladder_count or "–")
