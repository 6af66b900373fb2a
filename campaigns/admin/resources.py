"""What lists of this app hand out: rows named by their customer."""

from billing.admin.resources import MoneyField
from campaigns.models import Case, Handover, InboundMessage, Message, Task, WorkItem
from customers.export_lists import ListResource

_WHO = ("customer__name", "customer__external_id")


class CaseResource(ListResource):
    class Meta:
        model = Case
        fields = (
            "id", *_WHO, "brand__code", "ladder_version__ladder__name", "ladder_version__number", "trigger", "state",
            "opened_at", "anchor_at", "position", "next_action_at", "next_action_reason", "rests_until", "rest_reason",
            "last_contact_at", "owner__username", "closed_at", "close_reason",
        )  # fmt: skip
        export_order = fields


class MessageResource(ListResource):
    class Meta:
        model = Message
        fields = (
            "id", *_WHO, "channel", "purpose", "template_version__template__name", "language", "recipient", "status",
            "subject", "queued_at", "sent_at", "first_opened_at", "first_clicked_at", "reason", "rule",
        )  # fmt: skip
        export_order = fields


class TaskResource(ListResource):
    class Meta:
        model = Task
        fields = ("id", *_WHO, "kind", "title", "status", "due_at", "assignee__username", "created_at", "closed_at")
        export_order = fields


class InboundMessageResource(ListResource):
    class Meta:
        model = InboundMessage
        fields = ("id", *_WHO, "channel", "sender", "subject", "received_at")
        export_order = fields


class WorkItemResource(ListResource):
    balance = MoneyField(attribute="balance", column_name="balance")

    class Meta:
        model = WorkItem
        fields = (*_WHO, "action", "due_at", "owner__username", "currency", "balance", "invoices", "oldest_days",
                  "country", "language", "zone", "touched_at", "snoozed_until")  # fmt: skip
        export_order = fields


class HandoverResource(ListResource):
    class Meta:
        model = Handover
        fields = (
            "handed_at", "handed_by__username", "case__customer__name", "case__customer__external_id", "agency_named",
            "status", "commission_bps", "tail_days", "ended_at", "end_reason",
        )  # fmt: skip
        export_order = fields
