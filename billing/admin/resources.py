"""What lists of this app hand out: amounts in major units, rows named by their customer and invoice."""

from typing import Any

from import_export import fields

from billing.models import (
    ApprovalRequest,
    Dispute,
    Fee,
    ImportRun,
    Invoice,
    Payment,
    PaymentAttempt,
    PaymentMethod,
    PaymentPlan,
    Promise,
    Subscription,
    UnknownCode,
)
from billing.money import to_major
from customers.export_lists import ListResource

_WHO = ("customer__name", "customer__external_id")
_WHOSE = ("invoice__number", "invoice__customer__name", "invoice__customer__external_id")


class MoneyField(fields.Field):
    """Minor units of the row's currency, handed out in major units."""

    def get_value(self, instance: Any) -> Any:
        """The amount as a Decimal; None for none."""
        amount = super().get_value(instance)
        return None if amount is None else to_major(amount, instance.currency)


class InvoiceResource(ListResource):
    amount = MoneyField(attribute="amount_due", column_name="amount")
    paid = MoneyField(attribute="amount_paid", column_name="paid")
    credited = MoneyField(attribute="amount_credited", column_name="credited")
    balance = MoneyField(attribute="balance", column_name="balance")

    class Meta:
        model = Invoice
        fields = (
            "number", "external_id", *_WHO, "brand__code", "currency", "amount", "paid", "credited", "balance",
            "status", "collection_method", "issued_at", "due_at", "first_failed_at", "paid_at", "disputed_at",
            "in_plan", "last_decline_code", "last_decline_category", "recovered_by",
        )  # fmt: skip
        export_order = fields


class PaymentAttemptResource(ListResource):
    amount = MoneyField(attribute="amount", column_name="amount")

    class Meta:
        model = PaymentAttempt
        fields = (
            *_WHOSE, "number", "status", "origin", "currency", "amount", "scheduled_for", "at", "external_id",
            "decline_code", "network_decline_code", "advice_code", "decline_category", "strategy", "probability",
            "explanation", "cancel_reason", "actor__username",
        )  # fmt: skip
        export_order = fields


class PaymentResource(ListResource):
    amount = MoneyField(attribute="amount", column_name="amount")
    allocated = MoneyField(attribute="allocated", column_name="allocated")
    refunded = MoneyField(attribute="refunded", column_name="refunded")

    class Meta:
        model = Payment
        fields = (
            "external_id",
            "source",
            *_WHO,
            "currency",
            "amount",
            "allocated",
            "refunded",
            "received_at",
            "method",
        )
        export_order = fields


class PromiseResource(ListResource):
    amount = MoneyField(attribute="amount", column_name="amount")

    class Meta:
        model = Promise
        fields = (*_WHO, "currency", "amount", "status", "promised_on", "grace_days", "note", "actor__username",
                  "created_at", "closed_at")  # fmt: skip
        export_order = fields


class PaymentPlanResource(ListResource):
    amount = MoneyField(attribute="amount", column_name="amount")

    class Meta:
        model = PaymentPlan
        fields = (*_WHO, "currency", "amount", "interval", "status", "actor__username", "created_at", "closed_at")
        export_order = fields


class DisputeResource(ListResource):
    amount = MoneyField(attribute="amount", column_name="amount")

    class Meta:
        model = Dispute
        fields = (
            *_WHOSE, "currency", "amount", "reason", "note", "owner__username", "resolution", "status", "opened_at",
            "closed_at",
        )  # fmt: skip
        export_order = fields


class FeeResource(ListResource):
    amount = MoneyField(attribute="amount", column_name="amount")

    class Meta:
        model = Fee
        fields = (*_WHOSE, "kind", "currency", "amount", "status", "rule", "at", "closed_at")
        export_order = fields


class SubscriptionResource(ListResource):
    amount = MoneyField(attribute="amount", column_name="amount")

    class Meta:
        model = Subscription
        fields = (
            *_WHO, "external_id", "plan_name", "status", "currency", "amount", "interval", "started_at",
            "current_period_end", "cancel_at_period_end", "ended_at", "ended_reason",
        )  # fmt: skip
        export_order = fields


class PaymentMethodResource(ListResource):
    """What a person may read off a card and no more: nothing that charges it."""

    class Meta:
        model = PaymentMethod
        fields = (
            *_WHO, "type", "brand", "funding", "country", "last4", "exp_month", "exp_year", "issuer", "is_default",
            "attached_at", "detached_at", "never_again_at", "never_again_reason",
        )  # fmt: skip
        export_order = fields


class ApprovalRequestResource(ListResource):
    class Meta:
        model = ApprovalRequest
        fields = (
            "requested_at", "requested_by__username", "act", *_WHO, "invoice__number", "summary", "reason", "status",
            "decided_at", "decided_by__username", "note",
        )  # fmt: skip
        export_order = fields


class ImportRunResource(ListResource):
    class Meta:
        model = ImportRun
        fields = (
            "created_at", "asked_by__username", "file_name", "size", "sha256", "preset", "brand__code", "as_of",
            "status", "finished_at", "rows", "new", "changed", "unchanged", "rejected", "customers_new", "tidied_at",
            "error",
        )  # fmt: skip
        export_order = fields


class UnknownCodeResource(ListResource):
    class Meta:
        model = UnknownCode
        fields = ("field", "code", "seen", "first_seen_at", "last_seen_at")
        export_order = fields
