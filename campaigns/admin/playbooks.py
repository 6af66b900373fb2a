"""Playbooks: written in Markdown with the variables of templates, checked when saved, shown as on a real call."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from billing.category_words import CATEGORY_WORDS, category_words
from campaigns.models import Case, Playbook
from campaigns.models.case import LIVE_STATES
from campaigns.playbooks import playbook_problems, script_html
from campaigns.preview import case_context
from campaigns.rendering.examples import example_context
from campaigns.rendering.problems import TemplateRefused
from customers.admin.base import HistoryAdmin
from customers.admin.page import PageAdmin, Section
from customers.models import Channel
from customers.visibility import seen


class PlaybookForm(ModelForm):  # type: ignore[type-arg]
    decline_category = forms.ChoiceField(
        label=_("Reason of the failure"),
        choices=[("", _("any")), *CATEGORY_WORDS.items()],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    step_key = forms.CharField(
        label=_("Step"),
        max_length=60,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Key of a step of that ladder; empty: any call."),
    )

    class Meta:
        model = Playbook
        fields = ("name", "language", "decline_category", "ladder", "step_key", "segment", "active", "body")
        widgets = {"body": UnfoldAdminTextareaWidget(attrs={"rows": 18, "class": "sol-code"})}

    def clean_body(self) -> str:
        body: str = self.cleaned_data["body"]
        if problems := playbook_problems(body):
            raise forms.ValidationError([str(problem) for problem in problems])
        return body

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        ladder, key = data.get("ladder"), data.get("step_key")
        if key and ladder is None:
            self.add_error("ladder", _("Name the ladder the step belongs to."))
        elif key and ladder is not None and not ladder.versions.filter(steps__key=key).exists():
            self.add_error("step_key", _("This ladder has no step with this key."))
        return data


class _CaseForm(forms.Form):
    """Whose facts are filled in; empty: made-up ones."""

    case = forms.IntegerField(
        label=_("Case number"),
        label_suffix="",
        required=False,
        min_value=1,
        widget=UnfoldAdminTextInputWidget(attrs={"size": 10}),
    )


def _preview(request: HttpRequest, playbook: Playbook, now: datetime) -> dict[str, Any]:
    form = _CaseForm(request.GET)
    case_id = form.cleaned_data["case"] if form.is_valid() else None
    case = seen(Case.objects.all(), request.user).filter(pk=case_id).first() if case_id else None
    if case_id and case is None:
        form.add_error("case", _("There is no such case."))
    if case is not None:
        context: Any = case_context(case_id=case.pk, channel=Channel.CALL, language=playbook.language, now=now)
    else:
        context = example_context(playbook.language)
    try:
        shown, refused = script_html(playbook.body, dict(context)), ""
    except TemplateRefused as error:
        shown, refused = None, error.message
    others = seen(Case.objects.filter(state__in=LIVE_STATES), request.user).order_by("-pk")[:5]
    return {"form": form, "shown": shown, "refused_because": refused, "case": case, "cases": others}


@admin.register(Playbook)
class PlaybookAdmin(PageAdmin, HistoryAdmin):
    """Scripts beside the call form. What fits a call most closely is shown; every version is kept."""

    form = PlaybookForm
    empty_text = _("What to say and offer on a call, by reason, step, segment and language.")
    list_display = ("name", "language", "reason", "step", "segment", "active")
    list_select_related = ("ladder", "segment")
    list_filter = (
        ("language", ChoicesDropdownFilter),
        ("ladder", RelatedDropdownFilter),
        ("segment", RelatedDropdownFilter),
        "active",
    )
    search_fields = ("name",)
    fields = (("name", "language"), ("decline_category", "segment"), ("ladder", "step_key"), "active", "body")
    page_details_first = True
    page_sections = [
        Section(
            "preview", _("Preview"), "admin/campaigns/playbook/preview.html", _preview, "campaigns.view_playbook", 10
        )
    ]

    @display(description=_("reason of the failure"), ordering="decline_category")
    def reason(self, row: Playbook) -> str:
        return category_words(row.decline_category)

    @display(description=_("step"))
    def step(self, row: Playbook) -> str:
        return f"{row.ladder}: {row.step_key}" if row.step_key else str(row.ladder or "–")
