"""The forms of the invoice import: which kind of file it is, for which brand, as seen on which day."""

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from import_export.forms import ConfirmImportForm
from unfold.contrib.import_export.forms import ImportForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from billing.imports.presets import PRESETS
from customers.models import Brand

#: What the first form asks and the second carries on.
ASKED = ("preset", "brand", "as_of", "email_domain")


def _presets() -> list[tuple[str, str]]:
    return [(key, key.replace("_", " ")) for key in PRESETS]


class InvoiceImportForm(ImportForm):
    """A file and how to read it."""

    preset = forms.ChoiceField(label=_("Kind of file"), choices=_presets, widget=UnfoldAdminSelectWidget)
    brand = forms.ModelChoiceField(
        label=_("Brand"), queryset=Brand.objects.order_by("name"), widget=UnfoldAdminSelectWidget
    )
    as_of = forms.DateField(
        label=_("As seen on"),
        required=False,
        widget=UnfoldAdminSingleDateWidget,
        help_text=_("Empty: today. An older day shows the file as it stood then."),
    )
    email_domain = forms.CharField(
        label=_("Domain of made-up addresses"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("For test files without e-mail addresses; empty: customers stay without."),
    )


class InvoiceConfirmForm(ConfirmImportForm):
    """Carries what was asked to the second request."""

    preset = forms.ChoiceField(choices=_presets, widget=forms.HiddenInput)
    brand = forms.ModelChoiceField(queryset=Brand.objects.all(), widget=forms.HiddenInput)
    as_of = forms.DateField(required=False, widget=forms.HiddenInput)
    email_domain = forms.CharField(required=False, widget=forms.HiddenInput)


def confirm_initial(form: forms.Form) -> dict[str, Any]:
    """What the confirming form starts with."""
    data = form.cleaned_data
    return {
        "preset": data["preset"],
        "brand": data["brand"].pk,
        "as_of": data["as_of"],
        "email_domain": data["email_domain"],
    }


def resource_arguments(form: forms.Form | None) -> dict[str, Any]:
    """Arguments of InvoiceResource out of either form; none before one was filled in."""
    data = getattr(form, "cleaned_data", None) or {}
    if "preset" not in data or data.get("brand") is None:
        return {}
    as_of: date | None = data.get("as_of")
    return {
        "preset": data["preset"],
        "brand": data["brand"],
        "as_of": as_of,
        "email_domain": data.get("email_domain", ""),
    }
