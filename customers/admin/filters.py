"""Owns narrowing a list to a span of moments, as people write days and hours in their language."""

from datetime import datetime, time
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import make_aware
from django.utils.translation import gettext as _
from unfold.contrib.filters.admin import RangeDateTimeFilter

#: Part of the parameter's name → how it compares, and the hour of a day without one.
_ENDS = {"from": ("gte", time.min), "to": ("lte", time.max)}


class MomentRangeFilter(RangeDateTimeFilter):
    """The library's filter, which takes days in one spelling only, passes over a day without an hour, and narrows
    nothing by what it cannot read. Moments are those of the site's time zone, both ends included."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for part, (lookup, missing) in _ENDS.items():
            name = f"{self.parameter_name}_{part}"
            day, hour = (self.used_parameters.get(f"{name}_{place}") or "" for place in (0, 1))
            if not day and not hour:
                continue
            try:
                moment = _moment(day, hour, missing)
            except ValidationError as error:
                # Everything, as if nothing had been asked, would be taken for the answer.
                messages.error(request, f"{self.title}: {' '.join(error.messages)}")
                return queryset.none()
            queryset = queryset.filter(**{f"{self.field_path}__{lookup}": moment})
        return queryset


def _moment(day: str, hour: str, missing: time) -> datetime:
    if not day:
        raise ValidationError(_("Give a day with the time."))
    at = forms.TimeField().clean(hour) if hour else missing
    return make_aware(datetime.combine(forms.DateField().clean(day), at))
