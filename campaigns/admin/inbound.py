"""What came in: replies, automatic answers and reports; staff say whose a stranger's message is."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from campaigns.admin.columns import link
from campaigns.inbound.assign import inbound_assign
from campaigns.models import InboundAttachment, InboundMessage
from customers.admin.base import ReadOnlyAdmin
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section
from customers.display import choice_badge, when
from customers.files import handed_out
from customers.models import Customer
from customers.visibility import seen

KIND = {"human": "info", "opt_out": "warning", "bounce": "danger"}


def _facts(request: HttpRequest, row: InboundMessage, now: datetime) -> list[Fact]:
    facts = [
        Fact(_("From"), row.sender, 10),
        Fact(_("Received"), when(row.received_at), 20),
        Fact(_("Kind"), choice_badge(row, "kind", KIND), 30),
    ]
    if row.customer_id:
        facts.append(Fact(_("Customer"), link("customers_customer", row.customer_id, row.customer), 40))
    if row.message_id:
        facts.append(Fact(_("Answers"), link("campaigns_message", row.message_id, f"#{row.message_id}"), 50))
    return facts


def _text(request: HttpRequest, row: InboundMessage, now: datetime) -> dict[str, Any]:
    return {"inbound": row, "attachments": list(row.attachments.all())}


class CustomerForm(forms.Form):
    """Whose message it is."""

    customer_id = forms.IntegerField(
        label=_("Customer's number"),
        min_value=1,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("As in its address."),
    )


def _assign(asked: Asked) -> str:
    # One they may not see is not there for them.
    chosen = seen(Customer.objects.filter(pk=asked.data["customer_id"]), asked.request.user).first()
    inbound_assign(
        inbound_id=asked.obj.pk, customer_id=chosen.pk if chosen else 0, actor_id=asked.actor_id, now=asked.now
    )
    return _now("The message is in the customer's log.")


@admin.register(InboundMessage)
class InboundMessageAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("What customers answer to mails and texts appears here, with the customer and case it belongs to.")
    list_display = ("what", "customer", "sender", "channel", "sort", "received_at")
    list_select_related = ("customer",)
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("customer", admin.EmptyFieldListFilter),
        ("received_at", MomentRangeFilter),
    )
    search_exact = ("sender",)
    ordering = ("-id",)
    fields = (("channel", "kind", "received_at"), ("sender", "recipient"), ("customer", "message", "case"))
    page_sections = [
        Section("text", _("Text"), "admin/campaigns/inbound/text.html", _text, "campaigns.view_inboundmessage", 10)
    ]
    page_facts = [_facts]
    page_actions = [
        PageAction(
            slug="assign",
            label=_("Whose is it?"),
            icon="person_search",
            permission="campaigns.change_inboundmessage",
            question=_("It goes into the customer's log as if it had been recognised at once."),
            form=CustomerForm,
            fits=lambda row: row.customer_id is None,
            run=_assign,
        )
    ]

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "attachment/<int:attachment_id>/",
                self.admin_site.admin_view(self.attachment_view),
                name="campaigns_inboundmessage_attachment",
            ),
            *super().get_urls(),
        ]

    def attachment_view(self, request: HttpRequest, attachment_id: int) -> HttpResponse | FileResponse:
        """One attachment, as a download: never shown in the page, never run."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = seen(InboundAttachment.objects.all(), request.user).filter(pk=attachment_id).first()
        if row is None or not row.file:
            raise Http404
        return handed_out(row.file, row.name)

    @display(description=_("message"))
    def what(self, row: InboundMessage) -> str:
        words = row.subject or " ".join(row.text.split())[:80] or f"#{row.pk}"
        return format_html('<span class="sol-cut">{}</span>', words)

    @display(description=_("kind"), ordering="kind")
    def sort(self, row: InboundMessage) -> str:
        return choice_badge(row, "kind", KIND)
