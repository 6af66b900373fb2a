"""Owns which payment plans a customer is offered: the brand's rules, what is known of the payer, and what is owed."""

from datetime import datetime, timedelta

from billing.behaviour import lifetime_of
from billing.matching import UNRESOLVED
from billing.models import (
    CustomerRisk,
    Invoice,
    InvoiceStatus,
    PaymentAttempt,
    PaymentPlan,
    PlanPolicy,
    Promise,
)
from billing.plans.terms import Offer, Payer, Rules, because, offers
from customers.display import customer_zone, zone
from customers.models import Customer

#: How far back broken words are held against somebody.
HISTORY = timedelta(days=365)


def plan_rules(brand_id: int) -> Rules:
    """The rules of a brand; the shipped ones where it has none of its own."""
    row = PlanPolicy.objects.filter(brand_id=brand_id).first()
    if row is None:
        return Rules()
    return Rules(
        most_instalments=row.most_instalments,
        most_days=row.most_days,
        first_within_days=row.first_within_days,
        least_amount=row.least_amount,
        currency=row.currency,
        most_broken=row.most_broken,
        least_paid_percent=row.least_paid_percent,
        risky_instalments=row.risky_instalments,
        risky_first_percent=row.risky_first_percent,
        trusted_wait_days=row.trusted_wait_days,
        offered_online=row.offered_online,
        promise_days=row.promise_days,
    )


def broken_words(customer_id: int, now: datetime) -> int:
    """How many plans and promises a customer has broken in the year before `now` (aware UTC)."""
    plans = PaymentPlan.objects.filter(
        customer_id=customer_id, status=PaymentPlan.Status.BROKEN, closed_at__gt=now - HISTORY
    )
    promises = Promise.objects.filter(
        customer_id=customer_id, status=Promise.Status.BROKEN, closed_at__gt=now - HISTORY
    )
    return plans.count() + promises.count()


def payer_of(customer_id: int, currency: str, now: datetime) -> Payer:
    """What the rules look at in a customer who owes in `currency`. Four queries."""
    risk = CustomerRisk.objects.filter(pk=customer_id).only("band", "rating").first()
    return Payer(
        broken=broken_words(customer_id, now),
        paid=lifetime_of([customer_id]).get(customer_id, {}).get(currency, 0),
        band=risk.band if risk is not None else "",
        rating=risk.rating if risk is not None else "",
    )


def plan_because(*, customer_id: int, brand_id: int, currency: str, now: datetime) -> tuple[str, ...]:
    """What the customer's risk makes of the offers, in words."""
    return because(plan_rules(brand_id), payer_of(customer_id, currency, now))


def plan_offers(*, customer_id: int, brand_id: int, currency: str, now: datetime) -> tuple[Offer, ...]:
    """The plans the rules offer a customer over all they owe a brand in one currency; none while one is active, or a
    charge of what they owe is under way."""
    customer = Customer.objects.select_related("brand").get(pk=customer_id)
    owed = plan_owed(customer, brand_id, currency)
    total = sum(invoice.balance for invoice in owed)
    active = PaymentPlan.objects.filter(
        customer=customer, brand_id=brand_id, status=PaymentPlan.Status.ACTIVE
    ).exists()
    if active or total < 2 or PaymentAttempt.objects.filter(invoice__in=owed, status__in=UNRESOLVED).exists():
        return ()
    return offers(
        plan_rules(brand_id),
        total=total,
        currency=currency,
        payer=payer_of(customer_id, currency, now),
        today=now.astimezone(zone(customer_zone(customer))).date(),
    )


def plan_owed(customer: Customer, brand_id: int, currency: str) -> list[Invoice]:
    """What a plan may be over: open, not contested, in no plan and at no agency. One query."""
    rows = Invoice.objects.filter(
        customer=customer, brand_id=brand_id, currency=currency, status=InvoiceStatus.OPEN, balance__gt=0
    )
    return list(rows.filter(disputed_at=None, in_plan=False, at_agency=False).order_by("pk"))
