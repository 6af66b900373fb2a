"""The form of what holds for a whole version: gaps, rests, the silent phase, and what is done at the end."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from campaigns.admin.action_fields import ActionFields
from campaigns.admin.sentences import end_sentence, frame_sentences
from campaigns.models import EndAction, LadderVersion
from campaigns.services.versions import VERSION_FIELDS
from customers.meanwhile import mark

#: End actions a version may have; the sixth place is for having second thoughts.
ENDS = 6


class FrameForm(forms.ModelForm):  # type: ignore[type-arg]
    """Everything of a version but its steps."""

    class Meta:
        model = LadderVersion
        fields = ("min_gap_hours", "silent_hours", "pause_after_reply_days", "end_after_hours")
        widgets = dict.fromkeys(fields, UnfoldAdminIntegerFieldWidget)

    def __init__(self, *, version: LadderVersion, data: Mapping[str, Any] | None = None, do: str = "save") -> None:
        self.quiet = data is not None and do != "save"
        #: What was stored when the form was opened (meanwhile.mark).
        self.seen = str(data.get("seen", "")) if data is not None else mark(version, VERSION_FIELDS)
        chosen = {f"end_{n}": action for n, action in enumerate(version.end_actions, start=1)}
        super().__init__(data, instance=version, initial=chosen, label_suffix="")
        for number in range(1, ENDS + 1):
            self.fields[f"end_{number}"] = forms.ChoiceField(
                label=_("At the end") if number == 1 else _("then"),
                choices=[("", "–"), *EndAction.choices],
                required=False,
                widget=UnfoldAdminSelectWidget(attrs={"data-shape": "1"}),
            )
        named = [action for n in range(1, ENDS + 1) if (action := str(self[f"end_{n}"].value() or ""))]
        self.actions = [
            ActionFields(action, data=data, params=(version.end_params or {}).get(action) or {}, ladder=version.ladder)
            for action in dict.fromkeys(named)
        ]

    @property
    def ends(self) -> list[forms.BoundField]:
        """The fields of the end actions, in order; one empty one more than are filled in."""
        fields = [self[f"end_{number}"] for number in range(1, ENDS + 1)]
        filled = sum(1 for field in fields if field.value())
        return fields[: filled + 1]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        named = [data[f"end_{n}"] for n in range(1, ENDS + 1) if data.get(f"end_{n}")]
        if len(set(named)) != len(named):
            self.add_error("end_1", _now("Name each action once."))
        self.instance.end_actions = named
        self.instance.end_params = {}
        for fields in self.actions:
            params, errors = fields.read()
            for error in errors:
                self.add_error("end_1", error)
            if params:
                self.instance.end_params[fields.action] = params
        return data

    def sentences(self) -> list[str]:
        """What the form says as it stands; nothing while something is missing."""
        if self.is_bound and not self.is_valid():
            return []
        return [*frame_sentences(self.instance), end_sentence(self.instance)]

    def complaints(self) -> list[str]:
        """Every error with the name of its field."""
        found = []
        for name, messages in self.errors.items():
            label = "" if name == "__all__" else f"{self.fields[name].label}: "
            found += [f"{label}{message}" for message in messages]
        return found
