"""Owns what the rest of the application knows of a payment processor: the protocol and the one error."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from customers.errors import SollecitoError

#: An object of the processor as plain JSON values; no library type leaves the gateway.
JSON = dict[str, Any]
#: Sent as the comment of a cancellation we order: the processor itself calls every cancellation by API requested, and
#: involuntary churn could not be told from the customer's own wish.
CANCELLED_UNPAID = "Unpaid (cancelled by Sollecito)"


class ErrorKind(StrEnum):
    """Every way a call can fail; callers decide by it and by nothing else."""

    DECLINED = "declined"
    INVALID = "invalid"
    NOT_FOUND = "not_found"
    AUTH = "auth"
    RATE_LIMITED = "rate_limited"
    #: The request was not carried out: the connection was never made, or a read failed.
    UNAVAILABLE = "unavailable"
    #: A write may or may not have been carried out; ask again under the same key, never anew.
    UNKNOWN_OUTCOME = "unknown_outcome"


_PERMANENT = frozenset({ErrorKind.DECLINED, ErrorKind.INVALID, ErrorKind.NOT_FOUND, ErrorKind.AUTH})


class GatewayError(SollecitoError):
    """A call to a processor failed; `code` equals `kind`, `processor_code` is the processor's own word.

    The codes of a decline are those `billing.retries.declines.classify` reads; ids are the processor's.
    `retry_after` is in seconds and only set for RATE_LIMITED, where the processor told it.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        processor_code: str = "",
        decline_code: str = "",
        network_decline_code: str = "",
        advice_code: str = "",
        network_advice_code: str = "",
        charge_id: str = "",
        payment_intent_id: str = "",
        retry_after: float | None = None,
        http_status: int | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message, code=str(kind), permanent=kind in _PERMANENT)
        self.kind = kind
        self.processor_code = processor_code
        self.decline_code = decline_code
        self.network_decline_code = network_decline_code
        self.advice_code = advice_code
        self.network_advice_code = network_advice_code
        self.charge_id = charge_id
        self.payment_intent_id = payment_intent_id
        self.retry_after = retry_after
        self.http_status = http_status
        self.request_id = request_id


class ChargeStatus(StrEnum):
    """How a call to charge ended, once there is an answer."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    #: Bank debits: the processor took the order and tells the outcome days later.
    PROCESSING = "processing"
    #: Nothing was left to pay at the processor, so no charge was made.
    NOTHING_DUE = "nothing_due"


@dataclass(frozen=True, slots=True)
class ChargeResult:
    """One charge as the processor tells it.

    `amount` in minor units of `currency`; `at` aware UTC, None where the answer does not tell it; `charge_id` is empty
    where no charge came to be. `payment_method` is the processor's id. `needs_customer` tells that the same charge
    could go on with the customer present (its payment intent is `payment_intent_id`).
    """

    status: ChargeStatus
    charge_id: str = ""
    payment_intent_id: str = ""
    amount: int = 0
    currency: str = ""
    at: datetime | None = None
    payment_method: str = ""
    method_type: str = ""
    decline_code: str = ""
    network_decline_code: str = ""
    advice_code: str = ""
    network_advice_code: str = ""
    message: str = ""
    needs_customer: bool = False


@dataclass(frozen=True, slots=True)
class InvoiceOutcome:
    """What the processor knows of an invoice: its own status and every charge made for it, oldest first."""

    status: str
    amount_remaining: int
    charges: tuple[ChargeResult, ...]


class Gateway(Protocol):
    """What any processor must offer. Every method may raise GatewayError; none may run in a transaction."""

    def retrieve(self, kind: str, external_id: str, *, expand: Sequence[str] = ()) -> JSON:
        """The object as it is now."""
        ...

    def list_page(
        self, kind: str, *, cursor: str | None = None, limit: int = 100, expand: Sequence[str] = (), **filters: Any
    ) -> tuple[list[JSON], str | None]:
        """One page of objects and the cursor of the next, None at the end."""
        ...

    def verify_webhook(
        self, payload: bytes, header: str, *, secrets: Sequence[str], tolerance: int, now: datetime
    ) -> JSON:
        """The event in `payload`, if one of `secrets` signed it not longer than `tolerance` seconds before `now`."""
        ...

    def pay_invoice(
        self, *, invoice_id: str, payment_method_id: str, idempotency_key: str, off_session: bool = True
    ) -> ChargeResult:
        """Charges what is left of an invoice, at most once per key. A decline is a result, not an error."""
        ...

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
        """Charges `amount` (minor units) of an open invoice, at most once per key; the rest stays owed."""
        ...

    def issue_credit_note(self, *, invoice_id: str, amount: int, memo: str, idempotency_key: str) -> str:
        """Takes `amount` (minor units) off what is owed on an open invoice; returns the credit note's id."""
        ...

    def retrieve_invoice_outcome(self, invoice_id: str) -> InvoiceOutcome:
        """What became of an invoice, read from its charges."""
        ...

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
        """Charges `amount` (minor units) for no invoice, at most once per key; the payer is present. A decline is a
        result, not an error; what the bank wants confirmed counts as one."""
        ...

    def find_customer_charge(self, *, customer_id: str, idempotency_key: str, since: datetime) -> ChargeResult | None:
        """What became of a `charge_customer` not older than `since`, by its key; None where it never arrived."""
        ...

    def cancel_subscription(self, *, subscription_id: str, idempotency_key: str) -> None:
        """Ends a subscription now; one that is ended or gone already is no error."""
        ...

    def mark_uncollectible(self, *, invoice_id: str, idempotency_key: str) -> str:
        """Writes an invoice off; returns its status at the processor, which may be another closed one."""
        ...
