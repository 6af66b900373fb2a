"""Leaves the customer staff practise on out of a list, as figures leave it out."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from customers.models import Customer
from customers.models.customer import PRACTICE
from customers.visibility import path_to_customer


class PracticeFilter(DropdownFilter):
    """For rows that belong to a customer: without those to practise on, or only those."""

    title = _("practice case")
    parameter_name = "practice"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("without", _("Left out, as in figures")), ("only", _("Nothing else"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("without", "only"):
            return queryset
        listed: Any = queryset.model
        path = path_to_customer(listed) or "pk"
        theirs = Q((f"{path}__in", Customer.objects.filter(source=PRACTICE).values("pk")))
        return queryset.filter(theirs if self.value() == "only" else ~theirs)
