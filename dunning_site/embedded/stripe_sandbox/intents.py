"""Owns the API calls on payment intents, from the server and from the browser."""

from __future__ import annotations

from .charges import card_error
from .collection import collect, credit
from .errors import ApiError, bad_request
from .listing import list_objects
from .methods import attach_method, create_method, require_own, resolve_method
from .params import Params, merge_metadata
from .payments import attempt, new_intent
from .store import Obj
from .world import World, copy

#: Amounts of these currencies must be multiples: three decimals of which the last is 0, two that are 00.
STEPS = dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 10) | {"isk": 100, "ugx": 100}
OPEN = {"requires_payment_method", "requires_confirmation", "requires_action"}


def create_payment(world: World, params: Params) -> Obj:
    """Create a payment intent, and confirm it when asked."""
    customer = params.text("customer")
    if customer:
        world.get("customer", customer, "customer")
    amount = params.need_integer("amount")
    if amount < 1:
        raise bad_request("This value must be greater than or equal to 1.", param="amount")
    currency = params.need("currency").lower()
    if amount % STEPS.get(currency, 1):
        raise bad_request(
            f"Invalid amount. In {currency.upper()} it must be evenly divisible by {STEPS[currency]}.",
            param="amount",
            code="invalid_charge_amount",
        )
    intent = new_intent(
        world,
        amount=amount,
        currency=currency,
        customer=customer,
        description=params.text("description"),
        metadata=merge_metadata({}, params),
        setup_future_usage=params.text("setup_future_usage"),
    )
    method = params.text("payment_method")
    if method:
        intent.update(payment_method=resolve_method(world, method)["id"], status="requires_confirmation")
    if params.boolean("confirm"):
        return confirm_payment(world, params, intent["id"])
    return intent


def confirm_payment(world: World, params: Params, intent_id: str) -> Obj:
    """Confirm a payment intent; one of an invoice settles that invoice."""
    intent = world.get("payment_intent", intent_id, in_path=True)
    check_secret(intent, params)
    if intent["status"] not in OPEN:
        raise unexpected("PaymentIntent", intent, "payment_intent")
    method = chosen_method(world, intent, params)
    off_session = bool(params.boolean("off_session", False))
    charge = _charge(world, intent, method, off_session=off_session)
    if charge is not None and charge["status"] == "failed":
        raise card_error(world, charge, method)
    return intent


def _charge(world: World, intent: Obj, method: Obj, *, off_session: bool, authenticated: bool = False) -> Obj | None:
    invoice_id = world.secret(intent["id"]).get("invoice")
    if invoice_id is None:
        charge = attempt(world, intent, method, off_session=off_session, authenticated=authenticated)
        if charge is not None and charge["paid"] and world.secret(intent["id"]).get("attached"):
            credit(world, intent)
    else:
        invoice = world.get("invoice", invoice_id)
        charge = collect(world, invoice, method, off_session=off_session, authenticated=authenticated)
    wants_card = intent["setup_future_usage"] and charge is not None and charge["paid"]
    if wants_card and intent["customer"] and method["customer"] is None:
        attach_method(world, method["id"], world.get("customer", intent["customer"]))
    return charge


def chosen_method(world: World, intent: Obj, params: Params) -> Obj:
    data = params.child("payment_method_data")
    if data.data:
        method = create_method(world, data)
    else:
        given = params.text("payment_method") or intent["payment_method"]
        if given is None:
            raise bad_request(
                "You cannot confirm this intent because it's missing a payment method.",
                param="payment_method",
                code="parameter_missing",
            )
        method = resolve_method(world, given)
    if method["customer"] is not None and intent["customer"] != method["customer"]:
        require_own(method, intent["customer"] or "", "payment_method")
    return method


def check_secret(intent: Obj, params: Params) -> None:
    """Refuse a client secret that belongs to another intent."""
    given = params.text("client_secret")
    if given is not None and given != intent["client_secret"]:
        raise bad_request(
            "The client_secret provided does not match any associated intent on this account.",
            param="client_secret",
            code="resource_missing",
        )


def unexpected(name: str, intent: Obj, field: str) -> ApiError:
    """400 for a call that the state of the intent does not allow."""
    return ApiError(
        400,
        f"This {name}'s status is {intent['status']}; the call is not allowed in this state.",
        code=f"{field}_unexpected_state",
        **{field: copy(intent)},
    )


def authenticate_payment(world: World, params: Params, intent_id: str) -> Obj:
    """The customer answered the bank's question in the browser: ``outcome`` is ``pass`` or ``fail``."""
    intent = world.get("payment_intent", intent_id, in_path=True)
    check_secret(intent, params)
    if intent["status"] != "requires_action":
        raise unexpected("PaymentIntent", intent, "payment_intent")
    method = world.get("payment_method", intent["payment_method"])
    if params.need("outcome") != "pass":
        error = authentication_error(method)
        intent.update(
            status="requires_payment_method",
            next_action=None,
            payment_method=None,
            last_payment_error={**error.body, "payment_method": copy(method)},
        )
        world.emit("payment_intent.payment_failed", intent)
        error.body["payment_intent"] = copy(intent)
        raise error
    world.secret(method["id"])["set_up"] = True
    charge = _charge(world, intent, method, off_session=False, authenticated=True)
    if charge is not None and not charge["paid"]:
        raise card_error(world, charge, method)
    return intent


def authentication_error(method: Obj) -> ApiError:
    """The 402 of a customer who did not pass the bank's check."""
    return ApiError(
        402,
        "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
        type="card_error",
        code="payment_intent_authentication_failure",
        payment_method=copy(method),
    )


def update_payment(world: World, params: Params, intent_id: str) -> Obj:
    """Change a payment intent that is not finished."""
    intent = world.get("payment_intent", intent_id, in_path=True)
    if "payment_method" in params:
        intent["payment_method"] = resolve_method(world, params.need("payment_method"))["id"]
    for name in ("description", "setup_future_usage", "receipt_email"):
        if name in params:
            intent[name] = params.text(name)
    intent["metadata"] = merge_metadata(intent["metadata"], params)
    return intent


def cancel_payment(world: World, params: Params, intent_id: str) -> Obj:
    """Cancel a payment intent; those of invoices end with their invoice."""
    intent = world.get("payment_intent", intent_id, in_path=True)
    if world.secret(intent_id).get("invoice"):
        raise bad_request("You cannot cancel a PaymentIntent created by an invoice: void the invoice instead.")
    if intent["status"] not in OPEN:
        raise unexpected("PaymentIntent", intent, "payment_intent")
    reason = params.text("cancellation_reason")
    intent.update(status="canceled", canceled_at=world.now(), cancellation_reason=reason)
    if world.secret(intent_id).get("attached"):
        payment = world.get("invoice_payment", world.secret(intent_id)["invoice_payment"])
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = world.now()
    world.emit("payment_intent.canceled", intent)
    return intent


def retrieve_payment(world: World, params: Params, intent_id: str) -> Obj:
    """One payment intent."""
    intent = world.get("payment_intent", intent_id, in_path=True)
    check_secret(intent, params)
    return intent


def list_payments(world: World, params: Params) -> Obj:
    """Payment intents, newest first."""
    return list_objects(world, "payment_intent", params, "/v1/payment_intents", "customer")
