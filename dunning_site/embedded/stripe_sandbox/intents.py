"""Owns the API calls on payment intents and setup intents, from the server and from the browser."""

from __future__ import annotations

from .cards import DECLINES
from .collection import collect
from .customers import attach_method, create_method, require_own, resolve_method
from .errors import ApiError, bad_request
from .issuers import AUTHENTICATE, BLOCKED
from .listing import list_objects
from .params import Params, merge_metadata
from .payments import ask_issuer, attempt, card_error, new_intent
from .store import Obj
from .world import World, copy

OPEN = {"requires_payment_method", "requires_confirmation", "requires_action"}


def create_payment(world: World, params: Params) -> Obj:
    """Create a payment intent, and confirm it when asked."""
    customer = params.text("customer")
    if customer:
        world.get("customer", customer, "customer")
    amount = params.need_integer("amount")
    if amount < 1:
        raise bad_request("This value must be greater than or equal to 1.", param="amount")
    intent = new_intent(
        world,
        amount=amount,
        currency=params.need("currency").lower(),
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
    method = _chosen(world, intent, params)
    off_session = bool(params.boolean("off_session", False))
    charge = _charge(world, intent, method, off_session=off_session)
    if charge is not None and not charge["paid"]:
        raise card_error(world, charge, method)
    return intent


def _charge(world: World, intent: Obj, method: Obj, *, off_session: bool, authenticated: bool = False) -> Obj | None:
    invoice_id = world.secret(intent["id"]).get("invoice")
    if invoice_id is None:
        charge = attempt(world, intent, method, off_session=off_session, authenticated=authenticated)
    else:
        invoice = world.get("invoice", invoice_id)
        charge = collect(world, invoice, method, off_session=off_session, authenticated=authenticated)
    wants_card = intent["setup_future_usage"] and charge is not None and charge["paid"]
    if wants_card and intent["customer"] and method["customer"] is None:
        attach_method(world, method["id"], world.get("customer", intent["customer"]))
    return charge


def _chosen(world: World, intent: Obj, params: Params) -> Obj:
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


def create_setup(world: World, params: Params) -> Obj:
    """Create a setup intent, to keep a card for later charges."""
    customer = params.text("customer")
    if customer:
        world.get("customer", customer, "customer")
    intent_id = world.new_id("seti")
    method = params.text("payment_method")
    automatic = not params.texts("payment_method_types")
    intent: Obj = {
        "id": intent_id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True} if automatic else None,
        "cancellation_reason": None,
        "client_secret": f"{intent_id}_secret_{world.token(intent_id, 'secret')}",
        "created": world.now(),
        "customer": customer,
        "customer_account": None,
        "description": params.text("description"),
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "managed_payments": None,
        "mandate": None,
        "metadata": merge_metadata({}, params),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": resolve_method(world, method)["id"] if method else None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"mandate_options": None, "network": None, "request_three_d_secure": None}},
        "payment_method_types": params.texts("payment_method_types") or ["card"],
        "single_use_mandate": None,
        "status": "requires_confirmation" if method else "requires_payment_method",
        "usage": params.text("usage", "off_session"),
    }
    world.add(intent)
    world.emit("setup_intent.created", intent)
    if params.boolean("confirm"):
        return confirm_setup(world, params, intent_id)
    return intent


def confirm_setup(world: World, params: Params, intent_id: str) -> Obj:
    """Check the card with its bank and attach it to the customer."""
    intent = world.get("setup_intent", intent_id, in_path=True)
    check_secret(intent, params)
    if intent["status"] not in OPEN:
        raise unexpected("SetupIntent", intent, "setup_intent")
    return _set_up(world, intent, _chosen(world, intent, params), authenticated=False)


def authenticate_setup(world: World, params: Params, intent_id: str) -> Obj:
    """The customer answered the bank's question in the browser: ``outcome`` is ``pass`` or ``fail``."""
    intent = world.get("setup_intent", intent_id, in_path=True)
    check_secret(intent, params)
    if intent["status"] != "requires_action":
        raise unexpected("SetupIntent", intent, "setup_intent")
    method = world.get("payment_method", intent["payment_method"])
    if params.need("outcome") != "pass":
        error = authentication_error(method)
        error.body["code"] = "setup_intent_authentication_failure"
        _refuse_setup(world, intent, error)
    return _set_up(world, intent, method, authenticated=True)


def _set_up(world: World, intent: Obj, method: Obj, *, authenticated: bool) -> Obj:
    answer = ask_issuer(world, method, 0, "usd", off_session=False, authenticated=authenticated, setup=True)
    if answer == AUTHENTICATE:
        intent.update(
            status="requires_action",
            payment_method=method["id"],
            next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}},
        )
        world.emit("setup_intent.requires_action", intent)
        return intent
    if answer is not None:
        row = DECLINES["fraudulent" if answer == BLOCKED else answer]
        error = ApiError(
            402,
            row.message,
            type="card_error",
            code=row.code,
            decline_code=row.decline_code,
            advice_code=row.advice_code,
            network_decline_code=row.network_decline_code,
            network_advice_code=row.network_advice_code,
            payment_method=copy(method),
        )
        _refuse_setup(world, intent, error)
    if authenticated:
        world.secret(method["id"])["set_up"] = True
    if intent["customer"] and method["customer"] is None:
        attach_method(world, method["id"], world.get("customer", intent["customer"]))
    intent.update(status="succeeded", payment_method=method["id"], last_setup_error=None, next_action=None)
    world.emit("setup_intent.succeeded", intent)
    return intent


def _refuse_setup(world: World, intent: Obj, error: ApiError) -> None:
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        next_action=None,
        last_setup_error=copy(error.body),
    )
    world.emit("setup_intent.setup_failed", intent)
    error.body["setup_intent"] = copy(intent)
    raise error


def cancel_setup(world: World, params: Params, intent_id: str) -> Obj:
    """Cancel a setup intent."""
    intent = world.get("setup_intent", intent_id, in_path=True)
    if intent["status"] not in OPEN:
        raise unexpected("SetupIntent", intent, "setup_intent")
    intent.update(status="canceled", cancellation_reason=params.text("cancellation_reason"))
    world.emit("setup_intent.canceled", intent)
    return intent


def retrieve_setup(world: World, params: Params, intent_id: str) -> Obj:
    """One setup intent."""
    intent = world.get("setup_intent", intent_id, in_path=True)
    check_secret(intent, params)
    return intent


def list_setups(world: World, params: Params) -> Obj:
    """Setup intents, newest first."""
    return list_objects(world, "setup_intent", params, "/v1/setup_intents", "customer", "payment_method")
