"""Owns whether an invoice may be charged now, and on which stored method: asked when planning and when acting.

Pure over rows that are loaded already. A refusal that only lasts (a promise, a dispute) is `resting`: the retries go
on by `retries_resume` when it ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.gateways import is_chargeable
from billing.models import (
    AttemptOrigin,
    CollectionMethod,
    Invoice,
    InvoiceStatus,
    PaymentMethod,
    ProcessorAccount,
    RetryMode,
    SubscriptionStatus,
)

#: The customer started these, is there, and may pay whatever else is going on.
BY_CUSTOMER = frozenset({AttemptOrigin.PORTAL, AttemptOrigin.NEW_METHOD})
#: At most this long is one period of a subscription, by its interval.
_PERIOD = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31)}
_LONGEST_PERIOD = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an invoice is not charged: a stable code and one English sentence for staff."""

    code: str
    reason: str
    resting: bool = False


def refusal(
    invoice: Invoice, *, account: ProcessorAccount | None, promised: bool, origin: str, now: datetime
) -> Refusal | None:
    """The first rule that forbids a charge of this origin, or None.

    `promised` tells whether an open promise to pay stands for the customer. Needs the invoice's `customer` and
    `subscription` loaded.
    """
    rules = {
        AttemptOrigin.RETRY: (_owed, _contested, _planned, _by_itself),
        AttemptOrigin.INSTALMENT: (_owed, _contested, _agreed),
    }.get(AttemptOrigin(origin), (_owed, _contested, _planned, _by_person))
    for rule in rules:
        found = rule(invoice, account, promised, origin, now)
        if found is not None:
            return found
    return None


def _owed(
    invoice: Invoice, account: ProcessorAccount | None, promised: bool, origin: str, now: datetime
) -> Refusal | None:
    if account is None or not is_chargeable(invoice.source) or not invoice.external_id:
        return Refusal("no_processor", "There is no payment processor behind this invoice.")
    payable = {InvoiceStatus.OPEN}
    if origin != AttemptOrigin.RETRY:
        # Written off is not forgiven: whoever wants to pay may.
        payable.add(InvoiceStatus.UNCOLLECTIBLE)
    if invoice.status not in payable:
        return Refusal("not_open", f"The invoice is {invoice.get_status_display().lower()}.")
    if invoice.amount_due - invoice.amount_paid - invoice.amount_credited <= 0:
        return Refusal("nothing_owed", "Nothing is left to pay.")
    return None


def _contested(
    invoice: Invoice, account: ProcessorAccount | None, promised: bool, origin: str, now: datetime
) -> Refusal | None:
    if invoice.disputed_at is not None:
        return Refusal("disputed", "The customer disputes this invoice.", resting=True)
    return None


def _planned(
    invoice: Invoice, account: ProcessorAccount | None, promised: bool, origin: str, now: datetime
) -> Refusal | None:
    if invoice.in_plan:
        return Refusal("in_plan", "The invoice is in a payment plan.", resting=True)
    return None


def _agreed(
    invoice: Invoice, account: ProcessorAccount | None, promised: bool, origin: str, now: datetime
) -> Refusal | None:
    """An instalment is charged because the customer agreed to its day; nothing else may be charging the invoice."""
    if not invoice.in_plan:
        return Refusal("plan_ended", "The payment plan has ended.")
    if invoice.customer.deleted_at is not None:
        return Refusal("customer_deleted", "The customer was deleted at the processor.")
    if invoice.processor_next_attempt_at is not None:
        return Refusal("schedule_conflict", "The processor has planned a try of its own; two would race.")
    return _in_other_hands(invoice)


def _by_person(
    invoice: Invoice, account: ProcessorAccount | None, promised: bool, origin: str, now: datetime
) -> Refusal | None:
    """Staff may charge against a promise or an exclusion of our own, never against the law or beside an agency."""
    if origin in BY_CUSTOMER:
        return None
    return _in_other_hands(invoice)


def _in_other_hands(invoice: Invoice) -> Refusal | None:
    if invoice.customer.legal_hold:
        return Refusal("legal_hold", "The customer is under a legal hold.", resting=True)
    if invoice.customer.bankrupt:
        return Refusal("bankrupt", "The customer is bankrupt.", resting=True)
    if invoice.at_agency:
        return Refusal("at_agency", "An agency collects this invoice.", resting=True)
    return None


def _by_itself(
    invoice: Invoice, account: ProcessorAccount | None, promised: bool, origin: str, now: datetime
) -> Refusal | None:
    """What binds charges nobody asked for."""
    assert account is not None  # noqa: S101  (_owed came first)
    unlawful = _in_other_hands(invoice)
    if unlawful is not None:
        return unlawful
    if invoice.customer.no_dunning:
        return Refusal("no_dunning", "The customer is exempt from dunning.", resting=True)
    if invoice.customer.deleted_at is not None:
        return Refusal("customer_deleted", "The customer was deleted at the processor.")
    if promised:
        return Refusal("promised", "The customer has promised to pay.", resting=True)
    if invoice.collection_method != CollectionMethod.AUTOMATIC:
        return Refusal("sent_for_payment", "The invoice is sent for payment, not charged automatically.")
    if account.retry_mode == RetryMode.OBSERVE:
        return Refusal("observe", "The processor retries; we only write.")
    if account.retry_mode == RetryMode.TAKE_OVER and invoice.processor_attempts < account.take_over_after:
        tries = f"{invoice.processor_attempts} of {account.take_over_after}"
        return Refusal("not_taken_over", f"The processor's own tries come first ({tries} made).")
    if invoice.processor_next_attempt_at is not None:
        return Refusal("schedule_conflict", "The processor has planned a try of its own; two would race.")
    if _cancelled_before_served(invoice):
        return Refusal("subscription_ended", "The subscription ended before the period it bills was over.")
    return None


def _cancelled_before_served(invoice: Invoice) -> bool:
    """Whether the subscription ended within the period the invoice bills (subscriptions are billed in advance).

    People who cancelled and are charged days later call it fraud, and their bank agrees. A period that was served
    to its end before the cancellation is owed like any other; everything else waits for the customer or for staff.
    """
    subscription = invoice.subscription
    if subscription is None or subscription.status != SubscriptionStatus.CANCELED:
        return False
    if subscription.ended_at is None or invoice.issued_at is None:
        return True
    period = _PERIOD.get(subscription.interval, _LONGEST_PERIOD)
    return subscription.ended_at < invoice.issued_at + period


def usable(method: PaymentMethod) -> bool:
    """Whether a stored method can be charged at all."""
    return bool(method.external_id) and method.detached_at is None and method.never_again_at is None


def methods_for(invoice: Invoice, customer_defaults: Iterable[PaymentMethod]) -> list[PaymentMethod]:
    """The methods an invoice may be charged on, best first: those that are the default somewhere and usable.

    What staff chose for this invoice goes before all. Newest first, because a customer who stores a new card means it
    to be charged, whatever an old default says; among equals the invoice's own comes before its subscription's and
    the customer's. Other stored methods are for billing.retries.methods to say.
    """
    chain = [invoice.retry_method, invoice.default_payment_method]
    chain.append(invoice.subscription.default_payment_method if invoice.subscription else None)
    chain += customer_defaults
    seen: dict[int, PaymentMethod] = {}
    for method in chain:
        # After a merge a customer holds methods under two names at the processor; each pays its own invoices only.
        if method is not None and usable(method) and method.held_as == invoice.held_as:
            seen.setdefault(method.pk, method)
    return sorted(
        seen.values(),
        key=lambda m: (m.pk != invoice.retry_method_id, -(m.attached_at.timestamp() if m.attached_at else 0.0)),
    )


def network_of(method: PaymentMethod | None) -> str:
    """What the limits know the method by: the card's network, or the type of a bank debit."""
    if method is None:
        return ""
    return method.brand if method.type == "card" else method.type


def card_country_of(method: PaymentMethod | None) -> str:
    """Where a card was issued; "" for what is no card or does not say."""
    return method.country if method is not None and method.type == "card" else ""


def credential_of(method: PaymentMethod | None) -> str:
    """What makes two stored methods one credential; methods without a fingerprint are one each."""
    if method is None:
        return ""
    return method.fingerprint or f"method:{method.pk}"
