"""Pages about one row: a header, sections to leaf through, and actions that ask before they act.

A section or action belongs to the app whose data it shows; apps higher in the house add theirs to a lower
app's page with `add_section`, `add_fact` and `add_action`, so that imports stay one way.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from customers import clock
from customers.admin.base import BaseAdmin
from customers.errors import SollecitoError
from customers.meanwhile import Changed, last_line, refuse_news

#: Slug of the section that holds the ordinary admin form.
DETAILS = "details"

Words = Any  # str or lazy translation


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


@dataclass(frozen=True, slots=True)
class Asked:
    """What an action is carried out on: the row, the cleaned form, who asked (their id) and when (UTC)."""

    request: HttpRequest
    obj: Any
    data: dict[str, Any]
    actor_id: int
    now: datetime


def staff_id(request: HttpRequest) -> int:
    """Id of who asks; the admin lets nobody in without logging in. Raises PermissionDenied all the same."""
    if request.user.pk is None:
        raise PermissionDenied
    return request.user.pk


def came_from(request: HttpRequest) -> str:
    """Where an act was called from (`?next=`, a path of this site), and where one goes back to after it; or empty."""
    path = request.GET.get("next", "")
    return path if url_has_allowed_host_and_scheme(path, allowed_hosts=None) else ""


class EmptyForm(forms.Form):
    """For actions that need a yes and nothing else."""


@dataclass(frozen=True, slots=True)
class PageAction:
    """Something a person may do to the row: shown as a button, asked about on a page of its own, done by POST.

    `run` calls one service and returns the sentence shown afterwards, or a response of its own. `fits` says
    whether the row is in a state for it (the service has the last word). `form` may be a form class or a
    callable of the row that makes one.
    """

    slug: str
    label: Words
    permission: str
    run: Callable[[Asked], Any]
    icon: str = "bolt"
    question: Words = ""
    form: type[forms.Form] = EmptyForm
    initial: Callable[[Any, datetime], dict[str, Any]] = field(default=lambda obj, now: {})
    fits: Callable[[Any], bool] = field(default=lambda obj: True)
    #: Who besides the permission's holders may not: asked with who looks at the page.
    allows: Callable[[HttpRequest, Any], bool] = field(default=lambda request, obj: True)
    danger: bool = False
    order: int = 100
    #: Shown below the question: a template and what it needs. `{"refused": True}` takes the button away.
    details: str = ""
    load: Callable[[HttpRequest, Any, datetime], dict[str, Any]] = field(default=lambda request, obj, now: {})
    template: str = "admin/page/action.html"
    #: Whoever acts is told first what happened to the customer since they opened the form, and the act runs in one
    #: transaction with that question. False for what must not run in a transaction, as charges.
    watched: bool = True
    #: A refusal is shown in the form, with all that was filled in; else on the row's page.
    keeps_form: bool = False
    #: True for a form that was sent to be shown again, as with a preview, and not to act.
    asks_again: Callable[[HttpRequest], bool] = field(default=lambda request: False)
    #: Where the button leads instead of to a page that asks: that page is elsewhere.
    opens: Callable[[HttpRequest, Any, datetime], HttpResponse] | None = None


FactLoader = Callable[[HttpRequest, Any, datetime], list[Fact]]


class PageAdmin(BaseAdmin):
    """A ModelAdmin whose change view is such a page; the form, if any, is one section among others."""

    page_sections: ClassVar[list[Section]]
    page_facts: ClassVar[list[FactLoader]]
    page_actions: ClassVar[list[PageAction]]
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
        now, back = clock.now(), came_from(request) or self.page_url(obj)
        if action.opens is not None:
            return action.opens(request, obj, now)
        data, files = (request.POST, request.FILES) if request.method == "POST" else (None, None)
        form = action.form(data, files, initial=action.initial(obj, now))
        customer_id = self.page_customer(obj) if action.watched else None
        seen = request.POST.get("seen") or (last_line(customer_id) if customer_id else "")
        news: tuple[Any, ...] = ()
        if request.method == "POST" and not action.asks_again(request) and form.is_valid():
            asked = Asked(request=request, obj=obj, data=form.cleaned_data, actor_id=staff_id(request), now=now)
            try:
                done = self._act(action, asked, customer_id, seen)
            except Changed as changed:
                messages.warning(request, changed.message)
                seen, news = changed.seen, changed.news
            except SollecitoError as error:
                if not action.keeps_form:
                    messages.error(request, error.message)
                    return HttpResponseRedirect(back)
                form.add_error(None, error.message)
            else:
                if isinstance(done, HttpResponse):
                    return done
                messages.success(request, done)
                return HttpResponseRedirect(back)
        return TemplateResponse(
            request,
            action.template,
            {
                **self.admin_site.each_context(request),
                "title": action.label,
                "opts": self.opts,
                "original": obj,
                "media": self.media + form.media,
                "action": action,
                "form": form,
                "page_obj": obj,
                "page_title": self.page_title(obj),
                "back_url": back,
                "hidden": [("seen", seen)],
                "news": news,
                **action.load(request, obj, now),
            },
        )

    def _act(self, action: PageAction, asked: Asked, customer_id: int | None, seen: str) -> Any:
        if customer_id is None:
            return action.run(asked)
        with transaction.atomic():
            refuse_news(customer_id, seen)
            return action.run(asked)

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Back to the page, not to the list: people go on working on the same row."""
        return HttpResponseRedirect(self.page_url(obj))
