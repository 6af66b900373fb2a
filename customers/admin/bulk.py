"""Acts on many rows from a list or a page: the rows are counted and fixed, then a page asks, then a job does it.

The same `BulkAction` serves the rows ticked in a list (BulkAdmin), whatever other set of rows a page stands for
(`bulk_page_action`), and the page that asks (customers.admin.bulk_jobs).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from customers import clock
from customers.admin.base import BaseAdmin
from customers.admin.filters import narrowed_words
from customers.admin.page import EmptyForm, PageAction, Words, staff_id
from customers.bulk import BulkAct, BulkResult, Params, act_named
from customers.bulk.jobs import MOST as MOST
from customers.bulk.jobs import job_draft
from customers.errors import SollecitoError
from customers.models import BulkJob


@dataclass(frozen=True, slots=True)
class BulkAction:
    """The face of a bulk act: its question and its form. `params` makes of the cleaned form what the act is called
    with, as JSON holds it."""

    slug: str
    icon: str = "bolt"
    question: Words = ""
    form: type[forms.Form] = EmptyForm
    params: Callable[[dict[str, Any]], Params] = dict
    danger: bool = False
    #: What params say, in words, for the job's page.
    told: Callable[[Params], str] = lambda params: str(params.get("reason", ""))

    @property
    def act(self) -> BulkAct:
        """The act it is the face of."""
        return act_named(self.slug)

    @property
    def name(self) -> str:
        """Its slug as an address and a form field hold it."""
        return self.slug.replace(".", "_")


_faces: dict[str, BulkAction] = {}


def face(action: BulkAction) -> BulkAction:
    """Makes an act's face known; returns it."""
    _faces[action.slug] = action
    return action


def face_of(slug: str) -> BulkAction:
    """The face of an act; a bare one for acts nobody chooses from a list (taking back)."""
    return _faces.get(slug, BulkAction(slug))


def job_url(job: BulkJob, name: str = "change") -> str:
    """Address of a job's page, or of its `confirm` page."""
    return reverse(f"admin:customers_bulkjob_{name}", args=[job.pk])


def ask(
    request: HttpRequest,
    action: BulkAction,
    ids: Collection[int],
    selection: str,
    *,
    back: str,
    params: Params | None = None,
) -> HttpResponse:
    """Counts and fixes the rows and goes to the page that asks; back with a word where there is nothing to ask about.

    Raises PermissionDenied without the act's permission.
    """
    if not request.user.has_perm(action.act.permission):
        raise PermissionDenied
    try:
        job = job_draft(
            act=action.slug,
            targets=ids,
            selection=selection,
            actor_id=staff_id(request),
            now=clock.now(),
            params=params,
        )
    except SollecitoError as error:
        messages.error(request, error.message)
        return HttpResponseRedirect(back)
    if len(ids) > MOST:
        words = _("Only the first %(most)s rows were taken; the others by doing it again.")
        messages.warning(request, words % {"most": f"{MOST:,}"})
    return HttpResponseRedirect(job_url(job, "confirm"))


def result_words(done: BulkResult) -> str:
    """What was done at once to a handful of rows and what was not, in a sentence or two."""
    words = ngettext("%(n)d was changed.", "%(n)d were changed.", done.done) % {"n": done.done}
    for reason, count in done.skipped.items():
        words += " " + _("%(n)d left alone: %(reason)s") % {"n": count, "reason": reason}
    return words


def bulk_page_action(
    action: BulkAction, ids: Callable[[HttpRequest, Any, datetime], list[int]], order: int
) -> PageAction:
    """The act as a button of a page, on the ids that page stands for (more than MOST: the first of them)."""

    def go(request: HttpRequest, obj: Any, now: datetime) -> HttpResponse:
        return ask(
            request,
            action,
            ids(request, obj, now),
            str(obj),
            back=request.headers.get("Referer", reverse("admin:index")),
        )

    act = action.act
    return PageAction(
        slug=action.name,
        label=act.label,
        permission=act.permission,
        run=lambda asked: "",
        icon=action.icon,
        danger=action.danger,
        order=order,
        opens=go,
    )


class BulkAdmin(BaseAdmin):
    """A list whose acts on ticked rows ask first."""

    bulk_actions: ClassVar[Sequence[BulkAction]] = ()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        for action in self.bulk_actions:
            if request.user.has_perm(action.act.permission):
                found[action.name] = (partial(_from_list, action), action.name, action.act.label)
        return found


def _from_list(action: BulkAction, admin: BulkAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
    ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: MOST + 1])
    across = request.POST.get("select_across") == "1"
    where = narrowed_words(admin.get_changelist_instance(request)) if across else ""
    named = capfirst(admin.opts.verbose_name_plural)
    whole = _("%(rows)s, the whole list: %(filter)s") if where else _("%(rows)s, the whole list")
    selection = (whole if across else _("%(rows)s, ticked")) % {"rows": named, "filter": where}
    return ask(request, action, ids, selection, back=request.get_full_path())
