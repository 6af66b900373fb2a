"""Ladders: read as sentences, their versions listed and compared, copied, imported; drafts are ladder_versions'."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import label_for_field
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from campaigns.admin.columns import VERSION, link
from campaigns.admin.ladder_diff import compare
from campaigns.admin.ladder_forms import CopyForm, ImportForm, free_code
from campaigns.admin.ladder_kit import audience, live_cases, steps_of, to_draft
from campaigns.admin.sentences import DAY_ZERO, end_sentence, frame_sentences, sentence
from campaigns.models import Case, Ladder, LadderVersion, VersionStatus
from campaigns.models.case import LIVE_STATES
from campaigns.services.ladder_copies import ladder_copy
from campaigns.services.ladder_files import ladder_import
from campaigns.services.versions import ladder_draft
from customers.admin.base import HistoryAdmin, NoDeleteMixin
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section
from customers.display import badge, choice_badge
from customers.errors import SollecitoError


def _draft(asked: Asked) -> HttpResponse:
    return to_draft(ladder_draft(ladder_id=asked.obj.pk))


def _copy(asked: Asked) -> HttpResponse:
    draft = ladder_copy(
        ladder_id=asked.obj.pk, code=asked.data["code"], name=asked.data["name"], before=asked.data["before"]
    )
    messages.success(asked.request, _now("Copied: this is its draft. Nobody follows it before you publish it."))
    return to_draft(draft)


def _read(request: HttpRequest, ladder: Ladder, now: datetime) -> dict[str, Any]:
    """The ladder as it is followed now: its published version in sentences, or its first draft."""
    versions = list(ladder.versions.exclude(status=VersionStatus.RETIRED))
    live = next((row for row in versions if row.status == VersionStatus.PUBLISHED), None)
    draft = next((row for row in versions if row.status == VersionStatus.DRAFT), None)
    shown = live or draft
    if shown is not None:
        shown.ladder = ladder
    return {
        "version": shown,
        "live": live,
        "draft": draft,
        "rungs": [(step, sentence(step), ()) for step in steps_of(shown)],
        "day_zero": DAY_ZERO.get(ladder.trigger, ""),
        "frame_sentences": frame_sentences(shown) if shown else [],
        "end_sentence": end_sentence(shown) if shown else "",
    }


def _versions(request: HttpRequest, ladder: Ladder, now: datetime) -> dict[str, Any]:
    rows = list(ladder.versions.select_related("published_by").order_by("-number")[:50])
    counts = dict(
        Case.objects.filter(ladder_version__in=rows, state__in=LIVE_STATES)
        .order_by()
        .values_list("ladder_version_id")
        .annotate(n=Count("pk"))
    )
    return {"versions": [(row, choice_badge(row, "status", VERSION), counts.get(row.pk, 0)) for row in rows]}


def _compare(request: HttpRequest, ladder: Ladder, now: datetime) -> dict[str, Any]:
    """Two versions by their numbers (`a` and `b`), the newest two unless others are asked for."""
    rows = list(ladder.versions.order_by("-number"))
    by_number = {str(row.number): row for row in rows}
    after = by_number.get(request.GET.get("b", "")) or (rows[0] if rows else None)
    older = [row for row in rows if after is not None and row.number < after.number]
    before = by_number.get(request.GET.get("a", "")) or (older[0] if older else None)
    diff = compare(before, steps_of(before), after, steps_of(after)) if after is not None else None
    return {"rows": rows, "before": before, "after": after, "diff": diff}


@admin.register(Ladder)
class LadderAdmin(PageAdmin, NoDeleteMixin, HistoryAdmin):
    list_display = ("name", "code", "trigger", "audience", "priority", "on", "published")
    list_select_related = ("brand", "segment")
    list_filter = (("trigger", ChoicesDropdownFilter), ("brand", RelatedDropdownFilter), "active")
    search_fields = ("name", "code")
    autocomplete_fields = ("brand", "segment")
    readonly_fields = ("created_at",)
    fields = (
        ("name", "code"), "description", ("trigger", "brand", "segment"), ("priority", "active"), "created_at",
    )  # fmt: skip
    actions_list = ("import_yaml",)
    page_sections = [
        Section("read", _("Steps"), "admin/campaigns/ladder/read.html", _read, "campaigns.view_ladderversion", 10),
        Section(
            "versions", _("Versions"), "admin/campaigns/ladder/versions.html", _versions,
            "campaigns.view_ladderversion", 20,
        ),
        Section(
            "compare", _("Compare"), "admin/campaigns/ladder/compare.html", _compare,
            "campaigns.view_ladderversion", 30,
        ),
    ]  # fmt: skip
    page_facts = [
        lambda request, ladder, now: [
            Fact(_("Starts when"), ladder.get_trigger_display(), 10),
            Fact(_("For"), audience(ladder), 20),
            Fact(_("Priority"), ladder.priority, 30),
            Fact(_("In use"), badge(_("on"), "success") if ladder.active else badge(_("off")), 40),
            Fact(_("Live cases"), live_cases(ladder.pk), 50),
        ]
    ]
    page_actions = [
        PageAction(
            slug="draft",
            label=_("Edit as a draft"),
            icon="edit",
            permission="campaigns.change_ladderversion",
            question=_(
                "Opens the draft, or makes one from the published version. Nothing changes until it is published."
            ),
            run=_draft,
            order=10,
        ),
        PageAction(
            slug="copy",
            label=_("Copy"),
            icon="content_copy",
            permission="campaigns.add_ladder",
            question=_("Makes a ladder of your own that says the same, as a draft."),
            form=CopyForm,
            initial=lambda ladder, now: {
                "name": _now("%(name)s (copy)") % {"name": ladder.name[:100]},
                "code": free_code(ladder.code),
                "before": True,
            },
            run=_copy,
            order=20,
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ladder]:
        live = LadderVersion.objects.filter(status=VersionStatus.PUBLISHED)
        rows: QuerySet[Ladder] = super().get_queryset(request).select_related("brand", "segment")
        return rows.prefetch_related(Prefetch("versions", live, to_attr="live"))

    def get_urls(self) -> list[URLPattern]:
        return [
            path("import/", self.admin_site.admin_view(self.import_view), name="campaigns_ladder_import"),
            *super().get_urls(),
        ]

    @action(description=_("Import YAML"), url_path="import-yaml", icon="upload", permissions=["import_yaml"])
    def import_yaml(self, request: HttpRequest) -> HttpResponse:
        """Only leads to the page that asks; what changes anything there is a POST."""
        return HttpResponseRedirect(reverse("admin:campaigns_ladder_import"))

    def has_import_yaml_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.add_ladder") and request.user.has_perm(
            "campaigns.change_ladderversion"
        )

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Asks for a YAML file (GET), makes a draft of it (POST); what is wrong with it is said with its line."""
        if not self.has_import_yaml_permission(request):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                done = ladder_import(
                    source=form.cleaned_data["source"],
                    place=form.cleaned_data["place"],
                    settings=form.cleaned_data["settings"],
                )
            except SollecitoError as error:
                form.add_error("file" if form.cleaned_data["file"] else "text", error.message)
            else:
                messages.success(request, _now("Imported as a draft: read it, then publish it."))
                if done.kept:
                    kept = ", ".join(capfirst(str(label_for_field(name, Ladder))) for name in done.kept)
                    messages.warning(request, _now("The ladder in use keeps its own %(fields)s.") % {"fields": kept})
                return to_draft(done.version)
        context = {
            **self.admin_site.each_context(request), "title": _("Import a ladder"), "opts": self.opts, "form": form,
            "media": self.media + form.media, "back_url": reverse("admin:campaigns_ladder_changelist"),
        }  # fmt: skip
        return TemplateResponse(request, "admin/campaigns/ladder/import.html", context)

    @display(description=_("for"))
    def audience(self, row: Ladder) -> str:
        return audience(row)

    @display(description=_("in use"), ordering="active")
    def on(self, row: Ladder) -> str:
        return badge(_("on"), "success") if row.active else badge(_("off"))

    @display(description=_("published version"))
    def published(self, row: Any) -> str:
        return link("campaigns_ladderversion", row.live[0].pk, f"v{row.live[0].number}") if row.live else "–"
