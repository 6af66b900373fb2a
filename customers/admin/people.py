"""Admin of brands, contacts, suppressions and the communication log."""

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import display

from customers.admin.base import HistoryAdmin, NoDeleteMixin, ReadOnlyAdmin, choice_badge
from customers.admin.timeline import subject_url
from customers.models import Brand, Contact, Interaction, Suppression


@admin.register(Brand)
class BrandAdmin(NoDeleteMixin, HistoryAdmin):
    list_display = ("name", "code", "from_email", "support_email", "default_language", "timezone")
    search_fields = ("name", "code", "from_email")
    readonly_fields = ("created_at",)
    fieldsets = (
        (None, {"fields": (("code", "name"), ("default_language", "timezone"))}),
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


@admin.register(Suppression)
class SuppressionAdmin(NoDeleteMixin, HistoryAdmin):
    list_display = ("address", "channel", "reason_badge", "created_at", "lifted_at")
    list_filter = (
        ("channel", ChoicesDropdownFilter),
        ("reason", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_prefix = ("address",)
    ordering = ("-id",)

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
