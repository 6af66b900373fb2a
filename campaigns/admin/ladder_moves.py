"""Moving cases in flight to the version in use: chosen, shown what each would do, then done on purpose."""

from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from campaigns.admin.ladder_versions import LadderVersionAdmin
from campaigns.models import LadderVersion, Segment, VersionStatus
from campaigns.services.case_moves import cases_migrate_preview, cases_to_move
from customers.admin.bulk import job_url
from customers.admin.page import Asked, PageAction
from customers.bulk.jobs import MOST, job_confirm, job_draft
from customers.models import Customer
from customers.visibility import seen_ids

#: Cases shown before they are moved.
SHOWN = 50


class ScopeForm(forms.Form):
    """Whose cases are moved: all, a segment's, or those named; asked before the preview is shown."""

    segment = forms.ModelChoiceField(
        label=_("Customers of"),
        queryset=Segment.objects.order_by("name"),
        required=False,
        empty_label=_("everybody"),
        widget=UnfoldAdminSelectWidget,
    )
    cases = forms.CharField(
        label=_("Only these cases"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Numbers of cases with commas between them. Empty: all. They can be ticked in the list of cases."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ScopeForm.base_fields:
            if not self.fields[name].widget.is_hidden:
                # The page has it in a form of its own (templates/admin/page/action.html).
                self.fields[name].widget.attrs["form"] = "scope"

    def clean_cases(self) -> list[int]:
        words = self.cleaned_data["cases"].replace("#", " ").replace(",", " ").split()
        if not all(word.isascii() and word.isdecimal() and len(word) < 19 for word in words):
            raise forms.ValidationError(_now("Numbers of cases, with commas between them."))
        if len(words) > MOST:
            raise forms.ValidationError(_now("At most %(most)d at once.") % {"most": MOST})
        return [int(word) for word in words]


class MoveForm(ScopeForm):
    """Why cases are moved, which stands in the log of each; and the cases that were shown."""

    segment = forms.ModelChoiceField(queryset=Segment.objects.all(), required=False, widget=forms.HiddenInput)
    cases = forms.CharField(required=False, widget=forms.HiddenInput)
    reason = forms.CharField(label=_("Why"), max_length=255, widget=UnfoldAdminTextInputWidget)


def _ids(request: HttpRequest, version: LadderVersion, scope: dict[str, Any], most: int, now: datetime) -> list[int]:
    """The cases the form names, among those the user may see."""
    return cases_to_move(
        version=version,
        now=now,
        most=most,
        segment=scope.get("segment"),
        case_ids=scope.get("cases") or (),
        customer_ids=seen_ids(request.user),
    )


def _preview(request: HttpRequest, version: LadderVersion, now: datetime) -> dict[str, Any]:
    """What the first of the cases do next on the version they follow and on this one."""
    scope = ScopeForm(request.POST if request.method == "POST" else request.GET, auto_id="scope_%s")
    if not scope.is_valid():
        return {"scope": scope, "refused": True}
    ids = _ids(request, version, scope.cleaned_data, MOST + 1, now)
    moves = cases_migrate_preview(case_ids=ids[:SHOWN], version_id=version.pk, now=now)
    people = Customer.objects.in_bulk([move.customer_id for move in moves])
    numbers = dict(LadderVersion.objects.filter(ladder_id=version.ladder_id).values_list("pk", "number"))
    context = {
        "scope": scope,
        "moves": [(move, people.get(move.customer_id), numbers.get(move.from_version_id)) for move in moves],
        "found": min(len(ids), MOST),
        "more": len(ids) > MOST,
        "chosen": bool(scope.cleaned_data["segment"] or scope.cleaned_data["cases"]),
        "refused": not ids,
    }
    if request.method == "GET":
        # What is shown is what is moved: the choice goes along with the reason.
        context["form"] = MoveForm(initial={name: request.GET.get(name, "") for name in ScopeForm.base_fields})
    return context


def _move(asked: Asked) -> HttpResponse:
    """What was previewed is confirmed: the job begins at once."""
    params = {"version": asked.obj.pk, "reason": asked.data["reason"]}
    job = job_draft(
        act="cases.move",
        targets=_ids(asked.request, asked.obj, asked.data, MOST, asked.now),
        selection=_now("Cases of other versions of %(ladder)s") % {"ladder": asked.obj.ladder},
        actor_id=asked.actor_id,
        now=asked.now,
        params=params,
    )
    job_confirm(job_id=job.pk, params=params, actor_id=asked.actor_id, now=asked.now)
    return HttpResponseRedirect(job_url(job))


LadderVersionAdmin.add_action(
    PageAction(
        slug="move",
        label=_("Move cases here"),
        icon="move_down",
        permission="campaigns.change_ladderversion",
        question=_(
            "Has live cases on other versions of this ladder go on with this one. A step taken is not taken again."
        ),
        form=MoveForm,
        fits=lambda version: version.status == VersionStatus.PUBLISHED,
        details="admin/campaigns/ladder/moving.html",
        load=_preview,
        run=_move,
        order=30,
    )
)
