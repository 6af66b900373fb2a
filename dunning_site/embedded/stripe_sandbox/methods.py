"""Owns payment methods: cards and bank accounts, the banks behind them, and to whom they are attached."""

from __future__ import annotations

import re

from .cards import TOKENS, lookup, luhn_valid
from .debits import SCHEMES, account_details, answer_of_test_account
from .errors import ApiError, bad_request, missing_param
from .issuers import PROFILES
from .listing import list_objects
from .params import Params, merge_metadata
from .store import Obj
from .world import World, copy

#: What a decline code looks like.
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,59}")

ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def address(params: Params, name: str = "address") -> Obj | None:
    """An address of a request, or None."""
    child = params.child(name)
    return {part: child.text(part) for part in ADDRESS} if child.data else None


def set_default(world: World, customer: Obj, method_id: str | None, *, emit: bool = True) -> None:
    before = copy(customer)
    if method_id is not None:
        param = "invoice_settings[default_payment_method]"
        require_own(world.get("payment_method", method_id, param), customer["id"], param)
    customer["invoice_settings"]["default_payment_method"] = method_id
    if emit:
        world.emit("customer.updated", customer, before)


def require_own(method: Obj, customer_id: str, param: str) -> None:
    """Refuse a payment method that is not attached to this customer."""
    if method["customer"] != customer_id:
        raise bad_request(
            f"The customer does not have a payment method with the ID {method['id']}. The payment method must be "
            "attached to the customer.",
            param=param,
        )


def create_method(world: World, params: Params) -> Obj:
    """Create a payment method: a card from a test number or ``card[token]``, or an account that can be debited."""
    kind = params.text("type", "card") or "card"
    if kind in SCHEMES:
        return new_account(world, kind, params)
    if kind != "card":
        raise bad_request(f"The sandbox knows cards and {', '.join(SCHEMES)} only.", param="type")
    card = params.child("card")
    token = card.text("token")
    if token is not None:
        number = TOKENS.get(token.replace("tok_", "pm_card_"), "4242424242424242")
        return new_method(world, number, merge_metadata({}, params), params)
    if "number" not in card:
        raise missing_param("card[number]")
    number = card.need("number").replace(" ", "")
    check_number(number)
    return new_method(
        world,
        number,
        merge_metadata({}, params),
        params,
        exp_month=card.need_integer("exp_month"),
        exp_year=card.need_integer("exp_year"),
    )


def check_number(number: str) -> None:
    """Refuse what is no card number, with the error a person typing it would get."""
    if not number.isdigit() or not 12 <= len(number) <= 19 or not luhn_valid(number):
        raise ApiError(
            402,
            "Your card number is incorrect.",
            type="card_error",
            code="incorrect_number",
            decline_code="incorrect_number",
            param="number",
        )


def new_method(
    world: World,
    number: str,
    metadata: dict[str, str] | None = None,
    params: Params | None = None,
    *,
    exp_month: int | None = None,
    exp_year: int | None = None,
) -> Obj:
    """Add a card; ``metadata['issuer_profile']`` and ``issuer_*`` choose how its bank behaves.

    A test number is one card for everybody, with one fingerprint; a card given a profile has an account of its own,
    unless ``metadata['issuer_card']`` says that two are the same card.
    """
    card, metadata = lookup(number), metadata or {}
    year = exp_year if exp_year is not None else 2034
    shown: Obj = {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": metadata.get("issuer_country", card.country),
        "display_brand": card.brand,
        "exp_month": exp_month or 12,
        "exp_year": 2000 + year if year < 100 else year,
        "funding": metadata.get("issuer_funding", card.funding),
        "generated_from": None,
        "last4": number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
        # Stripe tells a card's bank to few accounts; a card tells it here only where it was given one.
        **({"issuer": metadata["issuer_bank"], "iin": number[:6]} if "issuer_bank" in metadata else {}),
    }
    return _add(world, "card", number, shown, metadata, params, profile=card.profile, code=card.decline)


def new_account(world: World, kind: str, params: Params) -> Obj:
    """Add an account that can be debited; its bank behaves as the metadata says, as a card's does."""
    number, shown = account_details(world, kind, params)
    code = answer_of_test_account(kind, number)
    profile = "always_ok" if code is None else "decline"
    return _add(world, kind, number, shown, merge_metadata({}, params), params, profile=profile, code=code)


def _add(
    world: World,
    kind: str,
    number: str,
    shown: Obj,
    metadata: dict[str, str],
    params: Params | None,
    *,
    profile: str,
    code: str | None,
) -> Obj:
    profile = metadata.get("issuer_profile", profile)
    if profile not in PROFILES:
        raise bad_request(f"Unknown issuer profile: {profile}", param="metadata[issuer_profile]")
    options = {name[7:]: value for name, value in metadata.items() if name.startswith("issuer_")}
    if code is not None and "code" not in options:
        options["code"] = code
    if not CODE.fullmatch(options.get("code", "generic_decline")):
        raise bad_request(f"Not a decline code: {options['code']}", param="metadata[issuer_code]")
    details = (params or Params({})).child("billing_details")
    method_id = world.new_id("pm")
    distinct = metadata.get("issuer_card", method_id if "issuer_profile" in metadata else "")
    method: Obj = {
        "id": method_id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": address(details) or dict.fromkeys(ADDRESS),
            "email": details.text("email"),
            "name": details.text("name"),
            "phone": details.text("phone"),
            "tax_id": None,
        },
        kind: shown | {"fingerprint": world.token("card", number, distinct, length=16)},
        "created": world.now(),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": metadata,
        "type": kind,
    }
    return world.add(method, number=number, profile=profile, options=options, set_up=False)


def update_method(world: World, params: Params, method_id: str) -> Obj:
    """Change expiry, billing details or metadata; new ``issuer_*`` metadata changes the bank's behaviour."""
    method = world.get("payment_method", method_id, in_path=True)
    before = copy(method)
    card = params.child("card")
    for name in ("exp_month", "exp_year"):
        if name in card and method["type"] == "card":
            method["card"][name] = card.need_integer(name)
    details = params.child("billing_details")
    for name in ("email", "name", "phone"):
        if name in details:
            method["billing_details"][name] = details.text(name)
    if "address" in details:
        method["billing_details"]["address"] = address(details) or dict.fromkeys(ADDRESS)
    method["metadata"] = merge_metadata(method["metadata"], params)
    set_issuer(world, method)
    world.emit("payment_method.updated", method, before)
    return method


def set_issuer(world: World, method: Obj) -> None:
    """Take the bank's behaviour from the metadata again."""
    known = world.secret(method["id"])
    chosen = method["metadata"].get("issuer_profile", known["profile"])
    if chosen not in PROFILES:
        raise bad_request(f"Unknown issuer profile: {chosen}", param="metadata[issuer_profile]")
    known["profile"] = chosen
    fresh = {name[7:]: value for name, value in method["metadata"].items() if name.startswith("issuer_")}
    known["options"] = {**known["options"], **fresh}


def resolve_method(world: World, given: str, param: str = "payment_method") -> Obj:
    """The payment method of an identity, or a new one for a ``pm_card_*`` token."""
    if given in TOKENS:
        return new_method(world, TOKENS[given])
    return world.get("payment_method", given, param)


def attach(world: World, params: Params, method_id: str) -> Obj:
    """Attach a payment method to a customer."""
    customer = world.get("customer", params.need("customer"), "customer")
    if method_id not in TOKENS:
        world.get("payment_method", method_id, in_path=True)
    return attach_method(world, method_id, customer)


def attach_method(world: World, method_id: str, customer: Obj) -> Obj:
    """Attach, and tell."""
    method = resolve_method(world, method_id)
    if method["customer"] not in (None, customer["id"]):
        raise bad_request("The payment method you provided has already been attached to a customer.")
    known = world.secret(method["id"])
    if known.get("detached"):
        raise bad_request(
            "This PaymentMethod was previously used without being attached to a Customer or was detached from a "
            "Customer, and may not be used again."
        )
    if world.settings["strict_attach"] and known["profile"] == "decline":
        raise ApiError(402, "Your card was declined.", type="card_error", code="card_declined")
    if method["customer"] is None:
        method["customer"] = customer["id"]
        world.tables["payment_method"].reindex(method)
        world.emit("payment_method.attached", method)
        watch_expiry(world, method)
    return method


def watch_expiry(world: World, method: Obj) -> None:
    """Have the bank's account updater look at the card in the month before it expires."""
    if method["type"] == "card" and world.secret(method["id"])["options"].get("updater"):
        from .clock import month_start

        card = method["card"]
        world.at(month_start(card["exp_year"], card["exp_month"]), "card_update", method["id"])


def detach(world: World, params: Params, method_id: str) -> Obj:
    """Detach a payment method; it cannot be used again."""
    method = world.get("payment_method", method_id, in_path=True)
    owner = method["customer"]
    if owner is None:
        raise bad_request("The payment method you provided is not attached to a customer so detachment is impossible.")
    before = copy(method)
    method["customer"] = None
    world.tables["payment_method"].reindex(method)
    world.secret(method_id)["detached"] = True
    forget_default(world, owner, method_id)
    world.emit("payment_method.detached", method, before)
    return method


def forget_default(world: World, customer_id: str, method_id: str) -> None:
    """Unset a payment method wherever it is the default."""
    customer = world.tables["customer"].objects.get(customer_id)
    if customer and customer["invoice_settings"]["default_payment_method"] == method_id:
        set_default(world, customer, None)
    for subscription in world.tables["subscription"].all(customer=customer_id):
        if subscription["default_payment_method"] == method_id:
            before = copy(subscription)
            subscription["default_payment_method"] = None
            world.emit("customer.subscription.updated", subscription, before)


def list_methods(world: World, params: Params) -> Obj:
    """Payment methods, of one customer if asked."""
    if "customer" in params:
        world.get("customer", params.need("customer"), "customer")
    return list_objects(world, "payment_method", params, "/v1/payment_methods", "customer", "type")


def retrieve_method(world: World, params: Params, method_id: str) -> Obj:
    """One payment method."""
    return world.get("payment_method", method_id, in_path=True)
