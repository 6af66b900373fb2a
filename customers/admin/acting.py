"""Acts on one row: a page asks, a form is filled in, one service is called, unless something happened meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme

from customers import clock
from customers.errors import SollecitoError
from customers.meanwhile import Changed, last_line, refuse_news

if TYPE_CHECKING:
    from customers.admin.page import PageAdmin

Words = Any  # str or lazy translation


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


def ask_or_act(page: PageAdmin, request: HttpRequest, obj: Any, action: PageAction) -> HttpResponse:
    """Asks (GET), then acts (POST) and leads back to where it was called from. The caller has checked that the person
    may. Raises PermissionDenied for nobody."""
    now, back = clock.now(), came_from(request) or page.page_url(obj)
    if action.opens is not None:
        return action.opens(request, obj, now)
    data, files = (request.POST, request.FILES) if request.method == "POST" else (None, None)
    form = action.form(data, files, initial=action.initial(obj, now), label_suffix="")
    customer_id = page.page_customer(obj) if action.watched else None
    seen = request.POST.get("seen") or (last_line(customer_id) if customer_id else "")
    news: tuple[Any, ...] = ()
    if request.method == "POST" and not action.asks_again(request) and form.is_valid():
        asked = Asked(request=request, obj=obj, data=form.cleaned_data, actor_id=staff_id(request), now=now)
        try:
            done = _act(action, asked, customer_id, seen)
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
            **page.admin_site.each_context(request),
            "title": action.label,
            "opts": page.opts,
            "original": obj,
            "media": page.media + form.media,
            "action": action,
            "form": form,
            "page_obj": obj,
            "page_title": page.page_title(obj),
            "back_url": back,
            "hidden": [("seen", seen)],
            "news": news,
            **action.load(request, obj, now),
        },
    )


def _act(action: PageAction, asked: Asked, customer_id: int | None, seen: str) -> Any:
    if customer_id is None:
        return action.run(asked)
    with transaction.atomic():
        refuse_news(customer_id, seen)
        return action.run(asked)
