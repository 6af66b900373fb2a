"""Paying an invoice does what Stripe does: answers, errors, events, states and money."""

from typing import Any

import pytest
import stripe

from dunning_site.embedded.stripe_sandbox import SandboxServer
from dunning_site.embedded.stripe_sandbox.cards import TOKENS

from .conftest import Control

DECLINED = {
    "pm_card_chargeCustomerFail": ("card_declined", "generic_decline", "05", "try_again_later"),
    "pm_card_chargeDeclined": ("card_declined", "generic_decline", "05", "try_again_later"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds", "51", "try_again_later"),
    "pm_card_chargeDeclinedLostCard": ("card_declined", "lost_card", "41", "do_not_try_again"),
    "pm_card_chargeDeclinedStolenCard": ("card_declined", "stolen_card", "43", "do_not_try_again"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", "expired_card", "54", "confirm_card_data"),
    "pm_card_chargeDeclinedProcessingError": ("processing_error", "processing_error", "96", "try_again_later"),
    "pm_card_authenticationRequired": ("authentication_required", "authentication_required", "1A", None),
}


def types_since(control: Control, mark: int) -> list[str]:
    return [event["type"] for event in control("events")["data"][mark:]]


@pytest.mark.parametrize("token", DECLINED)
def test_a_refused_payment_says_why_everywhere(
    client: stripe.StripeClient, control: Control, failing: Any, token: str
) -> None:
    _, _, invoice = failing(token)
    mark = len(control("events")["data"])
    with pytest.raises(stripe.CardError) as refused:
        client.v1.invoices.pay(invoice.id, {"off_session": True})
    code, decline, network, advice = DECLINED[token]
    error = refused.value.error
    assert refused.value.http_status == 402
    assert (error.code, error.decline_code) == (code, decline)
    assert getattr(error, "network_decline_code", None) == network
    assert getattr(error, "advice_code", None) == advice
    # These are Visa cards; merchant advice codes are Mastercard's.
    assert getattr(error, "network_advice_code", None) is None
    charge = client.v1.charges.retrieve(error.charge)
    assert (charge.status, charge.failure_code, charge.outcome.reason) == ("failed", code, decline)
    assert charge.outcome.network_decline_code == network
    intent = client.v1.payment_intents.retrieve(error.payment_intent.id)
    assert (intent.status, intent.latest_charge) == ("requires_payment_method", charge.id)
    assert intent.last_payment_error.decline_code == decline
    after = client.v1.invoices.retrieve(invoice.id)
    assert (after.status, after.attempt_count, after.attempted) == ("open", invoice.attempt_count + 1, True)
    assert types_since(control, mark)[:3] == [
        "charge.failed",
        "payment_intent.payment_failed",
        "invoice.payment_failed",
    ]


def test_mastercard_says_what_a_merchant_should_do(client: stripe.StripeClient, failing: Any) -> None:
    customer, _, invoice = failing()
    card = client.v1.payment_methods.create(
        {
            "type": "card",
            "card": {"number": "5555555555554444", "exp_month": 12, "exp_year": 2034},
            "metadata": {"issuer_profile": "decline_charges", "issuer_code": "lost_card"},
        }
    )
    client.v1.payment_methods.attach(card.id, {"customer": customer.id})
    with pytest.raises(stripe.CardError) as refused:
        client.v1.invoices.pay(invoice.id, {"payment_method": card.id})
    assert refused.value.error.network_advice_code == "03"


def test_a_paid_invoice_brings_its_subscription_back(
    client: stripe.StripeClient, control: Control, failing: Any
) -> None:
    customer, good, invoice = failing()
    subscription_id = invoice.parent.subscription_details.subscription
    assert client.v1.subscriptions.retrieve(subscription_id).status == "past_due"
    assert client.v1.customers.retrieve(customer.id).delinquent
    mark = len(control("events")["data"])
    paid = client.v1.invoices.pay(
        invoice.id, {"payment_method": good.id, "expand": ["payments.data.payment.payment_intent.latest_charge"]}
    )
    assert (paid.status, paid.amount_remaining, paid.amount_paid) == ("paid", 0, 2000)
    intent = paid.payments.data[0].payment.payment_intent
    assert (intent.status, intent.latest_charge.status) == ("succeeded", "succeeded")
    assert client.v1.subscriptions.retrieve(subscription_id).status == "active"
    assert not client.v1.customers.retrieve(customer.id).delinquent
    assert types_since(control, mark) == [
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
        "customer.updated",
    ]
    assert control("ledger")["invoices"][invoice.id]["charged"] == 2000


def test_an_invoice_is_never_charged_twice(client: stripe.StripeClient, control: Control, failing: Any) -> None:
    _, good, invoice = failing()
    client.v1.invoices.pay(invoice.id, {"payment_method": good.id})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.invoices.pay(invoice.id, {"payment_method": good.id})
    assert refused.value.code == "invoice_already_paid"
    ledger = control("ledger")
    assert ledger["double_charges"] == []
    assert len(ledger["invoices"][invoice.id]["charges"]) == 1


def test_the_ledger_names_a_double_charge_until_it_is_refunded(
    sandbox: SandboxServer, client: stripe.StripeClient, control: Control, failing: Any
) -> None:
    _, good, invoice = failing()
    client.v1.invoices.pay(invoice.id, {"payment_method": good.id})
    # No call can make one, so the invoice is set back by hand: the judge must still see it.
    sandbox.world.tables["invoice"].objects[invoice.id].update(status="open", amount_remaining=2000)
    client.v1.invoices.pay(invoice.id, {"payment_method": good.id})
    assert control("ledger")["double_charges"] == [invoice.id]
    intent = client.v1.charges.list({"limit": 1}).data[0]
    client.v1.refunds.create({"charge": intent.id})
    assert control("ledger")["double_charges"] == []


@pytest.mark.parametrize(("close", "status"), [("void_invoice", "void"), ("mark_uncollectible", "uncollectible")])
def test_closing_an_invoice_ends_the_dunning_state(
    client: stripe.StripeClient, failing: Any, close: str, status: str
) -> None:
    _, good, invoice = failing()
    assert getattr(client.v1.invoices, close)(invoice.id).status == status
    subscription = client.v1.subscriptions.retrieve(invoice.parent.subscription_details.subscription)
    assert subscription.status == "active"
    if status == "void":
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.invoices.pay(invoice.id, {"payment_method": good.id})
    else:
        assert client.v1.invoices.pay(invoice.id, {"payment_method": good.id}).status == "paid"


def test_an_invoice_without_any_card_cannot_be_paid(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"email": "b@example.com"})
    invoice = client.v1.invoices.create({"customer": customer.id, "currency": "usd"})
    client.v1.invoices.add_lines(invoice.id, {"lines": [{"amount": 700, "description": "Work"}]})
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        client.v1.invoices.pay(invoice.id)
    paid = client.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    assert (paid.status, paid.amount_paid) == ("paid", 700)


def test_an_invoice_to_be_sent_falls_due(client: stripe.StripeClient, control: Control) -> None:
    customer = client.v1.customers.create({"email": "c@example.com"})
    client.v1.invoice_items.create({"customer": customer.id, "amount": 900, "currency": "usd"})
    invoice = client.v1.invoices.create(
        {
            "customer": customer.id,
            "collection_method": "send_invoice",
            "days_until_due": 14,
            "currency": "usd",
            "pending_invoice_items_behavior": "include",
        }
    )
    sent = client.v1.invoices.send_invoice(invoice.id)
    assert (sent.status, sent.amount_due) == ("open", 900)
    assert sent.due_date == control("clock")["now"] + 14 * 86_400
    mark = len(control("events")["data"])
    control("clock", advance=14 * 86_400)
    assert "invoice.overdue" in types_since(control, mark)


@pytest.mark.parametrize(("outcome", "status"), [("pass", "paid"), ("fail", "open")])
def test_a_customer_authenticates_in_the_browser(
    client: stripe.StripeClient, sandbox: SandboxServer, failing: Any, outcome: str, status: str
) -> None:
    customer, _, invoice = failing("pm_card_authenticationRequired")
    expanded = client.v1.invoices.retrieve(invoice.id, {"expand": ["confirmation_secret"]})
    secret = expanded.confirmation_secret.client_secret
    card = client.v1.payment_methods.list({"customer": customer.id}).data[0]
    intent = client.v1.payment_intents.confirm(secret.split("_secret_")[0], {"payment_method": card.id})
    assert intent.status == "requires_action"
    params = {"client_secret": secret, "outcome": outcome}
    path = f"/v1/payment_intents/{intent.id}/_authenticate"
    if outcome == "pass":
        client.raw_request("post", path, **params)
    else:
        with pytest.raises(stripe.CardError):
            client.raw_request("post", path, **params)
    assert client.v1.invoices.retrieve(invoice.id).status == status


def test_refunds_and_disputes_move_money_back(client: stripe.StripeClient, control: Control, subscribe: Any) -> None:
    subscribe()
    charge = client.v1.charges.list().data[0]
    refund = client.v1.refunds.create({"charge": charge.id, "amount": 500})
    assert refund.status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"charge": charge.id, "amount": 1501})
    dispute = control("disputes", charge=charge.id)
    assert dispute["status"] == "needs_response"
    assert client.v1.charges.retrieve(charge.id).disputed
    assert control(f"disputes/{dispute['id']}", outcome="won")["status"] == "won"
    assert control("ledger")["totals"]["eur"] == {"charged": 2000, "refunded": 500, "disputed": 0}


def test_a_setup_intent_keeps_a_new_card(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"email": "d@example.com"})
    intent = client.v1.setup_intents.create({"customer": customer.id, "payment_method_types": ["card"]})
    assert intent.status == "requires_payment_method"
    done = client.v1.setup_intents.confirm(intent.id, {"payment_method": "pm_card_mastercard"})
    assert done.status == "succeeded"
    assert client.v1.payment_methods.retrieve(done.payment_method).customer == customer.id
    refused = client.v1.setup_intents.create({"customer": customer.id})
    with pytest.raises(stripe.CardError) as error:
        client.v1.setup_intents.confirm(refused.id, {"payment_method": "pm_card_chargeDeclinedLostCard"})
    assert error.value.error.decline_code == "lost_card"
    assert client.v1.setup_intents.retrieve(refused.id).last_setup_error.decline_code == "lost_card"


def test_a_test_number_has_one_fingerprint_and_a_profile_its_own(client: stripe.StripeClient) -> None:
    def fingerprint(**metadata: str) -> str:
        card = {"number": "4242424242424242", "exp_month": 8, "exp_year": 2031, "cvc": "123"}
        method = client.v1.payment_methods.create({"type": "card", "card": card, "metadata": metadata})
        return method.card.fingerprint

    assert fingerprint() == fingerprint()
    assert fingerprint(issuer_profile="payday") != fingerprint(issuer_profile="payday")
    assert fingerprint(issuer_profile="payday", issuer_card="x") == fingerprint(
        issuer_profile="payday", issuer_card="x"
    )


@pytest.mark.parametrize("token", TOKENS)
def test_every_token_attaches(client: stripe.StripeClient, token: str) -> None:
    customer = client.v1.customers.create({})
    assert client.v1.payment_methods.attach(token, {"customer": customer.id}).customer == customer.id


def test_a_detached_card_is_no_default_any_more(client: stripe.StripeClient, subscribe: Any) -> None:
    customer, card, _ = subscribe()
    client.v1.payment_methods.detach(card.id)
    assert client.v1.customers.retrieve(customer.id).invoice_settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        client.v1.payment_methods.attach(card.id, {"customer": customer.id})
