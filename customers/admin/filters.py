"""Owns narrowing a list to a span of days or moments, as people write days and hours in their language, and the words
for what a list is narrowed to.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import FieldListFilter, ListFilter
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models import BooleanField, Field, QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.timezone import make_aware
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.contrib.filters.admin import RangeDateFilter, RangeDateTimeFilter

#: Part of the parameter's name → how it compares, the hour of a day without one, and how it is told.
_ENDS = {
    "from": ("gte", time.min, _lazy("from %(at)s")),
    "to": ("lte", time.max, _lazy("until %(at)s")),
}
#: What follows it: nothing for a day, else the day and the hour.
_PLACES = ("", "_0", "_1")
#: Reads the end of a span from the parameters that begin with this name, given the hour of a day without one; None if
#: nothing was asked. Raises ValidationError for what cannot be read.
_Reader = Callable[[str, time], date | None]


class DayRangeFilter(RangeDateFilter):
    """The library's filter of plain days, which takes them in one spelling only and narrows nothing by what it cannot
    read. Both ends are included."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        def read(name: str, _missing: time) -> date | None:
            day = self.used_parameters.get(name)
            return forms.DateField().clean(day) if day else None

        return _narrowed(self, request, queryset, read)


class MomentRangeFilter(RangeDateTimeFilter):
    """The same of moments, where the library's besides passes over a day without an hour. They are those of the site's
    time zone."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        def read(name: str, missing: time) -> date | None:
            day, hour = (self.used_parameters.get(f"{name}_{place}") or "" for place in (0, 1))
            return _moment(day, hour, missing) if day or hour else None

        return _narrowed(self, request, queryset, read)


def _narrowed(spec: FieldListFilter, request: HttpRequest, queryset: QuerySet[Any], read: _Reader) -> QuerySet[Any]:
    for part, (lookup, missing, _words) in _ENDS.items():
        try:
            end = read(f"{spec.field_path}_{part}", missing)
        except ValidationError as error:
            # Everything, as if nothing had been asked, would be taken for the answer.
            messages.error(request, f"{spec.title}: {' '.join(error.messages)}")
            return queryset.none()
        if end is not None:
            queryset = queryset.filter(**{f"{spec.field_path}__{lookup}": end})
    return queryset


def _moment(day: str, hour: str, missing: time) -> datetime:
    if not day:
        raise ValidationError(_("Give a day with the time."))
    at = forms.TimeField().clean(hour) if hour else missing
    return make_aware(datetime.combine(forms.DateField().clean(day), at))


def narrowed_words(changelist: ChangeList) -> str:
    """What a list is narrowed to, as its search and filters are called and show it; empty where it is not. One query
    for each filter by a row of another list."""
    told = [f"“{changelist.query}”"] if changelist.query else []
    for spec in changelist.filter_specs:
        words = _span_words(spec) if isinstance(spec, DayRangeFilter | MomentRangeFilter) else _chosen(spec)
        if words:
            told.append(f"{capfirst(spec.title)}: {', '.join(words)}")
    return "; ".join(told)


def _span_words(spec: DayRangeFilter | MomentRangeFilter) -> list[str]:
    typed = {
        part: " ".join(
            filter(None, (spec.used_parameters.get(f"{spec.field_path}_{part}{place}") for place in _PLACES))
        )
        for part in _ENDS
    }
    return [str(words) % {"at": typed[part]} for part, (_lookup, _hour, words) in _ENDS.items() if typed[part]]


def _chosen(spec: ListFilter) -> list[str]:
    values: list[str] = []
    for value in spec.used_parameters.values():
        values += [str(each) for each in (value if isinstance(value, list | tuple) else [value]) if each != ""]
    named = _names(spec, values) if values else {}
    return [named.get(value, value) for value in values]


def _names(spec: ListFilter, values: Sequence[str]) -> dict[str, str]:
    field: Field[Any, Any] | None = getattr(spec, "field", None)
    if isinstance(field, BooleanField):
        return {"1": _("yes"), "0": _("no")}
    if field is not None and field.related_model is not None:
        # One that is looked up as people type has no choices.
        rows = field.related_model._default_manager.filter(pk__in=[value for value in values if value.isdecimal()])
        return {str(row.pk): str(row) for row in rows}
    choices = getattr(spec, "lookup_choices", None) or getattr(field, "flatchoices", None) or ()
    return {str(value): str(label) for value, label in choices}
