"""Endpoints that are told what happens, and what became of each telling."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from customers.admin.base import HistoryAdmin, ReadOnlyAdmin
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, PageAction, PageAdmin
from customers.display import choice_badge
from integrations.models import Endpoint, Event, EventDelivery
from integrations.webhooks.deliver import event_again
from integrations.webhooks.gather import endpoint_begin

STATUS = {"waiting": "info", "delivered": "success", "failed": "danger"}


class EndpointForm(ModelForm):  # type: ignore[type-arg]
    """Events as boxes to tick."""

    events = forms.MultipleChoiceField(
        label=_("told of"), choices=Event.choices, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    class Meta:
        model = Endpoint
        fields = ("name", "kind", "url", "email", "secret", "events", "brand", "active")


@admin.register(Endpoint)
class EndpointAdmin(HistoryAdmin):
    empty_text = _("An endpoint is told of events: a webhook of yours, a chat, or a mailbox of staff.")
    form = EndpointForm
    list_display = ("name", "kind", "target", "told_of", "brand", "active")
    list_select_related = ("brand",)
    list_filter = (("kind", ChoicesDropdownFilter), "active")
    autocomplete_fields = ("brand",)

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        """A new endpoint, or one switched on again, begins with what happens from now on."""
        if not change or ("active" in form.changed_data and obj.active):
            endpoint_begin(obj)
        super().save_model(request, obj, form, change)

    @display(description=_("to"))
    def target(self, row: Endpoint) -> str:
        return row.email or row.url

    @display(description=_("told of"))
    def told_of(self, row: Endpoint) -> str:
        return ", ".join(row.events)


def _again(asked: Asked) -> str:
    event_again(delivery_id=asked.obj.pk, now=asked.now)
    return _now("It is told once more.")


@admin.register(EventDelivery)
class EventDeliveryAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("What your endpoints were told appears here.")
    tells_of_many = ""
    list_display = ("event_id", "kind", "endpoint", "state", "attempts", "created_at", "next_at", "delivered_at")
    list_select_related = ("endpoint",)
    list_filter = (("status", ChoicesDropdownFilter), ("created_at", MomentRangeFilter))
    search_exact = ("event_id",)
    ordering = ("-id",)
    fields = (
        ("endpoint", "kind", "event_id"), ("status", "attempts", "error"), ("created_at", "next_at", "delivered_at"),
        "payload",
    )  # fmt: skip
    page_actions = [
        PageAction(
            slug="again",
            label=_("Tell it again"),
            icon="replay",
            permission="integrations.change_eventdelivery",
            fits=lambda row: row.status == EventDelivery.Status.FAILED,
            run=_again,
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventDelivery]:
        rows = super().get_queryset(request).select_related("endpoint")
        if request.resolver_match and "object_id" not in request.resolver_match.kwargs:
            rows = rows.defer("payload")
        return rows

    @display(description=_("status"), ordering="status")
    def state(self, row: EventDelivery) -> str:
        return choice_badge(row, "status", STATUS)
