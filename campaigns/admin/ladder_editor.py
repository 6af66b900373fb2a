"""The page on which a draft's rungs are edited: one open at a time, its sentence following what is typed.

Every button is an ordinary form, so that all is done from the keyboard too and nothing is lost where a script fails;
with htmx the server's same answer replaces the list in place. What is shown comes from `editor_context` alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from campaigns.admin.frame_form import FrameForm
from campaigns.admin.rung_form import RungForm
from campaigns.admin.sentences import DAY_ZERO, end_sentence, frame_sentences, sentence
from campaigns.models import LadderVersion, Step, VersionStatus
from campaigns.services.ladder_checks import ladder_problems
from campaigns.services.rungs import (
    draft_settings,
    rung_delete,
    rung_duplicate,
    rung_enable,
    rung_move,
    rung_save,
)
from customers import clock
from customers.admin.page import PageAdmin, Section
from customers.errors import SollecitoError
from customers.meanwhile import Changed

#: What `edit` says for a rung that does not exist yet and for what holds for all of them.
NEW = "new"
FRAME = "frame"
SECTION = "steps"

_RESHAPING = ("preview", "add", "drop-")


def may_edit(request: HttpRequest, version: LadderVersion) -> bool:
    """True if the page is an editor for this person: a draft, and their role lets them change it."""
    return version.status == VersionStatus.DRAFT and request.user.has_perm("campaigns.change_ladderversion")


def load_steps(request: HttpRequest, version: LadderVersion, now: datetime) -> dict[str, Any]:
    """The section's context: the editor for who may edit a draft, sentences for everybody else."""
    return editor_context(request, version, edit=request.GET.get("edit", ""))


def editor_context(
    request: HttpRequest,
    version: LadderVersion,
    *,
    edit: str = "",
    form: RungForm | FrameForm | None = None,
    status: str = "",
) -> dict[str, Any]:
    """Everything the editor shows. `edit` is the id of the open rung, NEW or FRAME; `form` one that was sent back."""
    steps = list(version.steps.select_related("template").order_by("position"))
    editing = may_edit(request, version)
    if not editing:
        edit = ""
    if form is None and edit:
        form = _form(version, steps, edit)
    # A form sent back has already changed its own copy of the row: what is stored is said by the list.
    stored = LadderVersion.objects.get(pk=version.pk) if isinstance(form, FrameForm) else version
    problems = ladder_problems(version, steps)
    return {
        "version": version,
        "editing": editing,
        "edit": edit,
        "form": form,
        "status": status,
        "rungs": [(step, sentence(step), [p for p in problems if p.step_id == step.pk]) for step in steps],
        "day_zero": DAY_ZERO.get(version.ladder.trigger, ""),
        "frame_sentences": frame_sentences(stored),
        "end_sentence": end_sentence(stored),
        "problems": [p for p in problems if p.step_id is None],
        "errors": sum(p.is_error for p in problems),
        "warnings": sum(not p.is_error for p in problems),
        "rungs_url": reverse("admin:campaigns_ladderversion_rungs", args=[version.pk]),
    }


def _form(version: LadderVersion, steps: Sequence[Step], edit: str) -> RungForm | FrameForm:
    if edit == FRAME:
        return FrameForm(version=version)
    if edit == NEW:
        return RungForm(version=version)
    step = next((step for step in steps if str(step.pk) == edit), None)
    if step is None:
        raise Http404
    return RungForm(version=version, step=step)


def rungs_view(
    admin: PageAdmin, request: HttpRequest, version: LadderVersion | None, section: Section
) -> HttpResponse:
    """Carries out one thing done in the editor (POST `do`) and shows the page again.

    Raises PermissionDenied for who may not edit; a version published meanwhile is said in words.
    """
    if version is None or request.method != "POST":
        raise Http404
    if not request.user.has_perm("campaigns.change_ladderversion"):
        raise PermissionDenied
    now = clock.now()
    do, edit = request.POST.get("do", ""), request.POST.get("step", "")
    form: RungForm | FrameForm | None = None
    status = ""
    try:
        if do == "save" or do.startswith(_RESHAPING):
            form = _posted(request, version, edit, do)
            if do == "save" and form.is_valid():
                status = _save(form)
                form, edit = None, ""
            version = admin.get_queryset(request).get(pk=version.pk)
        else:
            status = _do(do, _number(edit), _place(request, do))
            edit = ""
    except SollecitoError as error:
        status = error.message
        edit = edit if form is not None else ""
        if form is not None and isinstance(error, Changed):
            # They have been told: the next time it is saved, it is saved over what is there now.
            form.seen = error.seen
        if not request.headers.get("HX-Request"):
            messages.error(request, status)
    if form is None and not request.headers.get("HX-Request"):
        return HttpResponseRedirect(f"{admin.page_url(version)}?section={SECTION}")
    context = editor_context(request, version, edit=edit, form=form, status=status)
    return admin.section_response(request, version, section, now, **context)


def _posted(request: HttpRequest, version: LadderVersion, edit: str, do: str) -> RungForm | FrameForm:
    if edit == FRAME:
        return FrameForm(version=version, data=request.POST, do=do)
    if edit == NEW:
        return RungForm(version=version, data=request.POST, do=do)
    step = version.steps.select_related("template").filter(pk=_number(edit)).first()
    if step is None:
        raise SollecitoError(_("This step was deleted meanwhile."), code="step_missing")
    return RungForm(version=version, step=step, data=request.POST, do=do)


def _save(form: RungForm | FrameForm) -> str:
    if isinstance(form, FrameForm):
        draft_settings(version=form.instance, seen=form.seen)
        return _("Saved.")
    step = rung_save(step=form.instance, seen=form.seen)
    return _("Step %(number)d “%(step)s” is saved.") % {"number": step.position, "step": step}


def _do(do: str, step_id: int, to: int) -> str:
    if do == "delete":
        return _("“%(step)s” is deleted.") % {"step": rung_delete(step_id=step_id)}
    if do == "duplicate":
        step = rung_duplicate(step_id=step_id)
        return _("“%(step)s” is step %(number)d.") % {"step": step, "number": step.position}
    if do in ("enable", "disable"):
        rung_enable(step_id=step_id, enabled=do == "enable")
        return _("The step is switched on.") if do == "enable" else _("The step is switched off.")
    if do in ("move", "up", "down"):
        step = rung_move(step_id=step_id, to=to)
        return _("“%(step)s” is now step %(number)d.") % {"step": step, "number": step.position}
    raise Http404


def _place(request: HttpRequest, do: str) -> int:
    """Where a step is to go, counted from 1: up and down are told from where the page showed it."""
    if do == "move":
        return _number(request.POST.get("to", ""))
    return _number(request.POST.get("position", "")) + (1 if do == "down" else -1)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
