"""The forms of imports: a file and what it is, and what the columns of an unknown file hold."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextInputWidget,
)

from billing.imports.files import ENCODINGS
from billing.imports.guessing import DATE_FORMATS
from billing.imports.presets import FIELDS, PRESETS, Preset
from billing.imports.runs import presets_all
from billing.imports.tables import Table
from customers.models import Brand

#: A column that is kept with the invoice without meaning anything to us.
EXTRA = "extra"
_DELIMITERS = [(",", _("comma")), (";", _("semicolon")), ("\t", _("tab")), ("|", _("vertical bar"))]
_DATES = {
    "%Y-%m-%d": "2026-12-31", "%d/%m/%Y": "31/12/2026", "%m/%d/%Y": "12/31/2026", "%d.%m.%Y": "31.12.2026",
    "%d-%m-%Y": "31-12-2026", "%Y/%m/%d": "2026/12/31", "%d %b %Y": "31 Dec 2026", "%d-%b-%Y": "31-Dec-2026",
    "%b %d, %Y": "Dec 31, 2026", "%Y%m%d": "20261231", "%d/%m/%y": "31/12/26", "%m/%d/%y": "12/31/26",
    "%Y-%m-%d %H:%M:%S": "2026-12-31 14:05:00", "%Y-%m-%dT%H:%M:%S": "2026-12-31T14:05:00",
}  # fmt: skip


def _kinds() -> list[tuple[str, Any]]:
    found = [(code, preset.name or code) for code, preset in presets_all().items()]
    return [("", _("Tell by its headings")), *found]


class ImportForm(forms.Form):
    """A file and how to read it."""

    file = forms.FileField(label=_("File (CSV or XLSX)"), widget=UnfoldAdminFileFieldWidget)
    preset = forms.ChoiceField(
        label=_("Kind of file"),
        choices=_kinds,
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("Of a file we do not know, you name the columns in the next step."),
    )
    brand = forms.ModelChoiceField(
        label=_("Owed to"), queryset=Brand.objects.order_by("name"), widget=UnfoldAdminSelectWidget, empty_label=None
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
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("For test files without e-mail addresses; empty: customers stay without."),
    )


class LayoutForm(forms.Form):
    """What each column holds, and how dates and amounts are written."""

    date_format = forms.ChoiceField(
        label=_("Dates are written like"),
        choices=[("", _("– please say –")), *((one, _DATES[one]) for one in DATE_FORMATS)],
        widget=UnfoldAdminSelectWidget,
    )
    decimal = forms.ChoiceField(
        label=_("Amounts are written like"), choices=[(".", "1,234.50"), (",", "1.234,50")],
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    currency = forms.RegexField(
        r"^([A-Za-z]{3})?$",
        label=_("Currency where the file tells none"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
    )
    terms_days = forms.IntegerField(
        label=_("Days to pay where there is no due day"),
        min_value=0,
        max_value=365,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("Empty: a row without a due day is rejected."),
    )
    encoding = forms.ChoiceField(
        label=_("Encoding"), choices=[(one, one.upper()) for one in ENCODINGS], required=False,
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    delimiter = forms.ChoiceField(
        label=_("Cells are parted by"), choices=_DELIMITERS, required=False, widget=UnfoldAdminSelectWidget
    )
    name = forms.CharField(
        label=_("Name of this kind of file"),
        max_length=40,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The next file with these headings is known by it, and its invoices are found again."),
    )

    def __init__(self, data: Any, *, table: Table, layout: Preset, name: str) -> None:
        told = {
            "date_format": layout.date_format.split("|")[0],
            "decimal": layout.decimal,
            "currency": layout.currency,
            "terms_days": layout.terms_days,
            "encoding": table.shape.encoding,
            "delimiter": table.shape.delimiter,
            "name": name,
        }
        super().__init__(data, initial=told, label_suffix="")
        self.table = table
        self.base = layout
        if not layout.date_format:
            self.fields["date_format"].help_text = _(
                "The file's dates can be read with the day or the month first: only you know which comes first."
            )
        if not layout.tells_currency:
            self.fields["currency"].required = True
            self.fields["currency"].help_text = _("The file does not tell: a guess could be wrong for every row.")
        if table.shape.kind == "xlsx":
            del self.fields["encoding"], self.fields["delimiter"]
        held = {heading: ours for ours, heading in layout.columns.items()} | dict.fromkeys(layout.extra, EXTRA)
        choices = [("", _("– leave out –")), *FIELDS.items(), (EXTRA, _("Keep with the invoice"))]
        for place, heading in enumerate(table.headings):
            self.fields[f"column_{place}"] = forms.ChoiceField(
                label=heading, choices=choices, required=False, initial=held.get(heading, ""),
                widget=UnfoldAdminSelectWidget,
            )  # fmt: skip

    @property
    def columns(self) -> list[tuple[Any, list[str]]]:
        """Each column's field with its first values."""
        return [
            (
                self[f"column_{place}"],
                [row[place] for row in self.table.samples if place < len(row) and row[place]][:3],
            )
            for place in range(len(self.table.headings))
        ]

    @property
    def settings(self) -> list[Any]:
        """The fields that are no columns."""
        return [self[name] for name in self.fields if not name.startswith("column_")]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in PRESETS:
            raise forms.ValidationError(_("This is the name of one of ours."))
        return name

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        told = [data.get(f"column_{place}") for place in range(len(self.table.headings))]
        for ours in {one for one in told if one and one != EXTRA and told.count(one) > 1}:
            self.add_error(None, _("Two columns hold: %(what)s.") % {"what": FIELDS[ours]})
        missing = self._layout(data, told).missing(self.table.headings)
        if missing:
            self.add_error(None, _("Say which columns hold: %(names)s.") % {"names": ", ".join(missing)})
        return data

    def layout(self) -> Preset:
        """What was told, as a preset without code."""
        data = self.cleaned_data
        return self._layout(data, [data.get(f"column_{place}") for place in range(len(self.table.headings))])

    def _layout(self, data: dict[str, Any], told: Sequence[str | None]) -> Preset:
        columns = {ours: heading for ours, heading in zip(told, self.table.headings, strict=True) if ours}
        columns.pop(EXTRA, None)
        extra = tuple(h for ours, h in zip(told, self.table.headings, strict=True) if ours == EXTRA)
        if "customer" not in columns and "customer_name" in columns:
            columns["customer"] = columns["customer_name"]
        if self.base.grouping and "customer" not in columns and "customer" in self.base.columns:
            columns["customer"] = self.base.columns["customer"]  # named above its rows, in no column
        return replace(
            self.base,
            code="",
            name="",
            columns=columns,
            date_format=data.get("date_format") or DATE_FORMATS[0],
            decimal=data.get("decimal") or ".",
            currency=(data.get("currency") or "").upper(),
            terms_days=data.get("terms_days"),
            extra=extra,
            encoding=data.get("encoding") or "",
            delimiter=data.get("delimiter") or "",
        )
