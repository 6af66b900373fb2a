"""The back office for teams, and for whose customers each role and team sees."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from customers.admin.base import HistoryAdmin
from customers.models import RoleVisibility, Team


@admin.register(Team)
class TeamAdmin(HistoryAdmin):
    empty_text = _("People who share their customers. Without teams everybody sees what their role sees.")
    list_display = ("name", "size", "sees_words")
    search_fields = ("name",)
    ordering = ("name",)
    fields = ("name", "members", "sees")
    filter_horizontal = ("members",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request).annotate(size=Count("members"))
        return found

    @display(description=_("members"), ordering="size")
    def size(self, row: Any) -> int:
        return int(row.size)

    @display(description=_("its members see"), ordering="sees")
    def sees_words(self, row: Team) -> str:
        return row.get_sees_display() if row.sees else str(_("What their roles see"))


@admin.register(RoleVisibility)
class RoleVisibilityAdmin(HistoryAdmin):
    empty_text = _("Every role sees every customer. Add a role here to narrow what its members see.")
    list_display = ("group", "sees")
    list_select_related = ("group",)
    ordering = ("group__name",)
    fields = ("group", "sees")
