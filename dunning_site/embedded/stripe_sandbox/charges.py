"""Owns charges: what a bank was asked and answered, balance transactions, the ledger, the errors of refusals."""

from __future__ import annotations

from typing import Any

from .cards import DECLINES, Decline
from .debits import charge_details, refusal
from .errors import ApiError
from .issuers import BLOCKED, DAY
from .store import Obj
from .world import World, copy


def _decline(answer: str, kind: str) -> Decline:
    if kind != "card":
        return refusal(kind, answer)
    if answer == BLOCKED:
        return Decline("fraudulent", None, "do_not_try_again", None, "Your card was declined.")
    # A code that is not in our table is told as Stripe tells one of its newest: with nothing beside it.
    return DECLINES.get(answer) or Decline(answer, None, None, None, "Your card was declined.")


def advice_of_network(refused: Decline, brand: str) -> str | None:
    """Merchant advice codes are Mastercard's; other networks give none."""
    return refused.network_advice_code if brand == "mastercard" else None


def _outcome(refused: Decline | None, *, blocked: bool, brand: str) -> Obj:
    outcome: Obj = {
        "advice_code": refused.advice_code if refused else None,
        "network_advice_code": advice_of_network(refused, brand) if refused else None,
        "network_decline_code": refused.network_decline_code if refused else None,
        "network_status": "approved_by_network",
        "reason": refused.decline_code if refused else None,
        "risk_level": "normal",
        "risk_score": 12,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    if refused:
        outcome["network_status"] = "not_sent_to_network" if blocked else "declined_by_network"
        outcome["type"] = "blocked" if blocked else "issuer_declined"
        outcome["risk_level"] = "highest" if blocked else "normal"
        outcome["seller_message"] = (
            "Stripe blocked this payment as too risky."
            if blocked
            else f"The bank returned the decline code `{refused.decline_code}`."
        )
    return outcome


def new_charge(world: World, intent: Obj, method: Obj, answer: str | None, *, pending: bool = False) -> Obj:
    """Add a charge that the bank answered with a decline code, or with none; or one it has yet to answer."""
    kind = method["type"]
    refused = _decline(answer, kind) if answer else None
    outcome = _outcome(refused, blocked=answer == BLOCKED, brand=method[kind].get("brand", ""))
    paid = refused is None and not pending
    told = _card_details(intent, method[kind], paid) if kind == "card" else charge_details(world, method)
    charge_id = world.new_id("ch")
    return world.add(
        {
            "id": charge_id,
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": intent["amount"] if paid else 0,
            "amount_refunded": 0,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": None,
            "billing_details": copy(method["billing_details"]),
            "calculated_statement_descriptor": "SOLLECITO",
            "captured": paid,
            "created": world.now(),
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": refused.code if refused else None,
            "failure_message": refused.message if refused else None,
            "fraud_details": {},
            "livemode": False,
            "metadata": dict(intent["metadata"]),
            "on_behalf_of": None,
            "outcome": outcome,
            "paid": paid,
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": {kind: told, "type": kind},
            "presentment_details": None,
            "radar_options": {},
            "receipt_email": intent["receipt_email"],
            "receipt_number": None,
            "receipt_url": f"{world.base_url}/receipts/{charge_id}" if paid else None,
            "refunded": False,
            "review": None,
            "shipping": None,
            "source": None,
            "source_transfer": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": None,
            "status": "pending" if pending else "succeeded" if paid else "failed",
            "transfer_data": None,
            "transfer_group": None,
        }
    )


def answered(world: World, charge: Obj, method: Obj, answer: str | None) -> None:
    """The bank's answer has come to a pending charge: a decline code, or none."""
    if answer is None:
        charge.update(
            amount_captured=charge["amount"],
            captured=True,
            paid=True,
            receipt_url=f"{world.base_url}/receipts/{charge['id']}",
            status="succeeded",
        )
        return
    refused = _decline(answer, method["type"])
    charge.update(
        failure_code=refused.code,
        failure_message=refused.message,
        outcome=_outcome(refused, blocked=False, brand=""),
        status="failed",
    )


def _card_details(intent: Obj, card: Obj, paid: bool) -> Obj:
    return {
        "amount_authorized": intent["amount"] if paid else None,
        "authorization_code": "123456" if paid else None,
        "brand": card["brand"],
        "checks": dict(card["checks"]),
        "country": card["country"],
        "exp_month": card["exp_month"],
        "exp_year": card["exp_year"],
        "extended_authorization": {"status": "disabled"},
        "fingerprint": card["fingerprint"],
        "funding": card["funding"],
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card["last4"],
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {
            "maximum_amount_capturable": intent["amount"] if paid else 0,
            "status": "unavailable",
        },
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }


def book_charge(world: World, intent: Obj, charge: Obj) -> None:
    fee = charge["amount"] * 29 // 1000 + 30
    charge["balance_transaction"] = book(world, charge, charge["amount"], fee, "charge")["id"]
    record_money(world, "charge", charge, charge["amount"])


def book(world: World, source: Obj, amount: int, fee: int, kind: str) -> Obj:
    """Add a balance transaction of ``amount`` minor units."""
    return world.add(
        {
            "id": world.new_id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": world.now() + 2 * DAY,
            "balance_type": "payments",
            "created": world.now(),
            "currency": source["currency"],
            "description": source.get("description"),
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [
                {
                    "amount": fee,
                    "application": None,
                    "currency": source["currency"],
                    "description": "Stripe processing fees",
                    "type": "stripe_fee",
                }
            ]
            if fee
            else [],
            "net": amount - fee,
            "reporting_category": kind,
            "source": source["id"],
            "status": "pending",
            "type": kind,
        }
    )


def record_money(world: World, kind: str, charge: Obj, amount: int) -> None:
    """Write a movement of real money into the ledger that judges double charges."""
    intent = charge["payment_intent"]
    known = world.secret(intent) if intent else {}
    world.ledger.append(
        {
            "kind": kind,
            "at": world.now(),
            "charge": charge["id"],
            "payment_intent": intent,
            "invoice": known.get("invoice") or known.get("attached"),
            "part": "attached" in known,
            "customer": charge["customer"],
            "amount": amount,
            "currency": charge["currency"],
            "idempotency_key": world.request.get("idempotency_key"),
        }
    )


def error_fields(world: World, charge: Obj) -> dict[str, Any]:
    """What Stripe says of a refused charge, for a payment intent or for an error."""
    outcome = charge["outcome"]
    decline_code = outcome["reason"]
    fields = {
        "advice_code": outcome["advice_code"],
        "charge": charge["id"],
        "code": charge["failure_code"],
        "decline_code": decline_code,
        "doc_url": f"https://docs.stripe.com/error-codes/{charge['failure_code'].replace('_', '-')}",
        "message": charge["failure_message"],
        "network_advice_code": outcome["network_advice_code"],
        "network_decline_code": outcome["network_decline_code"],
        "type": "card_error",
    }
    return {name: value for name, value in fields.items() if value is not None}


def card_error(world: World, charge: Obj, method: Obj) -> ApiError:
    """The 402 that a refused charge answers with."""
    fields = error_fields(world, charge)
    message = fields.pop("message")
    intent = world.find(charge["payment_intent"])
    return ApiError(
        402,
        message,
        payment_intent=copy(intent) if intent else None,
        payment_method=copy(method),
        payment_method_type=method["type"],
        request_log_url=f"https://dashboard.stripe.com/test/logs/{world.request.get('id')}",
        **fields,
    )
