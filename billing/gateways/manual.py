"""Owns the gateway of invoices nobody can charge: imported and hand-made ones."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

from billing.gateways.base import JSON, ChargeResult, ErrorKind, GatewayError, InvoiceOutcome


def _refuse(*_args: object, **_kwargs: object) -> NoReturn:
    raise GatewayError("There is no payment processor behind this source.", kind=ErrorKind.INVALID)


class ManualGateway:
    """Refuses every call: whoever asks has taken an imported invoice for one of a processor."""

    def retrieve(self, kind: str, external_id: str, *, expand: Sequence[str] = ()) -> JSON:
        _refuse()

    def list_page(
        self, kind: str, *, cursor: str | None = None, limit: int = 100, expand: Sequence[str] = (), **filters: Any
    ) -> tuple[list[JSON], str | None]:
        _refuse()

    def verify_webhook(
        self, payload: bytes, header: str, *, secrets: Sequence[str], tolerance: int, now: datetime
    ) -> JSON:
        _refuse()

    def pay_invoice(
        self, *, invoice_id: str, payment_method_id: str, idempotency_key: str, off_session: bool = True
    ) -> ChargeResult:
        _refuse()

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
        _refuse()

    def issue_credit_note(self, *, invoice_id: str, amount: int, memo: str, idempotency_key: str) -> str:
        _refuse()

    def retrieve_invoice_outcome(self, invoice_id: str) -> InvoiceOutcome:
        _refuse()

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
        _refuse()

    def find_customer_charge(self, *, customer_id: str, idempotency_key: str, since: datetime) -> ChargeResult | None:
        _refuse()

    def cancel_subscription(self, *, subscription_id: str, idempotency_key: str) -> None:
        _refuse()

    def mark_uncollectible(self, *, invoice_id: str, idempotency_key: str) -> str:
        _refuse()
