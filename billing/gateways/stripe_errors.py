"""Owns what each error of Stripe's library means: the closed table that makes GatewayErrors of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import stripe

from billing.gateways.base import ErrorKind, GatewayError


@contextmanager
def classified(*, write: bool) -> Iterator[None]:
    """Turns every error of the library into a GatewayError; `write` tells that an outcome may be unknown."""
    try:
        yield
    except stripe.StripeError as error:
        raise classify_error(error, write=write) from error


def classify_error(error: stripe.StripeError, *, write: bool) -> GatewayError:
    """The closed table of Stripe's errors; what is in no row counts as an outcome we do not know."""
    status = error.http_status
    message = error.user_message or str(error)
    common: dict[str, Any] = {
        "http_status": status,
        "request_id": error.request_id or "",
        "processor_code": error.code or "",
    }
    if isinstance(error, stripe.CardError):
        return GatewayError(message, kind=ErrorKind.DECLINED, **_decline_details(error), **common)
    if isinstance(error, stripe.RateLimitError) or status == 429:
        return GatewayError(message, kind=ErrorKind.RATE_LIMITED, retry_after=_retry_after(error), **common)
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return GatewayError(message, kind=ErrorKind.AUTH, **common)
    if error.code == "idempotency_key_in_use" or status == 409:
        # The same request is being carried out by another worker: its answer is not ours yet.
        return GatewayError(message, kind=ErrorKind.UNKNOWN_OUTCOME, **common)
    if status == 404 or error.code == "resource_missing":
        return GatewayError(message, kind=ErrorKind.NOT_FOUND, **common)
    if isinstance(error, stripe.InvalidRequestError | stripe.IdempotencyError):
        return GatewayError(message, kind=ErrorKind.INVALID, **common)
    if not write or (isinstance(error, stripe.APIConnectionError) and _never_sent(error)):
        return GatewayError(message, kind=ErrorKind.UNAVAILABLE, **common)
    return GatewayError(message, kind=ErrorKind.UNKNOWN_OUTCOME, **common)


def _decline_details(error: stripe.StripeError) -> dict[str, Any]:
    """Codes and ids of a refused charge, from the error's JSON and the PaymentIntent in it."""
    body = error.json_body
    detail = body.get("error", {}) if isinstance(body, dict) else {}
    intent = detail.get("payment_intent")
    intent = intent if isinstance(intent, dict) else {"id": intent}
    charge = detail.get("charge") or intent.get("latest_charge")
    if isinstance(charge, dict):
        charge = charge.get("id")
    return {
        "decline_code": detail.get("decline_code") or detail.get("code") or "",
        "network_decline_code": detail.get("network_decline_code") or "",
        "advice_code": detail.get("advice_code") or "",
        "network_advice_code": detail.get("network_advice_code") or "",
        "charge_id": charge or "",
        "payment_intent_id": intent.get("id") or "",
    }


def _retry_after(error: stripe.StripeError) -> float | None:
    """Seconds Stripe asks us to wait, where it says so."""
    value = {name.lower(): text for name, text in (error.headers or {}).items()}.get("retry-after")
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None


def _never_sent(error: BaseException) -> bool:
    """Whether no connection was made at all, so that nothing can have happened at Stripe."""
    cause = error.__cause__
    if isinstance(cause, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError):
        return True
    if not isinstance(cause, requests.exceptions.ConnectionError):
        return False
    reason = getattr(cause.args[0] if cause.args else None, "reason", None)
    return type(reason).__name__ in {"NewConnectionError", "ConnectTimeoutError", "NameResolutionError"}
