"""The outbox and the message page: what was sent, as it was sent, and what became of it."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from campaigns.admin.columns import MESSAGE, link
from campaigns.admin.segments import OwnedSegmentFilter
from campaigns.models import Message, MessageStatus
from campaigns.services.messages import message_cancel, message_confirm_sent, message_resend
from customers.admin.base import ReadOnlyAdmin
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section
from customers.admin.practice import PracticeFilter
from customers.admin.timeline import Detail, add_detail
from customers.display import choice_badge, plain, when


def _facts(request: HttpRequest, message: Message, now: datetime) -> list[Fact]:
    facts = [
        Fact(_("Customer"), link("customers_customer", message.customer_id, message.customer), 10),
        Fact(_("Case"), link("campaigns_case", message.case_id, f"#{message.case_id}"), 20),
        Fact(_("Status"), choice_badge(message, "status", MESSAGE), 30),
        Fact(_("To"), message.recipient, 40),
        Fact(_("Template"), f"{message.template_version} · {message.language}", 50),
    ]
    step = message.step_run.step if message.step_run else None
    if step is not None and step.template_id not in (None, message.template_version.template_id):
        # A text for a segment, or of an experiment's arm.
        facts.append(Fact(_("Instead of"), link("campaigns_template", step.template_id, step.template), 55))
    if message.sent_at:
        facts.append(Fact(_("Sent"), when(message.sent_at), 60))
    elif message.send_at:
        facts.append(Fact(_("To be sent"), when(message.send_at), 60))
    if message.reason or message.rule:
        rule = format_html("<span class='sol-sub'>{}</span>", message.rule) if message.rule else ""
        facts.append(Fact(_("Why"), format_html("{} {}", message.reason, rule), 70))
    return facts


def _shown(request: HttpRequest, message: Message, now: datetime) -> dict[str, Any]:
    return {"message": message, "events": list(message.delivery_events.order_by("-at", "-id")[:200])}


def _details(request: HttpRequest, ids: Collection[int]) -> dict[int, Detail]:
    """What became of the messages a timeline tells of, and where they are shown as they were sent."""
    if not request.user.has_perm("campaigns.view_message"):
        return {}
    found = {}
    for row in Message.objects.filter(pk__in=ids).only("status", "recipient", "first_opened_at", "first_clicked_at"):
        told = [row.recipient]
        told += [_now("opened %(when)s") % {"when": plain(row.first_opened_at)}] if row.first_opened_at else []
        told += [_now("clicked %(when)s") % {"when": plain(row.first_clicked_at)}] if row.first_clicked_at else []
        url = reverse("admin:campaigns_message_change", args=[row.pk]) + "?tab=message"
        found[row.pk] = Detail(choice_badge(row, "status", MESSAGE), " · ".join(told), url)
    return found


add_detail("message", _details)


class ReasonForm(forms.Form):
    """Why; goes into the customer's log."""

    reason = forms.CharField(label=_("Reason"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget)


def _cancel(asked: Asked) -> str:
    message_cancel(message_id=asked.obj.pk, actor_id=asked.actor_id, reason=asked.data["reason"], now=asked.now)
    return _now("The message was called back.")


def _resend(asked: Asked) -> str:
    message_resend(message_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("The message is queued once more.")


def _confirm(asked: Asked) -> str:
    message_confirm_sent(message_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("The message counts as sent.")


ACTIONS = [
    PageAction(
        slug="cancel",
        label=_("Call back"),
        icon="undo",
        permission="campaigns.change_message",
        question=_("The message is not sent. The ladder goes on from there."),
        form=ReasonForm,
        fits=lambda message: message.status == MessageStatus.QUEUED,
        run=_cancel,
        danger=True,
    ),
    PageAction(
        slug="resend",
        label=_("Send once more"),
        icon="send",
        permission="campaigns.change_message",
        question=_("Perhaps it was sent already: ask the provider first. The text is written anew."),
        fits=lambda message: message.status in (MessageStatus.FAILED, MessageStatus.AMBIGUOUS),
        run=_resend,
    ),
    PageAction(
        slug="confirm",
        label=_("It was sent"),
        icon="done_all",
        permission="campaigns.change_message",
        question=_("Say so if the provider or the customer has it."),
        fits=lambda message: message.status == MessageStatus.AMBIGUOUS,
        run=_confirm,
    ),
]


@admin.register(Message)
class MessageAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("Every mail, text, letter and notice to customers appears here, as it was sent.")
    list_display = (
        "what", "customer", "recipient", "channel", "purpose", "state", "queued_at", "send_at", "sent_at", "why",
    )  # fmt: skip
    list_select_related = ("customer", "template_version__template")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("purpose", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        OwnedSegmentFilter,
        ("queued_at", MomentRangeFilter),
        ("sent_at", MomentRangeFilter),
        PracticeFilter,
    )
    search_exact = ("provider_id",)
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (
        ("customer", "case", "contact"), ("channel", "purpose", "language"), ("recipient", "template_version"),
        ("status", "reason", "rule"), ("queued_at", "send_at", "sent_at"), ("first_opened_at", "first_clicked_at"),
        ("provider_id", "attempts"),
    )  # fmt: skip
    page_sections = [
        Section("message", _("Message"), "admin/campaigns/message/message.html", _shown, "campaigns.view_message", 10)
    ]
    page_facts = [_facts]
    page_actions = ACTIONS

    def page_title(self, obj: Message) -> str:
        return obj.subject or str(obj.template_version.template)

    def page_subtitle(self, obj: Message) -> str:
        return " · ".join((str(obj.get_channel_display()), str(obj.get_purpose_display()), f"#{obj.pk}"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        rows = (
            super()
            .get_queryset(request)
            .select_related("customer", "template_version__template", "step_run__step__template")
        )
        if request.resolver_match and "object_id" not in request.resolver_match.kwargs:
            rows = rows.defer("html", "text")  # kilobytes a row, and a list shows none of them
        return rows

    @display(description=_("message"), ordering="subject")
    def what(self, row: Message) -> str:
        return format_html('<span class="sol-cut">{}</span>', row.subject or row.template_version.template)

    @display(description=_("status"), ordering="status")
    def state(self, row: Message) -> str:
        return choice_badge(row, "status", MESSAGE)

    @display(description=_("why"))
    def why(self, row: Message) -> str:
        return format_html('<span class="sol-cut" title="{}">{}</span>', row.reason, row.reason or "–")
