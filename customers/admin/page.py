"""Pages about one row: a header, sections to leaf through, and actions that ask before they act.

A section or action belongs to the app whose data it shows; apps higher in the house add theirs to a lower
app's page with `add_section`, `add_fact` and `add_action`, so that imports stay one way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from customers import clock
from customers.admin.acting import Asked as Asked
from customers.admin.acting import EmptyForm as EmptyForm
from customers.admin.acting import PageAction as PageAction
from customers.admin.acting import Words as Words
from customers.admin.acting import ask_or_act
from customers.admin.acting import came_from as came_from
from customers.admin.acting import staff_id as staff_id
from customers.admin.base import BaseAdmin

#: Slug of the section that holds the ordinary admin form.
DETAILS = "details"


@dataclass(frozen=True, slots=True)
class Section:
    """One tab of a page; `load` runs only when the tab is shown and returns its template's context."""

    slug: str
    title: Words
    template: str
    load: Callable[[HttpRequest, Any, datetime], dict[str, Any]]
    permission: str
    order: int = 100


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a page's header: a label and short text or badges."""

    label: Words
    value: Words
    order: int = 100


FactLoader = Callable[[HttpRequest, Any, datetime], list[Fact]]


class PageAdmin(BaseAdmin):
    """A ModelAdmin whose change view is such a page; the form, if any, is one section among others."""

    page_sections: ClassVar[list[Section]]
    page_facts: ClassVar[list[FactLoader]]
    page_actions: ClassVar[list[PageAction]]
    #: Of the tab with the form; empty for a page that has none.
    page_details_title: ClassVar[Words] = _("Details")
    #: Show the form first, sections after it.
    page_details_first: ClassVar[bool] = False
    change_form_outer_before_template = "admin/page/head.html"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("page_sections", "page_facts", "page_actions"):
            setattr(cls, name, list(getattr(cls, name, [])))

    @classmethod
    def add_section(cls, section: Section) -> None:
        cls.page_sections = sorted([*cls.page_sections, section], key=lambda s: s.order)

    @classmethod
    def add_fact(cls, loader: FactLoader) -> None:
        cls.page_facts = [*cls.page_facts, loader]

    @classmethod
    def add_action(cls, action: PageAction) -> None:
        cls.page_actions = sorted([*cls.page_actions, action], key=lambda a: a.order)

    # --- what the page says of itself

    def page_title(self, obj: Any) -> str:
        return str(obj)

    def page_subtitle(self, obj: Any) -> str:
        return ""

    def page_customer(self, obj: Any) -> int | None:
        """Id of the customer the row is about, whose log acts on this page are watched by; None: they are not."""
        return None

    def page_url(self, obj: Any, name: str = "change", *args: Any) -> str:
        opts = self.model._meta
        return reverse(f"{self.admin_site.name}:{opts.app_label}_{opts.model_name}_{name}", args=[obj.pk, *args])

    # --- views

    def get_urls(self) -> list[URLPattern]:
        opts = self.model._meta
        return [
            path(
                "<path:object_id>/do/<slug:slug>/",
                self.admin_site.admin_view(self.action_view),
                name=f"{opts.app_label}_{opts.model_name}_do",
            ),
            *super().get_urls(),
        ]

    def _page_context(self, request: HttpRequest, obj: Any, current: str, now: datetime) -> dict[str, Any]:
        user = request.user
        sections = [s for s in self.page_sections if user.has_perm(s.permission)]
        facts = [fact for load in self.page_facts for fact in load(request, obj, now)]
        tabs = [{"slug": s.slug, "title": s.title, "active": s.slug == current} for s in sections]
        if self.page_details_title:
            details = {"slug": DETAILS, "title": self.page_details_title, "active": current == DETAILS}
            tabs.insert(0 if self.page_details_first else len(tabs), details)
        return {
            "page_title": self.page_title(obj),
            "page_subtitle": self.page_subtitle(obj),
            "page_facts": sorted(facts, key=lambda f: f.order),
            "page_tabs": tabs,
            "page_obj": obj,
            "page_now": now,
            "page_actions": [
                {"label": a.label, "icon": a.icon, "danger": a.danger, "url": self.page_url(obj, "do", a.slug)}
                for a in self.page_actions
                if user.has_perm(a.permission) and a.allows(request, obj) and a.fits(obj)
            ],
        }

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page; the ordinary form where that section is asked for or sent back."""
        if "_popup" in request.GET or "_popup" in request.POST:
            return super().change_view(request, object_id, form_url, extra_context)  # type: ignore[no-any-return]
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        now = clock.now()
        sections = {s.slug: s for s in self.page_sections if request.user.has_perm(s.permission)}
        first = DETAILS if self.page_details_first else next(iter(sections), DETAILS)
        # `section` was its name before; addresses people kept go on working.
        current = request.GET.get("tab") or request.GET.get("section") or first
        if request.method == "POST":
            current = DETAILS
        if current != DETAILS and current not in sections:
            raise Http404
        context = {**self._page_context(request, obj, current, now), **(extra_context or {})}
        if current == DETAILS:
            return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]
        return self.section_response(request, obj, sections[current], now, context)

    def section_response(
        self,
        request: HttpRequest,
        obj: Any,
        section: Section,
        now: datetime,
        context: dict[str, Any] | None = None,
        **loaded: Any,
    ) -> HttpResponse:
        """The page with one of its sections, loaded now unless `loaded` says what is in it (a form sent back)."""
        context = context or self._page_context(request, obj, section.slug, now)
        return TemplateResponse(
            request,
            "admin/page/page.html",
            {
                **self.admin_site.each_context(request),
                **context,
                "title": context["page_title"],
                "opts": self.opts,
                "original": obj,
                "media": self.media,
                "section": section,
                "section_template": section.template,
                **(loaded or section.load(request, obj, now)),
            },
        )

    def action_view(self, request: HttpRequest, object_id: str, slug: str) -> HttpResponse:
        """Asks (GET), then acts (POST). Raises PermissionDenied without the action's permission."""
        action = next((a for a in self.page_actions if a.slug == slug), None)
        obj = self.get_object(request, unquote(object_id))
        if action is None or obj is None:
            raise Http404
        if not (request.user.has_perm(action.permission) and self.has_view_permission(request, obj)):
            raise PermissionDenied
        if not action.allows(request, obj):
            raise PermissionDenied
        return ask_or_act(self, request, obj, action)

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Back to the page, not to the list: people go on working on the same row."""
        return HttpResponseRedirect(self.page_url(obj))
