"""Owns the calls that put a customer's new card on file at Stripe; none may run in a transaction."""

import json

from billing.gateways.base import JSON
from billing.gateways.stripe import stripe_gateway
from billing.gateways.stripe_errors import classified


def setup_intent_create(*, customer_external_id: str, metadata: dict[str, str]) -> JSON:
    """Begins to store a card for charges without the customer present (usage off_session, Stripe's default);
    its `client_secret` goes to the browser.

    Raises GatewayError. Not idempotent on purpose: one that is never confirmed has no effect.
    """
    return _post(
        "/v1/setup_intents",
        customer=customer_external_id,
        payment_method_types=["card"],
        metadata=metadata,
    )


def setup_intent_retrieve(*, setup_intent_id: str) -> JSON:
    """The setup intent with its payment method in full. Raises GatewayError (NOT_FOUND where it is absent)."""
    return stripe_gateway().retrieve("setup_intent", setup_intent_id, expand=["payment_method"])


def customer_set_default_payment_method(
    *, customer_external_id: str, payment_method_external_id: str, idempotency_key: str
) -> JSON:
    """Makes a stored method the one for the customer's invoices. Raises GatewayError."""
    return _post(
        f"/v1/customers/{customer_external_id}",
        invoice_settings={"default_payment_method": payment_method_external_id},
        idempotency_key=idempotency_key,
    )


def subscription_set_default_payment_method(
    *, subscription_external_id: str, payment_method_external_id: str, idempotency_key: str
) -> JSON:
    """Makes a stored method the one for a subscription's renewals. Raises GatewayError."""
    return _post(
        f"/v1/subscriptions/{subscription_external_id}",
        default_payment_method=payment_method_external_id,
        idempotency_key=idempotency_key,
    )


def _post(path: str, **params: object) -> JSON:
    gateway = stripe_gateway()
    with classified(write=True):
        answer: JSON = json.loads(gateway.writes.raw_request("post", path, **params).body)
    return answer
