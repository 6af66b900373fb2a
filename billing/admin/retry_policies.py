"""The settings of retries per segment: how many, how long, by which strategy, with how much exploration."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from billing.models import RetryPolicy
from billing.retries.policies import DEFAULT_TERMS, segments
from customers.admin.base import HistoryAdmin


class RetryPolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """Offers the segments by name; a code whose segment is gone stays visible as such."""

    segment = forms.ChoiceField(label=_("Segment"), required=False, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = RetryPolicy
        fields = (
            "name", "order", "active", "segment", "max_attempts", "window_days", "strategy", "explore_percent",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("Everybody")), *segments().choices()]
        now = self.instance.segment
        if now and now not in dict(choices):
            choices.append((now, _("%(code)s (there is no such segment any more)") % {"code": now}))
        self.fields["segment"].choices = choices  # type: ignore[attr-defined]


@admin.register(RetryPolicy)
class RetryPolicyAdmin(HistoryAdmin):
    form = RetryPolicyForm
    empty_text = _(
        "Nothing is set: every charge is retried as its processor account says, by the champion (by the rules while "
        "there is none), and one retry of ten is drawn by lot for comparison."
    )
    list_display = ("name", "order", "active", "whom", "tries", "window", "strategy", "exploration")
    list_filter = ("active",)
    search_fields = ("name",)
    ordering = ("order", "id")
    fields = (
        "name", ("order", "active"), "segment", ("max_attempts", "window_days"), "strategy", "explore_percent",
    )  # fmt: skip

    def prepare_rows(self, request: HttpRequest, rows: list[RetryPolicy]) -> None:
        """The segments' names, asked for once."""
        names = dict(segments().choices()) if rows else {}
        for row in rows:
            row.segment_name = names.get(row.segment, row.segment)  # type: ignore[attr-defined]

    @display(description=_("for"))
    def whom(self, row: Any) -> str:
        return row.segment_name or str(_("Everybody"))

    @display(description=_("retries"))
    def tries(self, row: RetryPolicy) -> str:
        return str(row.max_attempts or _("as the account says"))

    @display(description=_("days"))
    def window(self, row: RetryPolicy) -> str:
        return str(row.window_days or _("as the account says"))

    @display(description=_("exploration"))
    def exploration(self, row: RetryPolicy) -> str:
        return f"{row.explore_percent} %"

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"explore_percent": round(100 * DEFAULT_TERMS.explore), **super().get_changeform_initial_data(request)}
