"""Owns the canonical dump of all facts: equal for equal histories, whatever order and repetition they came in.

Rows are named by their outside identities; our own ids and the moments of arrival are left out.
"""

from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet

from billing.models import (
    Allocation,
    Dispute,
    Invoice,
    Payment,
    PaymentAttempt,
    PaymentMethod,
    Subscription,
)
from customers.models import Contact, Customer, Interaction

State = dict[str, list[dict[str, Any]]]


def canonical_state() -> State:
    """All facts as plain JSON values, sorted."""
    return {
        "customers": _dump(
            Customer.objects.all(),
            "source",
            "external_id",
            "name",
            "email",
            "phone",
            "kind",
            "country",
            "language",
            "timezone",
            "metadata",
            deleted=F("deleted_at"),
        ),
        "contacts": _dump(
            Contact.objects.all(),
            "name",
            "email",
            "phone",
            "is_primary",
            "active",
            customer_ref=F("customer__external_id"),
        ),
        "payment_methods": _dump(
            PaymentMethod.objects.all(),
            "source",
            "external_id",
            "type",
            "brand",
            "funding",
            "country",
            "last4",
            "exp_month",
            "exp_year",
            "fingerprint",
            "issuer",
            "is_default",
            "attached_at",
            "renewed_at",
            "never_again_at",
            "never_again_reason",
            holder=F("customer__external_id"),
            detached=F("detached_at"),
        ),
        "subscriptions": _dump(
            Subscription.objects.all(),
            "source",
            "external_id",
            "status",
            "plan_name",
            "amount",
            "currency",
            "interval",
            "started_at",
            "current_period_end",
            "cancel_at_period_end",
            "ended_at",
            "ended_reason",
            customer_ref=F("customer__external_id"),
            method=F("default_payment_method__external_id"),
        ),
        "invoices": _dump(
            Invoice.objects.all(),
            "source",
            "external_id",
            "number",
            "description",
            "currency",
            "amount_due",
            "amount_paid",
            "amount_credited",
            "balance",
            "status",
            "collection_method",
            "issued_at",
            "due_at",
            "first_failed_at",
            "paid_at",
            "closed_at",
            "disputed_at",
            "processor_attempts",
            "processor_next_attempt_at",
            "last_decline_code",
            "last_decline_category",
            "retry_state",
            "retry_reason",
            "recovered_by",
            "metadata",
            customer_ref=F("customer__external_id"),
            subscription_ref=F("subscription__external_id"),
            method=F("default_payment_method__external_id"),
        ),
        "payments": _dump(
            Payment.objects.all(),
            "source",
            "external_id",
            "amount",
            "allocated",
            "refunded",
            "currency",
            "received_at",
            "method",
            customer_ref=F("customer__external_id"),
        ),
        "allocations": _dump(
            Allocation.objects.all(),
            "amount",
            payment_ref=F("payment__external_id"),
            invoice_ref=F("invoice__external_id"),
        ),
        "attempts": _dump(
            PaymentAttempt.objects.all(),
            "external_id",
            "number",
            "status",
            "origin",
            "amount",
            "currency",
            "at",
            "decline_code",
            "network_decline_code",
            "advice_code",
            "network_advice_code",
            "decline_category",
            "failure_message",
            invoice_ref=F("invoice__external_id"),
            method=F("payment_method__external_id"),
        ),
        "disputes": _dump(
            Dispute.objects.all(),
            "source",
            "external_id",
            "amount",
            "currency",
            "reason",
            "status",
            "opened_at",
            invoice_ref=F("invoice__external_id"),
        ),
        "log": _dump(
            Interaction.objects.filter(actor_kind="processor"),
            "kind",
            "at",
            "key",
            "outcome",
            customer_ref=F("customer__external_id"),
        ),
    }


def differences(one: State, other: State) -> list[str]:
    """What is in one dump and not in the other, a line each; empty when they are equal."""
    lines = []
    for table in one:
        left = {repr(row) for row in one[table]}
        right = {repr(row) for row in other[table]}
        lines += [f"- {table}: {row}" for row in sorted(left - right)]
        lines += [f"+ {table}: {row}" for row in sorted(right - left)]
    return lines


#: Moments that depend on what was re-read when: that there is one is a fact, which one is not.
_ONLY_WHETHER = {"deleted", "detached"}


def _dump(rows: QuerySet[Any], *names: str, **expressions: F) -> list[dict[str, Any]]:
    dumped = [
        {name: _plain(name, value) for name, value in sorted(row.items())}
        for row in rows.values(*names, **expressions).iterator()
    ]
    return sorted(dumped, key=repr)


def _plain(name: str, value: Any) -> Any:
    if name in _ONLY_WHETHER:
        return value is not None
    return value.isoformat() if isinstance(value, datetime) else value
