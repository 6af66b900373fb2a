"""Acts on many rows that ask first: one page that counts, says what is passed over and why, and takes the form.

The same `BulkAction` serves the rows ticked in a list (BulkAdmin) and whatever other set of rows a page stands for
(`bulk_page_action`).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _now
from django.utils.translation import ngettext

from customers import clock
from customers.admin.base import BaseAdmin
from customers.admin.page import Asked, EmptyForm, PageAction, Words, staff_id
from customers.bulk import BulkResult
from customers.errors import SollecitoError

#: Rows acted on by one click; more by another.
MOST = 10_000
PLAN = "admin/page/plan.html"


@dataclass(frozen=True, slots=True)
class BulkAction:
    """Something done to many rows by their ids. `plan` says what would be done; `run` calls one service with the ids,
    the cleaned form, the actor's id and the moment."""

    slug: str
    label: Words
    permission: str
    plan: Callable[[Collection[int]], BulkResult]
    run: Callable[[Collection[int], dict[str, Any], int, datetime], BulkResult]
    icon: str = "bolt"
    question: Words = ""
    form: type[forms.Form] = EmptyForm
    danger: bool = False
    #: Read by the page's template; a bulk act brings its own details.
    details: str = PLAN


def plan_context(action: BulkAction, ids: Sequence[int]) -> dict[str, Any]:
    """Context of the page's details; `ids` may hold one more than MOST, to tell that there are more."""
    plan = action.plan(ids[:MOST])
    return {"plan": plan, "more": len(ids) > MOST, "most": MOST, "refused": not plan.done}


def result_words(done: BulkResult) -> str:
    """What was done and what was not, in a sentence or two."""
    words = ngettext("%(n)d was changed.", "%(n)d were changed.", done.done) % {"n": done.done}
    for reason, count in done.skipped.items():
        words += " " + _now("%(n)d left alone: %(reason)s") % {"n": count, "reason": reason}
    return words


def bulk_page_action(action: BulkAction, ids: Callable[[HttpRequest, Any, datetime], list[int]], order: int) -> Any:
    """The act as a button of a page, on the ids that page stands for; read anew when it is confirmed."""

    def run(asked: Asked) -> str:
        rows = ids(asked.request, asked.obj, asked.now)[:MOST]
        return result_words(action.run(rows, asked.data, asked.actor_id, asked.now))

    return PageAction(
        slug=action.slug,
        label=action.label,
        permission=action.permission,
        run=run,
        icon=action.icon,
        question=action.question,
        form=action.form,
        danger=action.danger,
        order=order,
        details=PLAN,
        load=lambda request, obj, now: plan_context(action, ids(request, obj, now)),
    )


class BulkAdmin(BaseAdmin):
    """A list whose acts on ticked rows ask first."""

    bulk_actions: ClassVar[Sequence[BulkAction]] = ()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        for action in self.bulk_actions:
            if request.user.has_perm(action.permission):
                found[action.slug] = (partial(_ask, action), action.slug, action.label)
        return found


def _ask(action: BulkAction, admin: BulkAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
    """Asks; acts when the form comes back confirmed. Raises PermissionDenied without the action's permission."""
    if not request.user.has_perm(action.permission):
        raise PermissionDenied
    ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: MOST + 1])
    confirmed = "confirmed" in request.POST
    form = action.form(request.POST if confirmed else None)
    back = request.get_full_path()
    if confirmed and form.is_valid():
        try:
            done = action.run(ids[:MOST], form.cleaned_data, staff_id(request), clock.now())
        except SollecitoError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, result_words(done))
        return HttpResponseRedirect(back)
    across = request.POST.get("select_across") == "1"
    ticked = request.POST.getlist(ACTION_CHECKBOX_NAME)
    hidden = [("action", action.slug), ("confirmed", "1"), ("index", "0"), ("select_across", "1" if across else "0")]
    # The whole filtered list is asked for by its filters; one tick is all Django wants with it.
    hidden += [(ACTION_CHECKBOX_NAME, pk) for pk in (ticked[:1] if across else ticked)]
    return TemplateResponse(
        request,
        "admin/page/action.html",
        {
            **admin.admin_site.each_context(request),
            "title": action.label,
            "opts": admin.opts,
            "media": admin.media + form.media,
            "action": action,
            "form": form,
            "hidden": hidden,
            "page_title": ngettext("%(n)d row", "%(n)d rows", len(ids)) % {"n": min(len(ids), MOST)},
            "back_url": back,
            **plan_context(action, ids),
        },
    )
