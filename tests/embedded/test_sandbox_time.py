"""The virtual clock: everything due happens in its order, at its own moment."""

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from dunning_site.embedded.stripe_sandbox.clock import add_months, boundary

from .conftest import Control

DAY = 86_400


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "now", "expected"),
    [
        ("2026-01-31", "month", 1, "2026-01-31", "2026-02-28"),
        ("2026-01-31", "month", 1, "2026-02-28", "2026-03-31"),
        ("2026-01-31", "month", 1, "2026-03-31", "2026-04-30"),
        ("2028-01-31", "month", 1, "2028-02-01", "2028-02-29"),
        ("2024-02-29", "year", 1, "2024-02-29", "2025-02-28"),
        ("2024-02-29", "year", 1, "2027-03-01", "2028-02-29"),
        ("2026-01-15", "month", 3, "2026-04-15", "2026-07-15"),
        ("2026-12-15", "month", 1, "2026-12-20", "2027-01-15"),
        ("2026-01-01", "week", 2, "2026-01-14", "2026-01-15"),
        ("2026-01-01", "day", 1, "2026-01-01", "2026-01-02"),
    ],
)
def test_the_next_boundary_lies_whole_intervals_from_the_anchor(
    anchor: str, interval: str, count: int, now: str, expected: str
) -> None:
    assert boundary(at(anchor), interval, count, at(now)) == at(expected)
    assert boundary(at(anchor), interval, count, at(expected), before=True) == at(expected)


def test_months_are_shortened_not_spilled() -> None:
    assert add_months(at("2026-03-31"), -1) == at("2026-02-28")
    assert add_months(at("2026-11-30"), 3) == at("2027-02-28")


def test_a_year_renews_twelve_times_in_order(client: stripe.StripeClient, control: Control, subscribe: Any) -> None:
    _, _, subscription = subscribe()
    control("clock", advance=365 * DAY)
    invoices = client.v1.invoices.list({"subscription": subscription.id, "limit": 100}).data[::-1]
    assert [invoice.billing_reason for invoice in invoices] == ["subscription_create"] + ["subscription_cycle"] * 12
    days = [datetime.fromtimestamp(invoice.created, UTC).day for invoice in invoices]
    assert days == [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31]
    created = [event["created"] for event in control("events")["data"]]
    assert created == sorted(created)
    item = client.v1.subscriptions.retrieve(subscription.id)["items"].data[0]
    assert (item.current_period_start, item.current_period_end) == (
        at("2027-01-31T10:00:00"),
        at("2027-02-28T10:00:00"),
    )


def test_one_step_or_many_make_the_same_world(client: stripe.StripeClient, control: Control, subscribe: Any) -> None:
    def story(steps: int) -> list[tuple[str, int]]:
        control("reset", keep_endpoints=False)
        control("clock", now="2026-01-31T10:00:00+00:00")
        customer = client.v1.customers.create({})
        card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        product = client.v1.products.create({"name": "P"})
        price = client.v1.prices.create(
            {"product": product.id, "unit_amount": 100, "currency": "eur", "recurring": {"interval": "week"}}
        )
        client.v1.subscriptions.create(
            {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": card.id}
        )
        for _ in range(steps):
            control("clock", advance=60 * DAY // steps)
        return [(event["type"], event["created"]) for event in control("events")["data"]]

    assert story(1) == story(60)


def test_a_subscription_cancelled_at_period_end_ends_then(
    client: stripe.StripeClient, control: Control, subscribe: Any
) -> None:
    _, _, subscription = subscribe()
    client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    control("clock", advance=27 * DAY)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    control("clock", advance=2 * DAY)
    ended = client.v1.subscriptions.retrieve(subscription.id)
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "cancellation_requested")
    assert len(client.v1.invoices.list({"subscription": subscription.id}).data) == 1


@pytest.mark.parametrize(("after", "status"), [("cancel", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")])
def test_stripes_own_retries_run_out(
    client: stripe.StripeClient, control: Control, failing: Any, after: str, status: str
) -> None:
    control("settings", retries="smart", retry_days=[3, 5], after_retries=after)
    _, _, invoice = failing()
    assert invoice.next_payment_attempt is not None
    control("clock", advance=9 * DAY)
    done = client.v1.invoices.retrieve(invoice.id)
    assert (done.status, done.attempt_count, done.next_payment_attempt) == ("open", 3, None)
    subscription = client.v1.subscriptions.retrieve(invoice.parent.subscription_details.subscription)
    assert subscription.status == status


def test_stripe_does_not_retry_a_card_it_must_not(client: stripe.StripeClient, control: Control, failing: Any) -> None:
    control("settings", retries="smart", retry_days=[3, 5])
    _, _, invoice = failing("pm_card_chargeDeclinedLostCard")
    before = control("ledger")["charges_attempted"]
    control("clock", advance=4 * DAY)
    assert control("ledger")["charges_attempted"] == before
    assert client.v1.invoices.retrieve(invoice.id).attempt_count == 2


def test_without_retries_nothing_is_scheduled(client: stripe.StripeClient, control: Control, failing: Any) -> None:
    _, _, invoice = failing()
    assert invoice.next_payment_attempt is None
    control("clock", advance=20 * DAY)
    assert client.v1.invoices.retrieve(invoice.id).attempt_count == 1


def test_a_draft_waits_for_its_hour(client: stripe.StripeClient, control: Control, subscribe: Any) -> None:
    control("settings", finalize_after=3600)
    _, _, subscription = subscribe()
    control("clock", advance=28 * DAY)
    newest = client.v1.invoices.list({"subscription": subscription.id}).data[0]
    assert (newest.status, newest.automatically_finalizes_at) == ("draft", newest.created + 3600)
    control("clock", advance=3600)
    assert client.v1.invoices.retrieve(newest.id).status == "paid"


def test_an_unpaid_first_invoice_expires_the_subscription(
    client: stripe.StripeClient, control: Control, price: stripe.Price
) -> None:
    customer = client.v1.customers.create({})
    card = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    subscription = client.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": card.id}
    )
    assert subscription.status == "incomplete"
    control("clock", advance=23 * 3600)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "incomplete_expired"
    assert client.v1.invoices.list({"customer": customer.id}).data[0].status == "void"


def test_a_trial_bills_at_its_end(client: stripe.StripeClient, control: Control, subscribe: Any) -> None:
    _, _, subscription = subscribe(trial_period_days=14)
    assert subscription.status == "trialing"
    control("clock", advance=14 * DAY)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert client.v1.invoices.list({"subscription": subscription.id}).data[0].amount_paid == 2000


def test_a_seed_makes_customers_whose_periods_are_running(client: stripe.StripeClient, control: Control) -> None:
    now = control("clock")["now"]
    made = control(
        "seed",
        products=[{"id": "prod_team", "name": "Team"}],
        prices=[
            {
                "id": "price_team",
                "product": "prod_team",
                "unit_amount": 4900,
                "currency": "gbp",
                "recurring": {"interval": "month"},
            }
        ],
        customers=[
            {
                "email": f"c{number}@example.com",
                "cards": [{"number": "4242424242424242", "metadata": {"issuer_profile": "payday"}}],
                "subscriptions": [{"price": "price_team", "quantity": 2, "started": now - number * DAY}],
            }
            for number in range(50)
        ],
        events=False,
    )
    assert len(made["customers"]) == 50
    assert control("events")["data"] == []
    assert client.v1.invoices.list().data == []
    subscription = client.v1.subscriptions.retrieve(made["customers"][3]["subscriptions"][0])
    assert subscription.status == "active"
    assert subscription["items"].data[0].current_period_start == now - 3 * DAY
    control("clock", advance=31 * DAY)
    assert len(client.v1.invoices.list({"limit": 100}).data) >= 50


def test_a_card_may_be_renewed_by_its_network(client: stripe.StripeClient, control: Control) -> None:
    customer = client.v1.customers.create({})
    card = client.v1.payment_methods.create(
        {
            "type": "card",
            "card": {"number": "4242424242424242", "exp_month": 3, "exp_year": 2026},
            "metadata": {"issuer_updater": "yes"},
        }
    )
    client.v1.payment_methods.attach(card.id, {"customer": customer.id})
    control("clock", now="2026-03-01T00:00:00+00:00")
    assert client.v1.payment_methods.retrieve(card.id).card.exp_year == 2029
    assert control("events?type=payment_method.automatically_updated")["data"]


def test_a_card_expires(client: stripe.StripeClient, control: Control, price: stripe.Price) -> None:
    customer = client.v1.customers.create({})
    card = client.v1.payment_methods.create(
        {"type": "card", "card": {"number": "4242424242424242", "exp_month": 2, "exp_year": 2026}}
    )
    client.v1.payment_methods.attach(card.id, {"customer": customer.id})
    subscription = client.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": card.id}
    )
    control("clock", now="2026-02-28T12:00:00+00:00")
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    control("clock", now="2026-03-31T12:00:00+00:00")
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    assert client.v1.charges.list().data[0].outcome.reason == "expired_card"


def test_attempts_may_be_counted_as_stripe_does(client: stripe.StripeClient, control: Control, failing: Any) -> None:
    control("settings", count_manual_attempts=False, retries="smart", retry_days=[3])
    _, _, invoice = failing()
    planned = invoice.next_payment_attempt
    with pytest.raises(stripe.CardError):
        client.v1.invoices.pay(invoice.id)
    after = client.v1.invoices.retrieve(invoice.id)
    assert (after.attempt_count, after.next_payment_attempt) == (1, planned)
    control("clock", advance=4 * DAY)
    assert client.v1.invoices.retrieve(invoice.id).attempt_count == 2


@pytest.mark.parametrize(
    ("behavior", "status"), [("keep_as_draft", "draft"), ("void", "void"), ("mark_uncollectible", "uncollectible")]
)
def test_a_paused_subscription_collects_nothing(
    client: stripe.StripeClient, control: Control, subscribe: Any, behavior: Any, status: str
) -> None:
    _, _, subscription = subscribe()
    client.v1.subscriptions.update(subscription.id, {"pause_collection": {"behavior": behavior}})
    before = control("ledger")["charges_attempted"]
    control("clock", advance=28 * DAY)
    newest = client.v1.invoices.list({"subscription": subscription.id}).data[0]
    assert (newest.status, newest.billing_reason) == (status, "subscription_cycle")
    assert control("ledger")["charges_attempted"] == before


def test_a_subscription_that_must_be_paid_at_once_fails(
    client: stripe.StripeClient, control: Control, price: stripe.Price
) -> None:
    customer = client.v1.customers.create({})
    card = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    with pytest.raises(stripe.CardError):
        client.v1.subscriptions.create(
            {
                "customer": customer.id,
                "items": [{"price": price.id}],
                "default_payment_method": card.id,
                "payment_behavior": "error_if_incomplete",
            }
        )
    assert client.v1.subscriptions.list({"customer": customer.id, "status": "active"}).data == []
