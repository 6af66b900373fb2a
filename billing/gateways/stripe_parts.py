"""Owns charging a part of a Stripe invoice, and credit notes: payment intents of our own, attached before any money
moves.

An attached intent credits the invoice by itself when it succeeds, so that there is no moment at which a part was taken
and its invoice does not know. Every call of the chain has a key of its own made from the charge's: repeated as a whole
it gives the stored answers and can never charge twice.
"""

import logging
from abc import ABC, abstractmethod
from typing import Any

from billing.gateways.base import JSON, ChargeResult, ErrorKind, GatewayError
from billing.gateways.stripe_charges import intent_params, paid_intent, refused

logger = logging.getLogger(__name__)


class StripeParts(ABC):
    """What StripeGateway offers of it; the writing is the gateway's."""

    @abstractmethod
    def _write(self, method: str, path: str, params: dict[str, Any], idempotency_key: str) -> JSON:
        """One writing request, never repeated by the library. Raises GatewayError."""

    def charge_part(
        self,
        *,
        invoice_id: str,
        customer_id: str,
        payment_method_id: str,
        amount: int,
        currency: str,
        idempotency_key: str,
        off_session: bool = True,
    ) -> ChargeResult:
        """Charges `amount` (minor units) of an open invoice, at most once per key; what is left stays owed.

        Raises GatewayError as `pay_invoice` does; INVALID where the invoice cannot take the amount any more.
        """
        params = intent_params(
            customer_id=customer_id,
            payment_method_id=payment_method_id,
            amount=amount,
            currency=currency,
            idempotency_key=idempotency_key,
        )
        intent_id = str(self._write("post", "/v1/payment_intents", params, idempotency_key)["id"])
        path = f"/v1/payment_intents/{intent_id}"
        try:
            attach = {"payment_intent": intent_id}
            self._write("post", f"/v1/invoices/{invoice_id}/attach_payment", attach, f"{idempotency_key}:attach")
            confirm = {"off_session": off_session}
            return paid_intent(self._write("post", f"{path}/confirm", confirm, f"{idempotency_key}:confirm"))
        except GatewayError as error:
            if error.kind == ErrorKind.UNKNOWN_OUTCOME:
                raise
            self._give_up(path, idempotency_key)
            return refused(error)

    def _give_up(self, path: str, idempotency_key: str) -> None:
        """Takes an intent that paid nothing off its invoice; one that stays there does no harm, so no error counts."""
        try:
            self._write("post", f"{path}/cancel", {}, f"{idempotency_key}:cancel")
        except GatewayError as error:
            logger.info("%s could not be cancelled: %s", path, error.message)

    def issue_credit_note(self, *, invoice_id: str, amount: int, memo: str, idempotency_key: str) -> str:
        """Takes `amount` (minor units) off what is owed on an open invoice; returns the credit note's id."""
        params: dict[str, Any] = {"invoice": invoice_id, "amount": amount, "memo": memo[:500]}
        return str(self._write("post", "/v1/credit_notes", params, idempotency_key)["id"])
