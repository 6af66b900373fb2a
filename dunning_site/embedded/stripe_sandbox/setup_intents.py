"""Owns the API calls on setup intents, from the server and from the browser."""

from __future__ import annotations

from .cards import DECLINES
from .errors import ApiError
from .intents import OPEN, authentication_error, check_secret, chosen_method, unexpected
from .issuers import AUTHENTICATE, BLOCKED
from .listing import list_objects
from .methods import attach_method, resolve_method
from .params import Params, merge_metadata
from .payments import ask_issuer
from .store import Obj
from .world import World, copy


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
    return _set_up(world, intent, chosen_method(world, intent, params), authenticated=False)


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
