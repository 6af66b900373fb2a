"""Admin of brands, contacts, suppressions and the communication log."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import display

from customers import clock
from customers.admin.base import HistoryAdmin, NoDeleteMixin, ReadOnlyAdmin, choice_badge
from customers.admin.page import Asked, PageAction, PageAdmin
from customers.admin.timeline import subject_url
from customers.models import Brand, Contact, Interaction, Suppression
from customers.services import suppression_add, suppression_lift


@admin.register(Brand)
class BrandAdmin(NoDeleteMixin, HistoryAdmin):
    list_display = ("name", "code", "from_email", "support_email", "default_language", "timezone")
    search_fields = ("name", "code", "from_email")
    readonly_fields = ("created_at",)
    fieldsets = (
        (None, {"fields": (("code", "name"), ("default_language", "timezone"), "collects_for_others")}),
        ("Mail", {"fields": (("from_name", "from_email"), ("reply_to", "support_email"), "support_url")}),
        ("Looks", {"fields": (("color", "logo_url"), "postal_address")}),
    )


@admin.register(Contact)
class ContactAdmin(NoDeleteMixin, HistoryAdmin):
    list_display = ("__str__", "email", "phone", "role", "language", "is_primary", "active", "customer")
    list_select_related = ("customer",)
    list_filter = ("is_primary", "active")
    search_exact = ("email",)
    search_trigram = ("customer__name",)
    autocomplete_fields = ("customer",)
    readonly_fields = ("created_at",)
    ordering = ("-id",)


def _lift(asked: Asked) -> str:
    suppression_lift(suppression_id=asked.obj.pk, now=asked.now)
    return _now("The address may be used again.")


@admin.register(Suppression)
class SuppressionAdmin(PageAdmin, NoDeleteMixin, HistoryAdmin):
    list_display = ("address", "channel", "reason_badge", "created_at", "lifted_at")
    list_filter = (
        ("channel", ChoicesDropdownFilter),
        ("reason", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_prefix = ("address",)
    ordering = ("-id",)
    fields = (("channel", "address"), "reason", "evidence", ("created_at", "lifted_at"))
    readonly_fields = ("created_at", "lifted_at")
    page_actions = [
        PageAction(
            slug="lift",
            label=_("Lift"),
            icon="lock_open",
            permission="customers.change_suppression",
            question=_("Messages may go to this address again. Someone who asked to be left alone must have agreed."),
            fits=lambda row: row.lifted_at is None,
            run=_lift,
        )
    ]

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        # Added and lifted by services; what was said at the time is never rewritten.
        return False

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        """Through the service, which spells the address as the senders do and keeps one in force."""
        row = suppression_add(
            channel=obj.channel, address=obj.address, reason=obj.reason, evidence=obj.evidence, now=clock.now()
        )
        obj.pk = row.pk

    @display(description="reason", ordering="reason")
    def reason_badge(self, row: Suppression) -> str:
        return choice_badge(row, "reason", {"hard_bounce": "danger", "complaint": "danger", "opt_out": "warning"})


@admin.register(Interaction)
class InteractionAdmin(ReadOnlyAdmin):
    list_display = ("at", "kind", "summary", "customer", "actor_kind", "actor", "outcome")
    list_select_related = ("customer", "actor")
    list_filter = (
        ("direction", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("actor_kind", ChoicesDropdownFilter),
        ("customer__brand", RelatedDropdownFilter),
        ("at", RangeDateTimeFilter),
    )
    search_exact = ("subject",)
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (
        ("at", "kind"),
        ("customer", "about"),
        ("direction", "channel"),
        ("actor_kind", "actor"),
        "summary",
        "body",
        "outcome",
        "data",
    )
    readonly_fields = ("about",)

    @display(description="about")
    def about(self, row: Interaction) -> str:
        return subject_url(row.subject, link=True)
