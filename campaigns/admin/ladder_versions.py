"""Versions of ladders: a draft is edited rung by rung and published, an old one read, exported, taken up again."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from campaigns.admin.columns import VERSION, link
from campaigns.admin.ladder_diff import compare
from campaigns.admin.ladder_editor import SECTION, load_steps, rungs_view
from campaigns.admin.ladder_forms import PublishForm, RestoreForm
from campaigns.admin.ladder_history import edits
from campaigns.admin.ladder_kit import audience, live_cases, steps_of, to_draft
from campaigns.models import LadderVersion, VersionStatus
from campaigns.services.ladder_checks import ladder_problems
from campaigns.services.ladder_copies import ladder_restore
from campaigns.services.ladder_files import ladder_export
from campaigns.services.versions import ladder_publish
from customers.admin.base import BaseAdmin
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section
from customers.display import choice_badge, when


def _restore(asked: Asked) -> HttpResponse:
    draft = ladder_restore(version_id=asked.obj.pk, replace=asked.data["replace"])
    messages.success(
        asked.request,
        _now("Draft %(draft)d says what version %(old)d said; publish it to go back.")
        % {"draft": draft.number, "old": asked.obj.number},
    )
    return to_draft(draft)


def _publish(asked: Asked) -> str:
    ladder_publish(version_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now, note=asked.data["note"])
    return _now("Published: cases opened from now on follow it; those under way keep the version they began with.")


def _publishing(request: HttpRequest, version: LadderVersion, now: datetime) -> dict[str, Any]:
    """What publishing changes, what stands against it, and who comes before this ladder."""
    live = LadderVersion.objects.filter(ladder_id=version.ladder_id, status=VersionStatus.PUBLISHED).first()
    steps = steps_of(version)
    problems = ladder_problems(version, steps)
    rivals = list(
        LadderVersion.objects.filter(
            status=VersionStatus.PUBLISHED, ladder__active=True, ladder__trigger=version.ladder.trigger
        )
        .exclude(ladder_id=version.ladder_id)
        .select_related("ladder__brand", "ladder__segment")
        .order_by("ladder__priority", "ladder_id")
    )
    own = version.ladder
    ahead = [r.ladder for r in rivals if (r.ladder.priority, r.ladder_id) < (own.priority, own.pk)]
    warnings = [problem.message for problem in problems if not problem.is_error]
    if not own.active:
        warnings.insert(0, _now("The ladder is switched off: no case will follow it."))
    for rival in ahead:
        if rival.segment_id is None and rival.brand_id in (None, own.brand_id):
            warnings.insert(
                0,
                _now("“%(ladder)s” comes first (priority %(priority)d) and is for everybody: no case would come here.")
                % {"ladder": rival, "priority": rival.priority},
            )
            break
    return {
        "version": version,
        "live": live,
        "diff": compare(live, steps_of(live), version, steps),
        "live_cases": live_cases(version.ladder_id),
        "lint_errors": [problem.message for problem in problems if problem.is_error],
        "lint_warnings": warnings,
        "ahead": ahead,
        "refused": any(problem.is_error for problem in problems),
    }


def _restoring(request: HttpRequest, version: LadderVersion, now: datetime) -> dict[str, Any]:
    versions = LadderVersion.objects.filter(ladder_id=version.ladder_id)
    live = versions.filter(status=VersionStatus.PUBLISHED).first()
    return {
        "version": version,
        "live": live,
        "diff": compare(live, steps_of(live), version, steps_of(version)),
        "draft": versions.filter(status=VersionStatus.DRAFT).first(),
    }


def _edits(request: HttpRequest, version: LadderVersion, now: datetime) -> dict[str, Any]:
    return {"edits": edits(version)}


@admin.register(LadderVersion)
class LadderVersionAdmin(PageAdmin, BaseAdmin):
    list_display = ("__str__", "state", "published_at", "published_by", "note")
    list_select_related = ("ladder", "published_by")
    list_filter = (("status", ChoicesDropdownFilter), ("ladder", RelatedDropdownFilter))
    search_fields = ("ladder__name", "ladder__code")
    readonly_fields = ("ladder", "number", "status", "published_at", "published_by")
    fields = (("ladder", "number", "status"), "note", ("published_at", "published_by"))
    page_sections = [
        Section(
            SECTION, _("Steps"), "admin/campaigns/ladder/steps.html", load_steps, "campaigns.view_ladderversion", 10
        ),
        Section("edits", _("Edits"), "admin/campaigns/ladder/edits.html", _edits, "campaigns.view_ladderversion", 20),
    ]
    page_facts = [
        lambda request, version, now: [
            Fact(_("Ladder"), link("campaigns_ladder", version.ladder_id, version.ladder), 10),
            Fact(_("Status"), choice_badge(version, "status", VERSION), 20),
            Fact(_("Starts when"), version.ladder.get_trigger_display(), 25),
            Fact(_("For"), audience(version.ladder), 26),
            Fact(_("Published"), when(version.published_at), 30),
            *([Fact(_("What changed"), version.note, 40)] if version.note else []),
        ]
    ]
    page_actions = [
        PageAction(
            slug="publish",
            label=_("Publish"),
            icon="publish",
            permission="campaigns.change_ladderversion",
            question=_("New cases will follow this version. It can never be changed afterwards."),
            form=PublishForm,
            initial=lambda version, now: {"note": version.note},
            fits=lambda version: version.status == VersionStatus.DRAFT,
            details="admin/campaigns/ladder/publishing.html",
            load=_publishing,
            run=_publish,
            order=10,
        ),
        PageAction(
            slug="restore",
            label=_("Go back to this version"),
            icon="history",
            permission="campaigns.change_ladderversion",
            question=_("Makes a draft that says what this version says, for you to publish. Nothing old is changed."),
            form=RestoreForm,
            fits=lambda version: version.status == VersionStatus.RETIRED,
            details="admin/campaigns/ladder/restoring.html",
            load=_restoring,
            run=_restore,
            order=20,
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[LadderVersion]:
        rows: QuerySet[LadderVersion] = super().get_queryset(request)
        return rows.select_related("ladder__brand", "ladder__segment", "published_by")

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "<path:object_id>/rungs/",
                self.admin_site.admin_view(self.rungs_view),
                name="campaigns_ladderversion_rungs",
            ),
            path(
                "<path:object_id>/export/",
                self.admin_site.admin_view(self.export_view),
                name="campaigns_ladderversion_export",
            ),
            *super().get_urls(),
        ]

    def rungs_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Takes what is done in the editor."""
        section = next(section for section in self.page_sections if section.slug == SECTION)
        return rungs_view(self, request, self.get_object(request, object_id), section)

    def export_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The version as a YAML file to keep."""
        version = self.get_object(request, object_id)
        if version is None:
            raise Http404
        if not self.has_view_permission(request, version):
            raise PermissionDenied
        response = HttpResponse(ladder_export(version_id=version.pk), content_type="application/yaml; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{version.ladder.code}.yaml"'
        return response

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
