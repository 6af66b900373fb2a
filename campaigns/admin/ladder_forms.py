"""The questions asked before a ladder is copied, published, taken up again or imported."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from campaigns.models import Ladder
from campaigns.yaml_reading import MOST_CHARACTERS


def free_code(code: str) -> str:
    """A ladder code made of `code` that is not taken: card_failed → card_failed_copy, card_failed_copy_2."""
    base = f"{code[:50]}_copy"
    taken = set(Ladder.objects.filter(code__startswith=base).values_list("code", flat=True))
    wanted, number = base, 2
    while wanted in taken:
        wanted, number = f"{base}_{number}", number + 1
    return wanted


class CopyForm(forms.Form):
    """Name and code of a copy."""

    name = forms.CharField(label=_("Name"), max_length=120, widget=UnfoldAdminTextInputWidget)
    code = forms.SlugField(
        label=_("Code"), max_length=60, widget=UnfoldAdminTextInputWidget, help_text=_("For links and logs.")
    )
    before = forms.BooleanField(
        label=_("Comes before the original"),
        required=False,
        widget=UnfoldBooleanWidget,
        help_text=_("Once published, new cases that fit both follow the copy."),
    )

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if Ladder.objects.filter(code=code).exists():
            raise forms.ValidationError(_now("There is a ladder with this code already."))
        return code


class PublishForm(forms.Form):
    """A word about what changes, for those who read the versions later."""

    note = forms.CharField(
        label=_("What changes, in a few words"),
        max_length=255,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Shown in the list of versions."),
    )


class RestoreForm(forms.Form):
    """Whether a draft in the way may go."""

    replace = forms.BooleanField(label=_("Replace the draft there is"), required=False, widget=UnfoldBooleanWidget)


class ImportForm(forms.Form):
    """A YAML file, chosen or pasted."""

    file = forms.FileField(label=_("YAML file"), required=False, widget=UnfoldAdminFileFieldWidget)
    text = forms.CharField(
        label=_("or its text"),
        required=False,
        strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 12, "class": "sol-code", "spellcheck": "false"}),
    )
    settings = forms.BooleanField(
        label=_("Also take over name, trigger, audience and priority"),
        required=False,
        widget=UnfoldBooleanWidget,
        help_text=_("For a ladder in use they apply at once, not with the draft."),
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        file, text = data.get("file"), data.get("text", "")
        if not file and not text.strip():
            self.add_error("file", _now("Choose a file or paste its text."))
            return data
        data["place"] = file.name if file else _now("pasted text")
        if not file:
            data["source"] = text.replace("\r\n", "\n")
        elif file.size > 4 * MOST_CHARACTERS:
            self.add_error("file", _now("The file is too large to be a ladder."))
        else:
            try:
                data["source"] = file.read().decode("utf-8-sig")
            except UnicodeDecodeError:
                self.add_error("file", _now("The file is not UTF-8 text."))
        return data
