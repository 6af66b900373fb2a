"""Somebody whose invoice is refused for its amount, and all that forbids to name parts to them."""

from datetime import timedelta
from typing import Any

from billing.models import CustomerRisk, Dispute, Invoice, PaymentPlan, PlanPolicy, Promise
from tests import factories as f
from tests.factories import NOW

DAY = timedelta(days=1)
FUNDS, VAGUE = "insufficient_funds", "do_not_honor"


def hindered(**fields: Any) -> Invoice:
    """Ninety euros, refused twice for lack of funds."""
    f.account()
    customer = fields.pop("customer", None) or f.customer()
    card = f.payment_method(customer)
    values = {"amount_due": 9000, "last_decline_category": FUNDS} | fields
    invoice = f.invoice(customer, **values)
    for days in (3, 1):
        f.attempt(invoice, payment_method=card, at=NOW - days * DAY)
    return invoice


def not_online(invoice: Invoice) -> None:
    PlanPolicy.objects.create(brand=invoice.brand, offered_online=False)


def active_plan(invoice: Invoice) -> None:
    PaymentPlan.objects.create(
        customer=invoice.customer, brand=invoice.brand, currency="EUR", amount=1, created_at=NOW
    )


def promise(invoice: Invoice, status: str = "open") -> None:
    Promise.objects.create(
        customer=invoice.customer, brand=invoice.brand, amount=1, currency="EUR", promised_on=NOW.date(),
        expires_at=NOW, status=status, created_at=NOW, closed_at=None if status == "open" else NOW,
    )  # fmt: skip


def words_broken(invoice: Invoice) -> None:
    promise(invoice, "broken")
    promise(invoice, "broken")


def charging(invoice: Invoice) -> None:
    f.attempt(invoice, status="unknown", decline_category="", claimed_at=NOW)


def disputed(invoice: Invoice) -> None:
    Dispute.objects.create(invoice=invoice, amount=9000, currency="EUR", opened_at=NOW)
    Invoice.objects.filter(pk=invoice.pk).update(disputed_at=NOW)


def processor_retries(invoice: Invoice) -> None:
    Invoice.objects.filter(pk=invoice.pk).update(processor_next_attempt_at=NOW + DAY)


def agency(invoice: Invoice) -> None:
    Invoice.objects.filter(pk=invoice.pk).update(at_agency=True)


def too_small(invoice: Invoice) -> None:
    Invoice.objects.filter(pk=invoice.pk).update(amount_due=3000)
    invoice.attempts.update(amount=3000)


def risky(invoice: Invoice) -> None:
    PlanPolicy.objects.create(brand=invoice.brand, risky_instalments=1)
    CustomerRisk.objects.create(customer=invoice.customer, band="high", rating="E", basis="history", scored_at=NOW)


def masked(invoice: Invoice) -> None:
    invoice.attempts.update(decline_category=VAGUE)


def of_a_duplicate(invoice: Invoice) -> None:
    Invoice.objects.filter(pk=invoice.pk).update(held_as="cus_merged")


#: Each forbids to name parts.
AGAINST = [
    not_online, active_plan, promise, words_broken, charging, disputed, processor_retries, agency, too_small,
    risky, masked, of_a_duplicate,
]  # fmt: skip
