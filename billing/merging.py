"""Owns what money has to say when customers are merged: no charge under way, and who may be charged for what.

A stored method pays only invoices of the same customer at the processor, whoever they are with us. So invoices,
methods and subscriptions of the duplicate remember whose they are there (`held_as`).
"""

from collections.abc import Sequence

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from billing.models import (
    AttemptStatus,
    FeePayment,
    Invoice,
    PaymentAttempt,
    PaymentMethod,
    PaymentPlan,
    ProcessorAccount,
    Promise,
    Subscription,
)
from billing.signals import announce_facts_changed
from customers.merging import MergePart, Pair, merge_part
from customers.models import Customer

_UNDER_WAY = (AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN)


def held_as(customer: Customer, external_id: str) -> str:
    """What `held_as` is for an object the processor says is of `external_id`, where it is filed with `customer`."""
    return "" if customer.external_id == external_id else external_id


def _objections(kept: Customer, merged: Customer) -> Sequence[str]:
    both = (kept, merged)
    found = []
    charging = PaymentAttempt.objects.filter(invoice__customer__in=both, status__in=_UNDER_WAY).exists()
    if charging or FeePayment.objects.filter(customer__in=both, status__in=_UNDER_WAY).exists():
        found.append(_("A charge is under way: wait until it is resolved."))
    plans = PaymentPlan.objects.filter(customer__in=both, status=PaymentPlan.Status.ACTIVE)
    if plans.order_by().values("brand").annotate(n=Count("id")).filter(n__gt=1).exists():
        found.append(_("Both have a payment plan: end one of them first."))
    known = set(ProcessorAccount.objects.filter(code__in={kept.source, merged.source}).values_list("code", flat=True))
    if _at_processor(merged, known) and not _at_processor(kept, known):
        found.append(_("Only the other one is known to the payment processor: keep that one."))
    return found


def _at_processor(customer: Customer, accounts: set[str]) -> bool:
    return customer.external_id is not None and customer.source in accounts


def _before(pair: Pair) -> None:
    """Notes whose everything is at the processor; of two open promises the one that rests longer stands."""
    if pair.merged.external_id:
        for model in (Invoice, PaymentMethod, Subscription):
            rows = model._base_manager.filter(customer=pair.merged, source=pair.merged.source, held_as="")
            rows.update(held_as=pair.merged.external_id)
    for brand_id in set(_open(pair).values_list("brand_id", flat=True)):
        first, *others = _open(pair).filter(brand_id=brand_id).order_by("-expires_at", "-id")
        del first  # it stands
        for promise in others:
            promise.status, promise.closed_at = Promise.Status.CANCELLED, pair.now
            promise.save(update_fields=["status", "closed_at"])


def _open(pair: Pair) -> QuerySet[Promise]:
    return Promise.objects.filter(Q(customer=pair.kept) | Q(customer=pair.merged), status=Promise.Status.OPEN)


merge_part(
    "billing",
    MergePart(
        objections=_objections,
        before=_before,
        after=lambda pair: announce_facts_changed([pair.kept.pk]),
    ),
)
