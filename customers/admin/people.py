"""Admin of brands, contacts, suppressions and the communication log."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from simple_history.utils import update_change_reason
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    DropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from customers import clock
from customers.admin.base import HistoryAdmin, NoDeleteMixin, ReadOnlyAdmin, choice_badge
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, PageAction, PageAdmin, staff_id
from customers.admin.timeline import GROUPS, narrowed, subject_url
from customers.consent import Evidence, Source, opt_in_record, opt_out_record
from customers.kinds import KINDS
from customers.models import Brand, Contact, Interaction, Suppression
from customers.services import suppression_add, suppression_lift
from customers.visibility import seen_suppressions


@admin.register(Brand)
class BrandAdmin(NoDeleteMixin, HistoryAdmin):
    list_display = ("name", "code", "from_email", "support_email", "default_language", "timezone")
    search_fields = ("name", "code", "from_email")
    readonly_fields = ("created_at",)
    fieldsets = (
        (None, {"fields": (("code", "name"), ("default_language", "timezone"), "collects_for_others")}),
        (_("Mail"), {"fields": (("from_name", "from_email"), ("reply_to", "support_email"), "support_url")}),
        (_("Looks"), {"fields": (("color", "logo_url"), "postal_address")}),
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


class LiftForm(forms.Form):
    """Why an address may be used again."""

    reason = forms.CharField(
        label=_("On what grounds"),
        max_length=2000,
        help_text=_("Of who had asked to be left alone: how and when they agreed. It goes into the register."),
        widget=UnfoldAdminTextareaWidget,
    )


def _lift(asked: Asked) -> str:
    row: Suppression = asked.obj
    if row.reason == Suppression.Reason.OPT_OUT:
        evidence = Evidence(source=Source.STAFF, text=asked.data["reason"], actor_id=asked.actor_id)
        opt_in_record(channel=row.channel, address=row.address, evidence=evidence, now=asked.now)
    else:
        update_change_reason(suppression_lift(suppression_id=row.pk, now=asked.now), asked.data["reason"][:100])
    return _now("The address may be used again.")


@admin.register(Suppression)
class SuppressionAdmin(PageAdmin, NoDeleteMixin, HistoryAdmin):
    empty_text = _("Addresses that bounced, complained or asked to be left alone appear here.")
    list_display = ("address", "channel", "reason_badge", "created_at", "lifted_at")
    list_filter = (
        ("channel", ChoicesDropdownFilter),
        ("reason", ChoicesDropdownFilter),
        ("created_at", MomentRangeFilter),
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
            form=LiftForm,
            fits=lambda row: row.lifted_at is None,
            run=_lift,
        )
    ]

    def rows_seen(self, rows: QuerySet[Suppression], user: Any) -> QuerySet[Suppression]:
        return seen_suppressions(rows, user)

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        # Added and lifted by services; what was said at the time is never rewritten.
        return False

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        """Through the service, which spells the address as the senders do and keeps one in force."""
        now = clock.now()
        if obj.reason == Suppression.Reason.OPT_OUT:
            evidence = Evidence(source=Source.STAFF, text=obj.evidence, actor_id=staff_id(request))
            event = opt_out_record(channel=obj.channel, address=obj.address, evidence=evidence, now=now)
            obj.pk = Suppression.objects.get(channel=event.channel, address=event.address, lifted_at=None).pk
            return
        row = suppression_add(
            channel=obj.channel, address=obj.address, reason=obj.reason, evidence=obj.evidence, now=now
        )
        obj.pk = row.pk

    @display(description=_("reason"), ordering="reason")
    def reason_badge(self, row: Suppression) -> str:
        return choice_badge(row, "reason", {"hard_bounce": "danger", "complaint": "danger", "opt_out": "warning"})


class KindFilter(DropdownFilter):
    """Narrows the log to a group of kinds, as the timeline's chips do, or to one kind."""

    title = _("kind")
    parameter_name = "what"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        groups = [(slug, str(title)) for slug, (title, _parts) in GROUPS.items()]
        return groups + sorted(((code, str(words)) for code, words in KINDS.items()), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Interaction]) -> QuerySet[Interaction]:
        return narrowed(queryset, kind=self.value() or "")


@admin.register(Interaction)
class InteractionAdmin(ReadOnlyAdmin):
    empty_text = _("Everything said to, heard from and done for customers appears here.")
    counted_as = _("entries")
    list_display = ("at", "summary", "customer", "by", "channel", "kind")
    list_select_related = ("customer", "actor")
    list_filter = (
        KindFilter,
        ("direction", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("actor_kind", ChoicesDropdownFilter),
        ("customer__brand", RelatedDropdownFilter),
        ("at", MomentRangeFilter),
    )
    search_exact = ("subject",)
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-at", "-id")
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

    @display(description=_("by"), ordering="actor_kind")
    def by(self, row: Interaction) -> str:
        return str(row.actor or row.get_actor_kind_display())

    @display(description=_("about"))
    def about(self, row: Interaction) -> str:
        return subject_url(row.subject, link=True)
