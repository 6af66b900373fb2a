"""Owns narrowing a list to a span of days or moments, as people write days and hours in their language."""

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import FieldListFilter
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import make_aware
from django.utils.translation import gettext as _
from unfold.contrib.filters.admin import RangeDateFilter, RangeDateTimeFilter

#: Part of the parameter's name → how it compares, and the hour of a day without one.
_ENDS = {"from": ("gte", time.min), "to": ("lte", time.max)}
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
    for part, (lookup, missing) in _ENDS.items():
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
