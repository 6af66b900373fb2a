"""Owns charging a card: payment intents, charges, balance transactions and the ledger of money moved."""

from __future__ import annotations

from typing import Any

from .cards import DECLINES, Decline
from .errors import ApiError
from .issuers import AUTHENTICATE, BLOCKED, DAY, Ask, decide
from .store import Obj
from .world import World, copy

HISTORY = 40 * DAY


def new_intent(
    world: World,
    *,
    amount: int,
    currency: str,
    customer: str | None,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
    invoice: str | None = None,
    setup_future_usage: str | None = None,
) -> Obj:
    """Add a payment intent over ``amount`` minor units; one made for an invoice settles it."""
    intent_id = world.new_id("pi")
    intent: Obj = {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None if invoice else {"allow_redirects": "always", "enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{intent_id}_secret_{world.token(intent_id, 'secret')}",
        "confirmation_method": "automatic",
        "created": world.now(),
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "description": description,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": metadata or {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_details": {"customer_reference": None, "order_reference": invoice} if invoice else None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": setup_future_usage,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }
    world.add(intent, invoice=invoice)
    world.emit("payment_intent.created", intent)
    return intent


def ask_issuer(
    world: World,
    method: Obj,
    amount: int,
    currency: str,
    *,
    off_session: bool,
    authenticated: bool,
    setup: bool,
) -> str | None:
    """Put one authorisation to the card's bank; None approves, else a decline code."""
    known, card = world.secret(method["id"]), method["card"]
    history = world.cards.setdefault(card["fingerprint"], {"tries": [], "spent": []})
    now = world.now()
    history["tries"] = [at for at in history["tries"] if at > now - HISTORY]
    history["spent"] = [entry for entry in history["spent"] if entry[0] > now - HISTORY]
    ask = Ask(
        fingerprint=card["fingerprint"],
        amount=amount,
        currency=currency,
        now=now,
        exp_year=card["exp_year"],
        exp_month=card["exp_month"],
        seed=world.seed,
        off_session=off_session,
        authenticated=authenticated,
        set_up=bool(known.get("set_up")),
        setup=setup,
        tries=tuple(history["tries"]),
        spent=tuple((at, spent) for at, spent in history["spent"]),
    )
    answer = decide(known["profile"], ask, known["options"])
    if not setup:
        history["tries"].append(now)
        if answer is None:
            history["spent"].append([now, amount])
    return answer


def attempt(world: World, intent: Obj, method: Obj, *, off_session: bool, authenticated: bool = False) -> Obj | None:
    """Charge the card once. Returns the charge, or None when the customer must authenticate first.

    Tells of the charge and the intent; what follows for an invoice is the caller's.
    """
    answer = ask_issuer(
        world,
        method,
        intent["amount"],
        intent["currency"],
        off_session=off_session,
        authenticated=authenticated,
        setup=False,
    )
    if answer == AUTHENTICATE and not off_session:
        intent["status"] = "requires_action"
        intent["payment_method"] = method["id"]
        intent["next_action"] = {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect"},
        }
        world.secret(intent["id"])["off_session"] = off_session
        world.emit("payment_intent.requires_action", intent)
        return None
    charge = _charge(world, intent, method, answer)
    intent["latest_charge"] = charge["id"]
    intent["next_action"] = None
    if answer is None:
        intent.update(
            status="succeeded",
            amount_received=intent["amount"],
            payment_method=method["id"],
            last_payment_error=None,
        )
        _book_charge(world, intent, charge)
        world.emit("charge.succeeded", charge)
        world.emit("payment_intent.succeeded", intent)
    else:
        error = error_fields(world, charge)
        intent.update(
            status="requires_payment_method",
            payment_method=None,
            last_payment_error={**error, "payment_method": copy(method)},
        )
        world.emit("charge.failed", charge)
        world.emit("payment_intent.payment_failed", intent)
    return charge


def _decline(answer: str) -> Decline:
    if answer == BLOCKED:
        return Decline("fraudulent", None, "do_not_try_again", None, "Your card was declined.")
    return DECLINES[answer]


def _charge(world: World, intent: Obj, method: Obj, answer: str | None) -> Obj:
    card = method["card"]
    refused = _decline(answer) if answer else None
    outcome: Obj = {
        "advice_code": refused.advice_code if refused else None,
        "network_advice_code": refused.network_advice_code if refused else None,
        "network_decline_code": refused.network_decline_code if refused else None,
        "network_status": "approved_by_network",
        "reason": refused.decline_code if refused else None,
        "risk_level": "normal",
        "risk_score": 12,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    if refused:
        blocked = answer == BLOCKED
        outcome["network_status"] = "not_sent_to_network" if blocked else "declined_by_network"
        outcome["type"] = "blocked" if blocked else "issuer_declined"
        outcome["risk_level"] = "highest" if blocked else "normal"
        outcome["seller_message"] = (
            "Stripe blocked this payment as too risky."
            if blocked
            else f"The bank returned the decline code `{refused.decline_code}`."
        )
    paid = refused is None
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
            "payment_method_details": {"card": _card_details(intent, card, paid), "type": "card"},
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
            "status": "succeeded" if paid else "failed",
            "transfer_data": None,
            "transfer_group": None,
        }
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


def _book_charge(world: World, intent: Obj, charge: Obj) -> None:
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
    world.ledger.append(
        {
            "kind": kind,
            "at": world.now(),
            "charge": charge["id"],
            "payment_intent": intent,
            "invoice": world.secret(intent).get("invoice") if intent else None,
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
        payment_method_type="card",
        request_log_url=f"https://dashboard.stripe.com/test/logs/{world.request.get('id')}",
        **fields,
    )
