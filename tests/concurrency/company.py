"""Many customers whose subscription was not paid, at the sandbox and here, made in bulk."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from billing.models import Invoice, PaymentAttempt, PaymentMethod, RetryState, Subscription
from billing.retries.loop import plan_retries
from customers.models import Customer
from dunning_site.embedded.stripe_sandbox import seeding
from dunning_site.embedded.stripe_sandbox.server import SandboxServer
from tests import factories

AMOUNT = 4900
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Company:
    """Invoices (Stripe's ids) whose card works by now, and those whose card never will."""

    soft: frozenset[str]
    hard: frozenset[str]


def noon_zone(now: datetime) -> str:
    """A zone in which it is about noon just now: mail may leave there, on whatever day and hour a test runs."""
    ahead = 12 - now.hour
    # POSIX counts west of Greenwich.
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


def company(server: SandboxServer, now: datetime, *, soft: int, hard: int) -> Company:
    """Customers with an unpaid invoice each: the first step of their ladder, or their next retry, is due at `now`.

    The soft ones were declined a day ago for want of money, which is there by now: so long a card waits after that.
    The hard ones were declined 25 hours ago for good. First steps are due after 25 hours.
    """
    factories.account()
    factories.template("payment_received")
    steps = [{"offset": 25, "offset_unit": "hours"}, {"offset": 6}]
    factories.ladder(steps=steps, priority=1)
    until = str(int((now - _HOUR).timestamp()))
    poor = {"issuer_profile": "decline_charges", "issuer_code": "insufficient_funds", "issuer_until": until}
    lost = {"issuer_profile": "decline_charges", "issuer_code": "lost_card"}
    made = Company(
        soft=_failed(server, now, soft, now - 24 * _HOUR, poor, "insufficient_funds", "insufficient_funds"),
        hard=_failed(server, now, hard, now - 25 * _HOUR, lost, "lost_card", "lost_stolen"),
    )
    while plan_retries(now=now, limit=1000).total:
        pass
    PaymentAttempt.objects.filter(status="planned").update(scheduled_for=now)
    return made


def _failed(
    server: SandboxServer, now: datetime, number: int, at: datetime, card: dict[str, str], code: str, category: str
) -> frozenset[str]:
    world = server.world
    with world.lock:
        world.virtual_now = int(at.timestamp())
        monthly = {"unit_amount": AMOUNT, "currency": "eur", "recurring": {"interval": "month"}}
        product = seeding.seed(world, {"events": False, "products": [{"name": "Team"}]})["products"][0]
        price = seeding.seed(world, {"events": False, "prices": [monthly | {"product": product}]})["prices"][0]
        holder = {
            "cards": [{"metadata": card}],
            "subscriptions": [{"price": price, "payment_behavior": "allow_incomplete"}],
        }
        people = [holder | {"name": f"{code} {n}", "email": f"{code}.{n}@example.com"} for n in range(number)]
        theirs = seeding.seed(world, {"events": False, "customers": people})["customers"]
        invoices = {i["customer"]: dict(i) for i in world.tables["invoice"].objects.values()}
        charges = {c["customer"]: dict(c) for c in world.tables["charge"].objects.values()}
        methods = {m["customer"]: dict(m) for m in world.tables["payment_method"].objects.values()}
        world.virtual_now = None
    zone = noon_zone(now)
    brand = factories.brand()
    customers = Customer.objects.bulk_create(
        Customer(
            source="stripe",
            external_id=row["id"],
            brand=brand,
            name=person["name"],
            email=person["email"],
            language="en",
            timezone=zone,
            reassess_at=now,
        )
        for row, person in zip(theirs, people, strict=True)
    )
    cards = PaymentMethod.objects.bulk_create(
        PaymentMethod(customer=customer, is_default=True, attached_at=at, **_card(methods[customer.external_id]))
        for customer in customers
    )
    subscriptions = Subscription.objects.bulk_create(
        Subscription(
            customer=customer,
            source="stripe",
            external_id=row["subscriptions"][0],
            status="incomplete",
            plan_name="Team",
            amount=AMOUNT,
            currency="EUR",
            interval="month",
            started_at=at,
        )
        for row, customer in zip(theirs, customers, strict=True)
    )
    owed = Invoice.objects.bulk_create(
        Invoice(
            customer=customer,
            brand=brand,
            subscription=subscription,
            source="stripe",
            external_id=invoices[customer.external_id]["id"],
            number=invoices[customer.external_id]["number"],
            currency="EUR",
            amount_due=AMOUNT,
            status="open",
            issued_at=at,
            due_at=at,
            first_failed_at=at,
            retry_state=RetryState.NEEDS_PLAN,
            last_decline_code=code,
            last_decline_category=category,
        )
        for customer, subscription in zip(customers, subscriptions, strict=True)
    )
    PaymentAttempt.objects.bulk_create(
        PaymentAttempt(
            invoice=invoice,
            number=1,
            status="declined",
            origin="processor",
            payment_method=card,
            amount=AMOUNT,
            currency="EUR",
            at=at,
            finished_at=at,
            external_id=charges[customer.external_id]["id"],
            decline_code=code,
            decline_category=category,
        )
        for invoice, card, customer in zip(owed, cards, customers, strict=True)
    )
    return frozenset(str(invoice.external_id) for invoice in owed)


def _card(stored: dict[str, Any]) -> dict[str, Any]:
    card = stored["card"]
    shared = {name: card[name] for name in ("brand", "funding", "last4", "exp_month", "exp_year", "fingerprint")}
    return {"source": "stripe", "external_id": stored["id"]} | shared


def charges_by_invoice(server: SandboxServer) -> dict[str, int]:
    """Charges tried at the sandbox's banks, approved or not, per invoice."""
    world = server.world
    counts: dict[str, int] = {}
    with world.lock:
        for charge in world.tables["charge"].objects.values():
            invoice = world.secret(charge["payment_intent"]).get("invoice")
            counts[invoice] = counts.get(invoice, 0) + 1
    return counts
