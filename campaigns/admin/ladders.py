"""Ladders and their versions: edited as a draft, read as sentences, published by a service."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Count, Prefetch, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from campaigns.admin.columns import VERSION, link
from campaigns.admin.sentences import sentence
from campaigns.engine.conditions import check_condition
from campaigns.models import Ladder, LadderVersion, Step, VersionStatus
from campaigns.services.versions import ladder_draft, ladder_publish
from customers.admin.base import BaseAdmin, HistoryAdmin, NoDeleteMixin
from customers.admin.page import DETAILS, Asked, Fact, PageAction, PageAdmin, Section
from customers.display import badge, choice_badge, when
from customers.errors import SollecitoError


def _draft(asked: Asked) -> Any:
    version = ladder_draft(ladder_id=asked.obj.pk)
    url = reverse("admin:campaigns_ladderversion_change", args=[version.pk])
    return HttpResponseRedirect(f"{url}?section={DETAILS}")


def _publish(asked: Asked) -> str:
    ladder_publish(version_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("Published: cases opened from now on follow it; those under way keep the version they began with.")


def _versions(request: HttpRequest, ladder: Ladder, now: datetime) -> dict[str, Any]:
    versions = (
        ladder.versions.annotate(case_count=Count("cases"))
        .select_related("published_by")
        .prefetch_related(Prefetch("steps", Step.objects.select_related("template").order_by("position")))
        .order_by("-number")[:20]
    )
    return {
        "versions": [
            (row, choice_badge(row, "status", VERSION), [(s, sentence(s)) for s in row.steps.all()])
            for row in versions
        ]
    }


def _steps(request: HttpRequest, version: LadderVersion, now: datetime) -> dict[str, Any]:
    steps = version.steps.select_related("template").order_by("position")
    return {"version": version, "steps": [(step, sentence(step)) for step in steps]}


@admin.register(Ladder)
class LadderAdmin(PageAdmin, NoDeleteMixin, HistoryAdmin):
    list_display = ("name", "code", "trigger", "brand", "segment", "priority", "on", "published")
    list_select_related = ("brand", "segment")
    list_filter = (("trigger", ChoicesDropdownFilter), ("brand", RelatedDropdownFilter), "active")
    search_fields = ("name", "code")
    autocomplete_fields = ("brand", "segment")
    readonly_fields = ("created_at",)
    fields = (("name", "code"), "description", ("trigger", "brand"), ("segment", "priority", "active"), "created_at")
    page_sections = [
        Section(
            "versions",
            _("Versions"),
            "admin/campaigns/ladder/versions.html",
            _versions,
            "campaigns.view_ladderversion",
            10,
        )
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
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ladder]:
        live = LadderVersion.objects.filter(status=VersionStatus.PUBLISHED)
        return super().get_queryset(request).prefetch_related(Prefetch("versions", live, to_attr="live"))  # type: ignore[no-any-return]

    @display(description=_("in use"), ordering="active")
    def on(self, row: Ladder) -> str:
        return badge(_("on"), "success") if row.active else badge(_("off"))

    @display(description=_("published version"))
    def published(self, row: Any) -> str:
        return link("campaigns_ladderversion", row.live[0].pk, f"v{row.live[0].number}") if row.live else "–"


class StepForm(ModelForm):  # type: ignore[type-arg]
    """Refuses a condition the engine would not understand, at the desk and not at night."""

    def clean_condition(self) -> Any:
        condition = self.cleaned_data.get("condition") or {}
        try:
            check_condition(condition)
        except SollecitoError as error:
            self.add_error("condition", error.message)
        return condition


class StepInline(StackedInline):
    model = Step
    form = StepForm
    extra = 0
    ordering_field = "position"
    hide_ordering_field = True
    autocomplete_fields = ("template",)
    ordering = ("position",)
    collapsible = True
    fields = (
        ("position", "name", "key"),
        ("offset", "offset_unit", "anchor"),
        ("action", "channel", "template"),
        ("window_days", "window_from", "window_to", "business_days"),
        ("condition", "wait_for_retry_hours"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Step]:
        return super().get_queryset(request).select_related("template")  # type: ignore[no-any-return]


@admin.register(LadderVersion)
class LadderVersionAdmin(PageAdmin, BaseAdmin):
    list_display = ("__str__", "state", "published_at", "published_by", "note")
    list_select_related = ("ladder", "published_by")
    list_filter = (("status", ChoicesDropdownFilter), ("ladder", RelatedDropdownFilter))
    search_fields = ("ladder__name", "ladder__code")
    readonly_fields = ("ladder", "number", "status", "published_at", "published_by")
    fields = (
        ("ladder", "number", "status"), "note", ("min_gap_hours", "end_after_hours"), "end_actions",
        ("published_at", "published_by"),
    )  # fmt: skip
    inlines = (StepInline,)
    page_sections = [
        Section("steps", _("Steps"), "admin/campaigns/ladder/steps.html", _steps, "campaigns.view_ladderversion", 10)
    ]
    page_facts = [
        lambda request, version, now: [
            Fact(_("Ladder"), link("campaigns_ladder", version.ladder_id, version.ladder), 10),
            Fact(_("Status"), choice_badge(version, "status", VERSION), 20),
            Fact(_("Published"), when(version.published_at), 30),
        ]
    ]
    page_actions = [
        PageAction(
            slug="publish",
            label=_("Publish"),
            icon="publish",
            permission="campaigns.change_ladderversion",
            question=_("New cases will follow this version. It can never be changed afterwards."),
            fits=lambda version: version.status == VersionStatus.DRAFT,
            run=_publish,
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[LadderVersion]:
        return super().get_queryset(request).select_related("ladder", "published_by")  # type: ignore[no-any-return]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # drafts are made from a ladder, so that none starts empty by mistake

    def has_change_permission(self, request: HttpRequest, obj: LadderVersion | None = None) -> bool:
        may: bool = super().has_change_permission(request, obj)
        return may and (obj is None or obj.status == VersionStatus.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: LadderVersion | None = None) -> bool:
        may: bool = super().has_delete_permission(request, obj)
        return may and obj is not None and obj.status == VersionStatus.DRAFT

    @display(description=_("status"), ordering="status")
    def state(self, row: LadderVersion) -> str:
        return choice_badge(row, "status", VERSION)
