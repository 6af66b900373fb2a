"""The reading of Stripe's errors and signatures."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import stripe

from billing.gateways import ErrorKind, GatewayError, gateway_for
from billing.gateways.manual import ManualGateway
from billing.gateways.stripe import StripeGateway, stripe_gateway, verify_webhook
from billing.gateways.stripe_errors import classify_error

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
EVENT = json.dumps({"id": "evt_1", "object": "event", "type": "customer.created"}).encode()


def sign(payload: bytes, secret: str, at: datetime = NOW) -> str:
    return stripe.WebhookSignature.generate_signature_header(payload.decode(), secret, int(at.timestamp()))


def api_error(cls, status, code=None, headers=None, **error):
    body = {"error": {"code": code, "message": "No.", **error}}
    kwargs = {"http_status": status, "json_body": body, "http_body": json.dumps(body), "headers": headers or {}}
    if issubclass(cls, stripe._error.StripeErrorWithParamCode):
        return cls("No.", None, code, **kwargs)
    return cls("No.", code=code, **kwargs)


@pytest.mark.parametrize(
    ("error", "read", "write"),
    [
        (api_error(stripe.InvalidRequestError, 400), ErrorKind.INVALID, ErrorKind.INVALID),
        (api_error(stripe.InvalidRequestError, 404, "resource_missing"), ErrorKind.NOT_FOUND, ErrorKind.NOT_FOUND),
        (api_error(stripe.AuthenticationError, 401), ErrorKind.AUTH, ErrorKind.AUTH),
        (api_error(stripe.PermissionError, 403), ErrorKind.AUTH, ErrorKind.AUTH),
        (api_error(stripe.RateLimitError, 429), ErrorKind.RATE_LIMITED, ErrorKind.RATE_LIMITED),
        (api_error(stripe.IdempotencyError, 400), ErrorKind.INVALID, ErrorKind.INVALID),
        (
            api_error(stripe.IdempotencyError, 409, "idempotency_key_in_use"),
            ErrorKind.UNKNOWN_OUTCOME,
            ErrorKind.UNKNOWN_OUTCOME,
        ),
        (api_error(stripe.APIError, 500), ErrorKind.UNAVAILABLE, ErrorKind.UNKNOWN_OUTCOME),
        (stripe.APIConnectionError("reset"), ErrorKind.UNAVAILABLE, ErrorKind.UNKNOWN_OUTCOME),
    ],
)
def test_every_error_has_one_kind(error, read, write):
    assert classify_error(error, write=False).kind == read
    assert classify_error(error, write=True).kind == write


def test_a_decline_keeps_its_codes_and_ids():
    error = api_error(
        stripe.CardError,
        402,
        "card_declined",
        decline_code="insufficient_funds",
        network_decline_code="51",
        advice_code="try_again_later",
        network_advice_code="02",
        charge="ch_1",
        payment_intent={"id": "pi_1", "object": "payment_intent"},
    )
    seen = classify_error(error, write=True)
    assert seen.kind == ErrorKind.DECLINED
    assert seen.permanent
    assert (seen.decline_code, seen.network_decline_code) == ("insufficient_funds", "51")
    assert (seen.advice_code, seen.network_advice_code) == ("try_again_later", "02")
    assert (seen.charge_id, seen.payment_intent_id, seen.processor_code) == ("ch_1", "pi_1", "card_declined")


def test_rate_limit_tells_how_long():
    error = api_error(stripe.RateLimitError, 429, headers={"Retry-After": "3"})
    seen = classify_error(error, write=False)
    assert seen.retry_after == 3.0
    assert not seen.permanent


def test_a_connection_never_made_is_no_unknown_outcome():
    gateway = StripeGateway(api_key="sk_test_x", api_base="http://127.0.0.1:9", timeout=1, reads_per_second=0)
    with pytest.raises(stripe.APIConnectionError) as caught:
        gateway.writes.raw_request("post", "/v1/invoices/in_1/pay")
    assert classify_error(caught.value, write=True).kind == ErrorKind.UNAVAILABLE


def test_without_a_key_nothing_is_asked(settings):
    settings.STRIPE_SECRET_KEY = ""
    with pytest.raises(GatewayError, match="STRIPE_SECRET_KEY") as caught:
        stripe_gateway()
    assert caught.value.kind == ErrorKind.AUTH


@pytest.mark.parametrize("source", ["manual", "import:ibm"])
def test_imported_invoices_have_no_processor(source):
    gateway = gateway_for(source)
    assert isinstance(gateway, ManualGateway)
    with pytest.raises(GatewayError):
        gateway.retrieve("invoice", "in_1")


@pytest.mark.parametrize("secret", ["whsec_new", "whsec_old"])
def test_any_of_the_rotating_secrets_will_do(secret):
    event = verify_webhook(EVENT, sign(EVENT, secret), secrets=["whsec_new", "whsec_old"], tolerance=300, now=NOW)
    assert event["id"] == "evt_1"


@pytest.mark.parametrize(
    ("payload", "header"),
    [
        (EVENT, sign(EVENT, "whsec_forged")),
        (EVENT + b" ", sign(EVENT, "whsec_a")),
        (EVENT, ""),
        (EVENT, "t=abc,v1=00"),
        (EVENT, sign(EVENT, "whsec_a", NOW - timedelta(seconds=301))),
        (EVENT, sign(EVENT, "whsec_a", NOW + timedelta(seconds=301))),
        (b"\xff\xfe", "t=1,v1=00"),
        (b"{}", sign(b"{}", "whsec_a")),
        (b"nothing", sign(b"nothing", "whsec_a")),
    ],
)
def test_what_is_forged_stale_or_no_event_is_refused(payload, header):
    with pytest.raises(GatewayError) as caught:
        verify_webhook(payload, header, secrets=["whsec_a"], tolerance=300, now=NOW)
    assert caught.value.kind == ErrorKind.INVALID


def test_the_edge_of_the_tolerance_is_inside():
    header = sign(EVENT, "whsec_a", NOW - timedelta(seconds=300))
    assert verify_webhook(EVENT, header, secrets=["whsec_a"], tolerance=300, now=NOW)["id"] == "evt_1"
