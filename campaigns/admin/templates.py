"""Templates and their versions: texts per language, checked at save with the line at fault, previewed, published."""

from datetime import datetime
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse, reverse_lazy
from django.utils.functional import lazystr
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from campaigns.admin import template_variants
from campaigns.admin.columns import VERSION, link
from campaigns.admin.template_preview import ACTIONS, changes, editor_names, missing_words, preview, written
from campaigns.models import Template, TemplateText, TemplateVersion
from campaigns.rendering.lint import check_template
from campaigns.rendering.problems import Problem
from campaigns.rendering.variables import declared_variables
from campaigns.services.versions import template_draft, template_publish
from customers.admin.base import BaseAdmin, HistoryAdmin, NoDeleteMixin
from customers.admin.page import DETAILS, Asked, Fact, PageAction, PageAdmin, Section
from customers.display import choice_badge, when
from customers.meanwhile import Changed, mark, refuse_changed

TONE = {"friendly": "success", "firm": "warning", "final": "danger"}
#: Part of a template → field of its form.
_FIELD = {"subject": "subject", "mjml": "body", "text": "text"}
_WRITTEN = ("language", "channel", "subject", "body", "text")


class BodyWidget(UnfoldAdminTextareaWidget):
    """A text that is shown as its reader gets it while it is written, with the variables it may use beside it."""

    class Media:
        js = ["campaigns/template_editor.js"]

    def __init__(self) -> None:
        super().__init__(
            attrs={
                "rows": 24,
                "class": "sol-code",
                "spellcheck": "false",
                "data-render": lazystr(reverse_lazy("admin:campaigns_templateversion_render")),
                "data-names": lazystr(reverse_lazy("admin:campaigns_templateversion_names")),
            }
        )


class TextForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses a text that would not render, beside the field and with the line, and one that somebody else has saved
    meanwhile; warnings are shown on saving."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = TemplateText
        fields = _WRITTEN
        widgets = {
            "body": BodyWidget(),
            "text": UnfoldAdminTextareaWidget(attrs={"rows": 10, "class": "sol-code"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["seen"] = mark(self.instance, _WRITTEN)

    def _meanwhile(self, seen: str) -> None:
        """Tells of another's text that this one would undo; saved once more, it does."""
        there = TemplateText.objects.select_for_update().filter(pk=self.instance.pk).first()
        try:
            if there is not None:
                refuse_changed(there, _WRITTEN, seen)
        except Changed as error:
            self.add_error("subject", error.message)  # errors of no field are not shown in a stacked inline
            told = cast(QueryDict, self.data).copy()
            told[self.add_prefix("seen")] = error.seen
            self.data = told

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        self.warnings: list[Problem] = []
        if self.instance.pk:
            self._meanwhile(data.get("seen", ""))
        if not data.get("body") or self.errors:
            return data
        problems = check_template(
            subject=data.get("subject", ""),
            mjml=data["body"],
            text=data.get("text") or None,
            language=data.get("language", "en"),
            channel=data.get("channel") or self.instance.channel,
        )
        for problem in problems:
            if problem.severity == "error":
                words = _now("Line %(line)d: %(message)s") % {"line": problem.line, "message": problem.message}
                self.add_error(_FIELD[problem.part], f"{words} {problem.suggestion}".strip())
            else:
                self.warnings.append(problem)
        return data


class TextInline(StackedInline):
    model = TemplateText
    form = TextForm
    extra = 0


def _draft(asked: Asked) -> HttpResponseRedirect:
    version = template_draft(template_id=asked.obj.pk)
    url = reverse("admin:campaigns_templateversion_change", args=[version.pk])
    return HttpResponseRedirect(f"{url}?section={DETAILS}")


def _publish(asked: Asked) -> str:
    template_publish(version_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("Published: messages written from now on use it.")


def _versions(request: HttpRequest, template: Template, now: datetime) -> dict[str, Any]:
    rows = template.versions.select_related("published_by").prefetch_related("texts").order_by("-number")[:50]
    return {
        "versions": [
            (
                row,
                choice_badge(row, "status", VERSION),
                # A text for each channel, a language only once.
                list(dict.fromkeys(t.get_language_display() for t in row.texts.all())),
            )
            for row in rows
        ]
    }


def _variables(request: HttpRequest, version: TemplateVersion, now: datetime) -> dict[str, Any]:
    return {"variables": declared_variables()}


@admin.register(Template)
class TemplateAdmin(PageAdmin, NoDeleteMixin, HistoryAdmin):
    list_display = ("name", "code", "channel", "shown_tone", "published")
    list_filter = (("channel", ChoicesDropdownFilter), ("tone", ChoicesDropdownFilter))
    search_fields = ("name", "code")
    readonly_fields = ("created_at",)
    fields = (("name", "code"), ("channel", "tone"), "created_at")
    page_sections = [
        Section(
            "versions",
            _("Versions"),
            "admin/campaigns/template/versions.html",
            _versions,
            "campaigns.view_templateversion",
            10,
        ),
        template_variants.SECTION,
    ]
    inlines = (template_variants.VariantInline,)
    page_actions = [
        PageAction(
            slug="draft",
            label=_("Edit as a draft"),
            icon="edit",
            permission="campaigns.change_templateversion",
            question=_(
                "Opens the draft, or makes one from the published version. Nothing changes until it is published."
            ),
            run=_draft,
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Template]:
        live = TemplateVersion.objects.filter(status=TemplateVersion.Status.PUBLISHED)
        return super().get_queryset(request).prefetch_related(Prefetch("versions", live, to_attr="live"))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for words in template_variants.problems(form.instance):
            messages.warning(request, words)

    @display(description=_("tone"), ordering="tone")
    def shown_tone(self, row: Template) -> str:
        return choice_badge(row, "tone", TONE)

    @display(description=_("published version"))
    def published(self, row: Any) -> str:
        return link("campaigns_templateversion", row.live[0].pk, f"v{row.live[0].number}") if row.live else "–"


@admin.register(TemplateVersion)
class TemplateVersionAdmin(PageAdmin, BaseAdmin):
    list_display = ("__str__", "state", "published_at", "published_by")
    list_select_related = ("template", "published_by")
    list_filter = (("status", ChoicesDropdownFilter), ("template", RelatedDropdownFilter))
    search_fields = ("template__name", "template__code")
    readonly_fields = ("template", "number", "status", "published_at", "published_by")
    inlines = (TextInline,)
    page_details_title = _("Texts")
    page_sections = [
        Section(
            "preview",
            _("Preview"),
            "admin/campaigns/template/preview.html",
            preview,
            "campaigns.view_templateversion",
            10,
        ),
        Section(
            "changes",
            _("Changes"),
            "admin/campaigns/template/changes.html",
            changes,
            "campaigns.view_templateversion",
            15,
        ),
        Section(
            "variables",
            _("Variables"),
            "admin/campaigns/template/variables.html",
            _variables,
            "campaigns.view_templateversion",
            20,
        ),
    ]
    page_facts = [
        lambda request, version, now: [
            Fact(_("Template"), link("campaigns_template", version.template_id, version.template), 10),
            Fact(_("Status"), choice_badge(version, "status", VERSION), 20),
            Fact(_("Published"), when(version.published_at), 30),
        ]
    ]
    page_actions = [
        PageAction(
            slug="publish",
            label=_("Publish"),
            icon="publish",
            permission="campaigns.change_templateversion",
            question=_("Every message written from now on uses this version. It can never be changed afterwards."),
            fits=lambda version: version.status == TemplateVersion.Status.DRAFT,
            run=_publish,
        ),
        *ACTIONS,
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TemplateVersion]:
        return super().get_queryset(request).select_related("template", "published_by")

    def get_fieldsets(self, request: HttpRequest, obj: TemplateVersion | None = None) -> list[Any]:
        return []  # what is known of the version stands in the page's head; the form is its texts

    def get_urls(self) -> list[URLPattern]:
        return [
            path("render/", self.admin_site.admin_view(self.render_view), name="campaigns_templateversion_render"),
            path("names/", self.admin_site.admin_view(self.names_view), name="campaigns_templateversion_names"),
            *super().get_urls(),
        ]

    def render_view(self, request: HttpRequest) -> HttpResponse:
        """What is being written, as its reader gets it, or what is wrong with it: a piece of HTML."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        return TemplateResponse(request, "admin/campaigns/template/shown.html", written(request.POST))

    def names_view(self, request: HttpRequest) -> HttpResponse:
        """Variables and choices of the editor, as JSON."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        return JsonResponse(editor_names())

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # drafts are made from a template, so that none starts empty by mistake

    def has_change_permission(self, request: HttpRequest, obj: TemplateVersion | None = None) -> bool:
        may: bool = super().has_change_permission(request, obj)
        return may and (obj is None or obj.status == TemplateVersion.Status.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: TemplateVersion | None = None) -> bool:
        may: bool = super().has_delete_permission(request, obj)
        return may and obj is not None and obj.status == TemplateVersion.Status.DRAFT

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for text_form in formset.forms:
            for problem in getattr(text_form, "warnings", ()):
                messages.warning(request, f"{text_form.instance.get_language_display()}: {problem}")
        if missing := missing_words(form.instance):
            messages.warning(request, _now("No text yet for: %(missing)s") % {"missing": ", ".join(missing)})

    @display(description=_("status"), ordering="status")
    def state(self, row: TemplateVersion) -> str:
        return choice_badge(row, "status", VERSION)
