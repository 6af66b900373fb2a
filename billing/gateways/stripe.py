"""Owns every word spoken to Stripe: clients, time-outs, pace, webhooks' signatures.

With its table of errors the only module that imports `stripe`. Objects leave it as plain JSON values, errors as
GatewayError.
"""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import stripe
from django.conf import settings

from billing.gateways.base import CANCELLED_UNPAID, JSON, ChargeResult, ErrorKind, GatewayError, InvoiceOutcome
from billing.gateways.stripe_charges import (
    KEY_IN_METADATA,
    PAY_EXPAND,
    charge_result,
    intent_ids,
    intent_params,
    paid_intent,
    paid_invoice,
    refused,
)
from billing.gateways.stripe_errors import classified
from billing.gateways.stripe_parts import StripeParts
from billing.gateways.throttle import TokenBucket

#: Kind of object → where Stripe keeps it.
PATHS: Mapping[str, str] = {
    "charge": "charges",
    "customer": "customers",
    "dispute": "disputes",
    "event": "events",
    "invoice": "invoices",
    "invoice_payment": "invoice_payments",
    "payment_intent": "payment_intents",
    "payment_method": "payment_methods",
    "price": "prices",
    "product": "products",
    "refund": "refunds",
    "setup_intent": "setup_intents",
    "subscription": "subscriptions",
}
#: A read may be repeated by the library; a write only by us, who know what its outcome was.
READ_RETRIES = 2


class StripeGateway(StripeParts):
    """One account at Stripe. Safe to share between threads; made once per process by `stripe_gateway`."""

    def __init__(
        self,
        *,
        api_key: str,
        api_base: str,
        timeout: float,
        reads_per_second: float,
        writes_per_second: float = 0,
    ) -> None:
        """`timeout` in seconds per request; a rate of 0 means no limit."""
        if not api_key:
            raise GatewayError("STRIPE_SECRET_KEY is not set.", kind=ErrorKind.AUTH)
        self._reads = self._client(api_key, api_base, timeout, READ_RETRIES)
        #: For charges and other writes: one request each, never repeated by the library.
        self.writes = self._client(api_key, api_base, timeout, 0)
        self._pace = TokenBucket(reads_per_second)
        self._write_pace = TokenBucket(writes_per_second)

    @staticmethod
    def _client(api_key: str, api_base: str, timeout: float, retries: int) -> stripe.StripeClient:
        return stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base},
            stripe_version=settings.STRIPE_API_VERSION,
            max_network_retries=retries,
            http_client=stripe.RequestsClient(timeout=timeout),
        )

    def retrieve(self, kind: str, external_id: str, *, expand: Sequence[str] = ()) -> JSON:
        """The object as it is now. Raises GatewayError (NOT_FOUND where it is absent)."""
        params: dict[str, Any] = {"expand": list(expand)} if expand else {}
        return self._get(f"/v1/{PATHS[kind]}/{external_id}", params)

    def list_page(
        self, kind: str, *, cursor: str | None = None, limit: int = 100, expand: Sequence[str] = (), **filters: Any
    ) -> tuple[list[JSON], str | None]:
        """One page, newest first, and the cursor of the next (None at the end). Raises GatewayError."""
        params: dict[str, Any] = {"limit": limit} | filters
        if cursor:
            params["starting_after"] = cursor
        if expand:
            params["expand"] = list(expand)
        page = self._get(f"/v1/{PATHS[kind]}", params)
        items: list[JSON] = page["data"]
        return items, items[-1]["id"] if page.get("has_more") and items else None

    def _get(self, path: str, params: dict[str, Any]) -> JSON:
        self._pace.wait()
        with classified(write=False):
            answer: JSON = json.loads(self._reads.raw_request("get", path, **params).body)
        return answer

    def pay_invoice(
        self, *, invoice_id: str, payment_method_id: str, idempotency_key: str, off_session: bool = True
    ) -> ChargeResult:
        """Charges what is left of an invoice, at most once per key: one request, never repeated by the library.

        Raises GatewayError for anything but an approval or a decline; only UNKNOWN_OUTCOME leaves open whether
        money moved. The same call under the same key within 24 hours gives the stored answer.
        """
        params = {"payment_method": payment_method_id, "off_session": off_session, "expand": list(PAY_EXPAND)}
        try:
            return paid_invoice(self._write("post", f"/v1/invoices/{invoice_id}/pay", params, idempotency_key))
        except GatewayError as error:
            return refused(error)

    def retrieve_invoice_outcome(self, invoice_id: str) -> InvoiceOutcome:
        """What became of an invoice, read from its charges (one request and one per payment intent)."""
        invoice = self.retrieve("invoice", invoice_id, expand=("payments",))
        charges: list[ChargeResult] = []
        for intent in intent_ids(invoice):
            cursor: str | None = None
            while True:
                page, cursor = self.list_page("charge", cursor=cursor, payment_intent=intent)
                charges += [charge_result(charge) for charge in page]
                if cursor is None:
                    break
        charges.sort(key=lambda charge: (charge.at is not None and charge.at.timestamp(), charge.charge_id))
        return InvoiceOutcome(str(invoice["status"]), int(invoice["amount_remaining"]), tuple(charges))

    def charge_customer(
        self,
        *,
        customer_id: str,
        payment_method_id: str,
        amount: int,
        currency: str,
        description: str,
        idempotency_key: str,
    ) -> ChargeResult:
        """Charges `amount` (minor units) for no invoice: one request, never repeated by the library.

        The payer is present, but not in a browser that could go on with Stripe's script: a bank that wants a
        confirmation is a decline. Raises GatewayError as `pay_invoice` does.
        """
        params = intent_params(
            customer_id=customer_id,
            payment_method_id=payment_method_id,
            amount=amount,
            currency=currency,
            idempotency_key=idempotency_key,
        ) | {"confirm": True, "error_on_requires_action": True, "description": description}
        try:
            return paid_intent(self._write("post", "/v1/payment_intents", params, idempotency_key))
        except GatewayError as error:
            return refused(error)

    def find_customer_charge(self, *, customer_id: str, idempotency_key: str, since: datetime) -> ChargeResult | None:
        """The charge of a `charge_customer` call, found among the customer's payment intents by its key."""
        cursor: str | None = None
        while True:
            page, cursor = self.list_page("payment_intent", cursor=cursor, customer=customer_id)
            for intent in page:
                if (intent.get("metadata") or {}).get(KEY_IN_METADATA) == idempotency_key:
                    return paid_intent(intent)
            if cursor is None or int(page[-1]["created"]) < since.timestamp():
                return None

    def cancel_subscription(self, *, subscription_id: str, idempotency_key: str) -> None:
        """Ends a subscription now. One that is ended or gone already is no error: the order is carried out."""
        try:
            details = {"comment": CANCELLED_UNPAID}
            path = f"/v1/subscriptions/{subscription_id}"
            self._write("delete", path, {"cancellation_details": details}, idempotency_key)
        except GatewayError as error:
            if error.kind != ErrorKind.NOT_FOUND:
                raise

    def mark_uncollectible(self, *, invoice_id: str, idempotency_key: str) -> str:
        """Writes an invoice off; returns its status, which is another when it was paid or void before."""
        try:
            return str(
                self._write("post", f"/v1/invoices/{invoice_id}/mark_uncollectible", {}, idempotency_key)["status"]
            )
        except GatewayError as error:
            if error.kind != ErrorKind.INVALID:
                raise
            status = str(self.retrieve("invoice", invoice_id)["status"])
            if status in {"draft", "open"}:
                raise
            return status

    def _write(self, method: str, path: str, params: dict[str, Any], idempotency_key: str) -> JSON:
        self._write_pace.wait()
        with classified(write=True):
            request = self.writes.raw_request(method, path, idempotency_key=idempotency_key, **params)
            answer: JSON = json.loads(request.body)
        return answer

    def verify_webhook(
        self, payload: bytes, header: str, *, secrets: Sequence[str], tolerance: int, now: datetime
    ) -> JSON:
        """The event in `payload`. Raises GatewayError (INVALID) unless one of `secrets` signed it not longer than
        `tolerance` seconds ago; what is signed for the future beyond the tolerance is refused too."""
        return verify_webhook(payload, header, secrets=secrets, tolerance=tolerance, now=now)


def verify_webhook(payload: bytes, header: str, *, secrets: Sequence[str], tolerance: int, now: datetime) -> JSON:
    """See StripeGateway.verify_webhook; needs no key, so that events are stored whatever state the key is in."""

    def refused(why: str) -> GatewayError:
        return GatewayError(why, kind=ErrorKind.INVALID, processor_code="bad_webhook")

    if not any(_signed_by(payload, header, secret) for secret in secrets):
        raise refused("The signature does not match.")
    stamp = int(next(part[2:] for part in header.split(",") if part.startswith("t=")))
    if abs(now.timestamp() - stamp) > tolerance:
        raise refused("The signature is too old.")
    try:
        event = json.loads(payload)
    except ValueError as error:
        raise refused("The body is not JSON.") from error
    if not isinstance(event, dict) or event.get("object") != "event" or not event.get("id"):
        raise refused("The body is not an event.")
    return event


def _signed_by(payload: bytes, header: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(payload, header, secret)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def library_object(obj: JSON) -> Any:
    """The library's own object from plain values: only dj-stripe, which is built on them, needs it."""
    return stripe.StripeObject.construct_from(_typed(obj), settings.STRIPE_SECRET_KEY)


def _typed(value: Any) -> Any:
    """Lists of Stripe's are classes of their own, with paging; nested ones are made so that they have it."""
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, dict):
        inner = {name: _typed(item) for name, item in value.items()}
        if value.get("object") == "list":
            return stripe.ListObject.construct_from(inner, settings.STRIPE_SECRET_KEY)
        return inner
    return value


def stripe_gateway() -> StripeGateway:
    """This process's gateway for the settings in force. Raises GatewayError (AUTH) where no key is set."""
    return _gateway(
        settings.STRIPE_SECRET_KEY,
        settings.STRIPE_API_BASE,
        settings.STRIPE_TIMEOUT,
        settings.STRIPE_READS_PER_SECOND,
        settings.STRIPE_WRITES_PER_SECOND,
        os.getpid(),
    )


@lru_cache(maxsize=8)
def _gateway(
    api_key: str, api_base: str, timeout: float, reads_per_second: float, writes_per_second: float, _pid: int
) -> StripeGateway:
    # Keyed by process as well: a forked worker must not share its parent's sockets.
    return StripeGateway(
        api_key=api_key,
        api_base=api_base,
        timeout=timeout,
        reads_per_second=reads_per_second,
        writes_per_second=writes_per_second,
    )
