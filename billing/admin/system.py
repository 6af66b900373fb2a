"""Admin of the machinery: the inbox of outside events, orders to the processor, processor accounts."""

import json
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter
from unfold.decorators import display

from billing.admin.columns import WORK
from billing.breaker import paused_until
from billing.ingest.again import inbox_retry
from billing.models import InboxEvent, ProcessorAccount, ProcessorCommand
from customers import clock
from customers.admin.base import HistoryAdmin, NoDeleteMixin, ReadOnlyAdmin, badge, choice_badge
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, Fact, PageAction, PageAdmin
from customers.display import plain


def _inbox_facts(request: HttpRequest, event: InboxEvent, now: datetime) -> list[Fact]:
    facts = [
        Fact(_("Status"), choice_badge(event, "status", WORK), 10),
        Fact(_("Object"), event.object_id or "–", 20),
        Fact(_("Tries"), str(event.attempts), 40),
    ]
    if event.error:
        facts.append(Fact(_("Error"), event.error[:300], 50))
    return facts


def _try_again(asked: Asked) -> str:
    inbox_retry(event_ids=[asked.obj.pk], now=asked.now)
    return _now("The event will be worked on again within seconds.")


@admin.register(InboxEvent)
class InboxEventAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("What the payment processor tells us appears here.")
    counted_as = _("events")
    tells_of_many = ""
    list_display = ("type", "event_id", "object_id", "state", "received_at", "attempts", "retry_at", "trouble")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("type", FieldTextFilter),
        ("received_at", MomentRangeFilter),
    )
    search_exact = ("event_id", "object_id")
    ordering = ("-id",)
    actions = ("try_again",)
    fields = (
        ("source", "event_id"), ("type", "object_id"), ("occurred_at", "received_at"),
        ("processed_at", "mirrored_at", "retry_at"), "error", "pretty",
    )  # fmt: skip
    readonly_fields = ("pretty",)
    page_facts = [_inbox_facts]
    page_actions = [
        PageAction(
            slug="again",
            label=_("Try again"),
            icon="refresh",
            permission="billing.change_inboxevent",
            question=_(
                "The event is put back at the head of the queue. Working on an event twice changes nothing twice."
            ),
            fits=lambda event: event.status == InboxEvent.Status.FAILED,
            run=_try_again,
        )
    ]

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        # Payloads are kilobytes each; the list shows none of them.
        return rows if request.resolver_match and request.resolver_match.kwargs else rows.defer("payload")

    @display(description=_("status"), ordering="status")
    def state(self, row: InboxEvent) -> str:
        return choice_badge(row, "status", WORK)

    @display(description=_("error"))
    def trouble(self, row: InboxEvent) -> str:
        return format_html('<span class="sol-cut" title="{}">{}</span>', row.error, row.error or "–")

    @display(description=_("payload"))
    def pretty(self, row: InboxEvent) -> str:
        text = json.dumps(row.payload, indent=2, ensure_ascii=False)
        return format_html('<pre class="sol-pre">{}</pre>', text)

    def has_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_inboxevent")

    @admin.action(description=_("Try failed events again"), permissions=["again"])
    def try_again(self, request: HttpRequest, queryset: Any) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        done = inbox_retry(event_ids=ids, now=clock.now())
        self.message_user(
            request,
            _now("%(done)d put back into the queue, %(skipped)d left alone because they had not failed.")
            % {"done": done, "skipped": len(ids) - done},
        )


@admin.register(ProcessorCommand)
class ProcessorCommandAdmin(ReadOnlyAdmin):
    empty_text = _("Orders to the payment processor, such as cancelling a subscription, appear here.")
    list_display = ("__str__", "invoice", "subscription", "state", "due_at", "attempts", "done_at")
    list_select_related = ("invoice", "subscription")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("created_at", MomentRangeFilter),
    )
    search_exact = ("key", "invoice__number", "subscription__external_id")
    ordering = ("-id",)
    fields = (
        ("kind", "status"), ("invoice", "subscription"), ("due_at", "done_at", "created_at"), ("attempts", "key"),
        "error",
    )  # fmt: skip
    readonly_fields = ("key",)

    @display(description=_("status"), ordering="status")
    def state(self, row: ProcessorCommand) -> str:
        return choice_badge(row, "status", WORK)


@admin.register(ProcessorAccount)
class ProcessorAccountAdmin(NoDeleteMixin, HistoryAdmin):
    list_display = ("name", "code", "brand", "retry_mode", "health", "external_id")
    list_select_related = ("brand",)
    search_fields = ("name", "code", "external_id")
    autocomplete_fields = ("brand",)
    readonly_fields = ("schedule_conflict_at", "paused_until", "consecutive_failures", "created_at")
    fieldsets = (
        (None, {"fields": (("code", "name"), ("brand", "external_id"))}),
        (
            _("Retries"),
            {
                "fields": (
                    ("retry_mode", "take_over_after"),
                    ("retry_window_days", "retry_max_attempts"),
                    ("limit_profile", "other_methods"),
                    "debit_notice_days",
                )
            },
        ),
        (
            _("A part where funds lack"),
            {
                "fields": (("part_after", "part_share"), ("part_floor", "part_currency")),
                "description": _(
                    "After some declines for lack of funds a retry may ask for a part of what is owed. The rest stays "
                    "owed and is asked for by the next retry."
                ),
            },
        ),
        (_("Health"), {"fields": (("paused_until", "consecutive_failures"), ("schedule_conflict_at", "created_at"))}),
    )

    @display(description=_("health"))
    def health(self, row: ProcessorAccount) -> str:
        if row.schedule_conflict_at:
            return badge(_("both sides retry"), "danger")
        if pause := paused_until(row, clock.now()):
            return badge(_("calls pause until %(until)s") % {"until": plain(pause)}, "danger")
        if row.consecutive_failures:
            words = ngettext("%(n)d failed call", "%(n)d failed calls", row.consecutive_failures)
            return badge(words % {"n": row.consecutive_failures}, "warning")
        return badge(_("well"), "success")
