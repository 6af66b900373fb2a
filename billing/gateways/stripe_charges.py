"""Owns the reading of Stripe's invoices, payment intents and charges as results; plain JSON in, no library."""

from datetime import UTC, datetime

from billing.gateways.base import JSON, ChargeResult, ChargeStatus, ErrorKind, GatewayError

#: What a paid invoice must bring along for its charge to be known; sent with every pay call, so part of what an
#: idempotency key stands for: changing it makes keys in use mismatch (they are then resolved by reading).
PAY_EXPAND = ("payments.data.payment.payment_intent",)
#: Where a charge for no invoice keeps the key it was asked under, so that it is found when its answer was lost.
KEY_IN_METADATA = "sollecito_key"
ALREADY_PAID = "invoice_already_paid"
_REQUIRES_ACTION = "invoice_payment_intent_requires_action"


def intent_params(
    *, customer_id: str, payment_method_id: str, amount: int, currency: str, idempotency_key: str
) -> JSON:
    """What any payment intent of ours is made with, over `amount` minor units; it can be found again by its key."""
    return {
        "amount": amount,
        "currency": currency.lower(),
        "customer": customer_id,
        "payment_method": payment_method_id,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": {KEY_IN_METADATA: idempotency_key},
    }


def paid_invoice(invoice: JSON) -> ChargeResult:
    """The result of a pay call that was answered with the invoice."""
    # The call pays by the invoice's own payment; others on it are parts that were taken before.
    entries = sorted(_payments(invoice), key=lambda entry: bool(entry.get("is_default")))
    intents = [entry["payment"]["payment_intent"] for entry in entries]
    made = [intent for intent in intents if isinstance(intent, dict) and intent.get("latest_charge")]
    currency = str(invoice["currency"]).upper()
    if invoice["status"] != "paid":
        intent = made[-1] if made else {}
        return ChargeResult(
            ChargeStatus.PROCESSING,
            charge_id=_id(intent.get("latest_charge")),
            payment_intent_id=str(intent.get("id") or ""),
            amount=int(invoice["amount_remaining"]),
            currency=currency,
        )
    succeeded = [intent for intent in made if intent["status"] == "succeeded"]
    if not succeeded:
        return ChargeResult(ChargeStatus.NOTHING_DUE, currency=currency)
    intent = succeeded[-1]
    return ChargeResult(
        ChargeStatus.SUCCEEDED,
        charge_id=_id(intent["latest_charge"]),
        payment_intent_id=intent["id"],
        amount=int(intent["amount_received"]),
        currency=currency,
        at=moment((invoice.get("status_transitions") or {}).get("paid_at")),
        payment_method=_id(intent.get("payment_method")),
    )


def paid_intent(intent: JSON) -> ChargeResult:
    """The result of a charge for no invoice, told by its payment intent."""
    status = {"succeeded": ChargeStatus.SUCCEEDED, "processing": ChargeStatus.PROCESSING}.get(
        intent["status"], ChargeStatus.DECLINED
    )
    needs_customer = intent["status"] == "requires_action"
    error: JSON = (intent.get("last_payment_error") or {}) if status == ChargeStatus.DECLINED else {}
    code = str(error.get("decline_code") or error.get("code") or "")
    return ChargeResult(
        status,
        charge_id=_id(intent.get("latest_charge")),
        payment_intent_id=intent["id"],
        amount=int(intent["amount"]),
        currency=str(intent["currency"]).upper(),
        payment_method=_id(intent.get("payment_method")),
        decline_code="authentication_required" if needs_customer else code,
        network_decline_code=str(error.get("network_decline_code") or ""),
        advice_code=str(error.get("advice_code") or ""),
        network_advice_code=str(error.get("network_advice_code") or ""),
        message=str(error.get("message") or ""),
        needs_customer=needs_customer,
    )


def refused(error: GatewayError) -> ChargeResult:
    """The result of a pay call that was declined. Raises the error itself when it is no decline."""
    if error.kind != ErrorKind.DECLINED:
        raise error
    needs_customer = error.processor_code == _REQUIRES_ACTION
    return ChargeResult(
        ChargeStatus.DECLINED,
        charge_id="" if needs_customer else error.charge_id,
        payment_intent_id=error.payment_intent_id,
        decline_code="authentication_required" if needs_customer else error.decline_code,
        network_decline_code=error.network_decline_code,
        advice_code=error.advice_code,
        network_advice_code=error.network_advice_code,
        message=error.message,
        needs_customer=needs_customer,
    )


def charge_result(charge: JSON) -> ChargeResult:
    """A charge object as a result."""
    outcome: JSON = charge.get("outcome") or {}
    status = {"succeeded": ChargeStatus.SUCCEEDED, "failed": ChargeStatus.DECLINED}.get(
        charge["status"], ChargeStatus.PROCESSING
    )
    declined = status == ChargeStatus.DECLINED
    return ChargeResult(
        status,
        charge_id=charge["id"],
        payment_intent_id=_id(charge.get("payment_intent")),
        amount=int(charge["amount"]),
        currency=str(charge["currency"]).upper(),
        at=moment(charge["created"]),
        payment_method=_id(charge.get("payment_method")),
        method_type=str((charge.get("payment_method_details") or {}).get("type") or ""),
        decline_code=str(outcome.get("reason") or charge.get("failure_code") or "") if declined else "",
        network_decline_code=str(outcome.get("network_decline_code") or "") if declined else "",
        advice_code=str(outcome.get("advice_code") or "") if declined else "",
        network_advice_code=str(outcome.get("network_advice_code") or "") if declined else "",
        message=str(charge.get("failure_message") or ""),
    )


def intent_ids(invoice: JSON) -> list[str]:
    """The payment intents an invoice was or is to be paid by."""
    return [name for entry in _payments(invoice) if (name := _id(entry["payment"].get("payment_intent")))]


def moment(seconds: int | None) -> datetime | None:
    """Seconds since the epoch as aware UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _payments(invoice: JSON) -> list[JSON]:
    entries = (invoice.get("payments") or {}).get("data") or []
    return [entry for entry in entries if (entry.get("payment") or {}).get("payment_intent")]


def _id(value: object) -> str:
    return str(value.get("id") or "") if isinstance(value, dict) else str(value or "")
