"""Owns charging a card or a bank account: payment intents, the question to the bank, and the outcome of each try."""

from __future__ import annotations

from .charges import book_charge, error_fields, new_charge
from .debits import answers_at
from .issuers import AUTHENTICATE, DAY, Ask, decide
from .store import Obj
from .world import World, copy

HISTORY = 40 * DAY
#: The year in which bank accounts expire.
NEVER = 9999


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
    known, card = world.secret(method["id"]), method[method["type"]]
    history = world.cards.setdefault(card["fingerprint"], {"tries": [], "spent": []})
    now = world.now()
    history["tries"] = [at for at in history["tries"] if at > now - HISTORY]
    history["spent"] = [entry for entry in history["spent"] if entry[0] > now - HISTORY]
    ask = Ask(
        fingerprint=card["fingerprint"],
        amount=amount,
        currency=currency,
        now=now,
        exp_year=card.get("exp_year", NEVER),
        exp_month=card.get("exp_month", 12),
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
    """Charge the card once, or order a debit. Returns the charge, or None when the customer must authenticate first.

    Tells of the charge and the intent; what follows for an invoice is the caller's.
    """
    if method["type"] != "card":
        return _order_debit(world, intent, method)
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
    charge = new_charge(world, intent, method, answer)
    intent["latest_charge"] = charge["id"]
    intent["next_action"] = None
    finished(world, intent, method, charge)
    return charge


def _order_debit(world: World, intent: Obj, method: Obj) -> Obj:
    charge = new_charge(world, intent, method, None, pending=True)
    intent.update(
        latest_charge=charge["id"],
        next_action=None,
        payment_method=method["id"],
        payment_method_types=[method["type"]],
        status="processing",
    )
    world.at(answers_at(world, method), "debit", charge["id"])
    world.secret(charge["id"])["answers_at"] = answers_at(world, method)
    world.emit("charge.pending", charge)
    world.emit("payment_intent.processing", intent)
    return charge


def finished(world: World, intent: Obj, method: Obj, charge: Obj) -> None:
    """What the answer to a charge makes of its payment intent, told."""
    if charge["paid"]:
        intent.update(
            status="succeeded",
            amount_received=charge["amount"],
            payment_method=method["id"],
            last_payment_error=None,
        )
        book_charge(world, intent, charge)
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
