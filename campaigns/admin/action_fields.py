"""The parameters an action asks for, as fields of a form: named by campaigns.engine.actions, checked by it."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from campaigns.engine.actions import CHOICES, LENGTHS, PARAMS, check_params
from campaigns.models import Ladder
from customers.errors import SollecitoError

LABEL = {
    "script": _("What to say"),
    "notes": _("What to tell"),
    "regime": _("By which law"),
    "on_payment": _("When the debt is paid"),
    "tag": _("Tag"),
    "agency": _("Agency"),
    "ladder": _("Ladder"),
}
WORDS = {
    "auto": _("by the customer's country"),
    "eu": _("European Union (2011/7)"),
    "uk": _("United Kingdom"),
    "keep": _("still ask for it"),
    "forgive": _("forgive it"),
}


class ActionFields(forms.Form):
    """The fields of one action's parameters; none for most actions. Names begin with `p-` and the action."""

    def __init__(
        self, action: str, *, data: Mapping[str, Any] | None, params: Mapping[str, Any], ladder: Ladder
    ) -> None:
        super().__init__(data, prefix=f"p-{action}", initial=dict(params or {}), label_suffix="")
        self.action = action
        for name, needed in PARAMS.get(action, {}).items():
            self.fields[name] = self._field(name, needed, ladder)

    def _field(self, name: str, needed: bool, ladder: Ladder) -> forms.Field:
        label = LABEL.get(name, name.replace("_", " "))
        if name == "ladder":
            others = Ladder.objects.exclude(pk=ladder.pk).order_by("name").values_list("code", "name")
            return forms.ChoiceField(
                label=label, choices=[("", "–"), *others], required=needed, widget=UnfoldAdminSelectWidget
            )
        if name in CHOICES:
            choices = [(value, WORDS.get(value, value)) for value in CHOICES[name]]
            return forms.ChoiceField(
                label=label, choices=[("", "–"), *choices], required=needed, widget=UnfoldAdminSelectWidget
            )
        most = LENGTHS.get(name, 255)
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 3}) if most > 255 else UnfoldAdminTextInputWidget()
        return forms.CharField(label=label, max_length=most, required=needed, widget=widget)

    def read(self) -> tuple[dict[str, Any], list[str]]:
        """The parameters given and what is wrong with them, each error naming its field."""
        if not self.is_valid():
            return {}, [f"{self.fields[n].label}: {message}" for n, found in self.errors.items() for message in found]
        params = {name: value for name, value in self.cleaned_data.items() if value}
        try:
            check_params(self.action, params, str(_("Parameters")))
        except SollecitoError as error:
            return {}, [error.message]
        return params, []
