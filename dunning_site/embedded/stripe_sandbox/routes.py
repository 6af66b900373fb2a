"""Owns the table of API calls: method, path, handler and the parameters each accepts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from . import (
    account,
    catalog,
    customers,
    intents,
    invoice_calls,
    invoice_items,
    methods,
    money_back,
    setup_intents,
    subscription_calls,
    subscriptions,
)
from .errors import ApiError, bad_request
from .listing import expand
from .params import Params
from .store import Obj
from .world import World

Handler = Callable[..., Obj]
CURSOR = "limit starting_after ending_before created "
PUBLIC = "client_secret key payment_method_data return_url use_stripe_sdk mandate_data "


@dataclass(frozen=True)
class Route:
    """One API call; ``public`` ones may be made with a publishable key and a client secret."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    names: frozenset[str]
    public: bool = False


ROUTES: list[Route] = []
_BY_SHAPE: dict[tuple[str, str, int], list[Route]] = {}


def _route(method: str, path: str, handler: Handler, names: str = "", *, public: bool = False) -> None:
    pattern = re.compile("^" + re.sub(r":id", r"([^/]+)", path) + "$")
    route = Route(method, pattern, handler, frozenset((names + " expand").split()), public)
    ROUTES.append(route)
    _BY_SHAPE.setdefault((method, path.split("/")[2], path.count("/")), []).append(route)


def _crud(path: str, create: Handler, retrieve: Handler, listing: Handler, names: str, filters: str) -> None:
    _route("POST", path, create, names)
    _route("GET", path, listing, CURSOR + filters)
    _route("GET", path + "/:id", retrieve)


def dispatch(world: World, method: str, path: str, params: Params, *, public: bool) -> Obj:
    """Carry out one call; raises ApiError for an unknown path, parameter or key."""
    parts = path.split("/")
    for route in _BY_SHAPE.get((method, parts[2] if len(parts) > 2 else "", len(parts) - 1), []):
        match = route.pattern.match(path)
        if match is None:
            continue
        if public and not (route.public and ("client_secret" in params or path == "/v1/payment_methods")):
            raise ApiError(
                403,
                "This API call cannot be made with a publishable API key. Please use a secret API key.",
                code="secret_key_required",
            )
        unknown = set(params.data) - route.names
        if unknown:
            name = min(unknown)
            raise bad_request(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")
        answer = route.handler(world, params, *match.groups())
        return expand(world, answer, params.texts("expand"))  # type: ignore[no-any-return]
    raise ApiError(404, f"Unrecognized request URL ({method}: {path}).", code="url_invalid")


def _build() -> None:
    person = "address balance description email invoice_settings metadata name phone preferred_locales shipping "
    person += "tax_exempt payment_method cash_balance source invoice_prefix next_invoice_sequence "
    _crud(
        "/v1/customers",
        customers.create,
        customers.retrieve,
        customers.list_customers,
        person + "id test_clock",
        "email test_clock",
    )
    _route("POST", "/v1/customers/:id", customers.update, person + "default_source")
    _route("DELETE", "/v1/customers/:id", delete_customer)
    _route("GET", "/v1/customers/:id/payment_methods", customers.methods_of, CURSOR + "type allow_redisplay")
    _route("GET", "/v1/customers/:id/payment_methods/:id", _method_of)
    _route("GET", "/v1/customers/:id/sources", customers.no_sources, CURSOR + "object")
    card = "type card us_bank_account sepa_debit bacs_debit billing_details metadata allow_redisplay customer "
    _route("POST", "/v1/payment_methods", methods.create_method, card + PUBLIC, public=True)
    _route("GET", "/v1/payment_methods", methods.list_methods, CURSOR + "customer type allow_redisplay")
    _route("GET", "/v1/payment_methods/:id", methods.retrieve_method)
    _route("POST", "/v1/payment_methods/:id", methods.update_method, card)
    _route("POST", "/v1/payment_methods/:id/attach", methods.attach, "customer")
    _route("POST", "/v1/payment_methods/:id/detach", methods.detach)
    product = "active description metadata name images url unit_label default_price statement_descriptor "
    product += "marketing_features tax_code shippable package_dimensions "
    _crud(
        "/v1/products",
        catalog.create_product,
        catalog.retrieve_product,
        catalog.list_products,
        product + "id type default_price_data",
        "active ids type url shippable",
    )
    _route("POST", "/v1/products/:id", catalog.update_product, product)
    _route("GET", "/v1/products/:id/features", catalog.list_features, CURSOR)
    price = "active metadata nickname lookup_key tax_behavior transfer_lookup_key currency_options "
    _crud(
        "/v1/prices",
        catalog.create_price,
        catalog.retrieve_price,
        catalog.list_prices,
        price + "currency product product_data recurring unit_amount unit_amount_decimal billing_scheme",
        "active currency product type recurring lookup_keys",
    )
    _route("POST", "/v1/prices/:id", catalog.update_price, price)
    _subscriptions()
    _invoices()
    _intents()
    _rest()


def _subscriptions() -> None:
    names = "items default_payment_method cancel_at_period_end cancel_at collection_method days_until_due description "
    names += "metadata payment_behavior payment_settings proration_behavior trial_end trial_settings off_session "
    names += "cancellation_details pause_collection billing_cycle_anchor automatic_tax default_source "
    _crud(
        "/v1/subscriptions",
        subscriptions.create,
        subscription_calls.retrieve,
        subscription_calls.list_subscriptions,
        names + "customer currency trial_period_days backdate_start_date add_invoice_items billing_mode",
        "customer status price collection_method current_period_end current_period_start test_clock plan",
    )
    _route("POST", "/v1/subscriptions/:id", subscription_calls.update, names + "proration_date add_invoice_items")
    _route("DELETE", "/v1/subscriptions/:id", subscription_calls.cancel, "invoice_now prorate cancellation_details")
    _route("GET", "/v1/subscription_items", subscription_calls.list_subscription_items, CURSOR + "subscription")
    _route("GET", "/v1/subscription_items/:id", subscription_calls.retrieve_item)


def _invoices() -> None:
    names = "auto_advance collection_method days_until_due default_payment_method description due_date footer "
    names += "metadata payment_settings custom_fields number rendering statement_descriptor automatic_tax discounts "
    _crud(
        "/v1/invoices",
        invoice_calls.create,
        invoice_calls.retrieve,
        invoice_calls.list_invoices,
        names + "customer currency subscription pending_invoice_items_behavior effective_at",
        "status customer subscription collection_method due_date",
    )
    _route("POST", "/v1/invoices/:id", invoice_calls.update, names)
    _route("DELETE", "/v1/invoices/:id", invoice_calls.delete)
    _route("POST", "/v1/invoices/:id/add_lines", invoice_calls.add_lines, "lines invoice_metadata")
    _route("GET", "/v1/invoices/:id/lines", invoice_calls.lines, CURSOR)
    _route("POST", "/v1/invoices/:id/finalize", invoice_calls.finalize_call, "auto_advance")
    pay = "payment_method off_session paid_out_of_band forgive source mandate"
    _route("POST", "/v1/invoices/:id/pay", invoice_calls.pay_call, pay)
    _route("POST", "/v1/invoices/:id/attach_payment", invoice_calls.attach_payment, "payment_intent")
    _route("POST", "/v1/invoices/:id/send", invoice_calls.send)
    _route("POST", "/v1/invoices/:id/void", invoice_calls.void)
    _route("POST", "/v1/invoices/:id/mark_uncollectible", invoice_calls.mark_uncollectible)
    _route("GET", "/v1/invoice_payments", invoice_calls.list_payments, CURSOR + "invoice status payment")
    _route("GET", "/v1/invoice_payments/:id", invoice_calls.retrieve_payment)
    item = "customer amount currency description invoice metadata pricing price quantity subscription period "
    _crud(
        "/v1/invoiceitems",
        invoice_items.create_item,
        invoice_items.retrieve_item,
        invoice_items.list_items,
        item + "unit_amount unit_amount_decimal discountable price_data tax_rates",
        "customer invoice pending",
    )
    _route("DELETE", "/v1/invoiceitems/:id", invoice_items.delete_item)


def _intents() -> None:
    names = "amount currency customer description metadata payment_method setup_future_usage receipt_email "
    names += "payment_method_types automatic_payment_methods payment_method_options statement_descriptor_suffix "
    confirm = "payment_method off_session setup_future_usage receipt_email payment_method_options "
    _crud(
        "/v1/payment_intents",
        intents.create_payment,
        intents.retrieve_payment,
        intents.list_payments,
        names + confirm + "confirm error_on_requires_action capture_method " + PUBLIC,
        "customer",
    )
    path = "/v1/payment_intents/:id"
    _replace_public("GET", path, intents.retrieve_payment)
    _route("POST", path, intents.update_payment, names)
    _route("POST", path + "/confirm", intents.confirm_payment, confirm + PUBLIC, public=True)
    _route("POST", path + "/_authenticate", intents.authenticate_payment, "outcome " + PUBLIC, public=True)
    _route("POST", path + "/cancel", intents.cancel_payment, "cancellation_reason")
    _crud(
        "/v1/setup_intents",
        setup_intents.create_setup,
        setup_intents.retrieve_setup,
        setup_intents.list_setups,
        "customer payment_method payment_method_types automatic_payment_methods usage metadata description confirm "
        "payment_method_options single_use attach_to_self " + PUBLIC,
        "customer payment_method attach_to_self",
    )
    path = "/v1/setup_intents/:id"
    _replace_public("GET", path, setup_intents.retrieve_setup)
    _route("POST", path + "/confirm", setup_intents.confirm_setup, "payment_method " + PUBLIC, public=True)
    _route("POST", path + "/_authenticate", setup_intents.authenticate_setup, "outcome " + PUBLIC, public=True)
    _route("POST", path + "/cancel", setup_intents.cancel_setup, "cancellation_reason")


def _rest() -> None:
    _route("GET", "/v1/charges", money_back.list_charges, CURSOR + "customer payment_intent transfer_group")
    _route("GET", "/v1/charges/:id", money_back.retrieve_charge)
    _route("POST", "/v1/charges/:id", money_back.update_charge, "description metadata")
    _route("GET", "/v1/charges/:id/refunds", money_back.charge_refunds, CURSOR)
    _crud(
        "/v1/refunds",
        money_back.create_refund,
        money_back.retrieve_refund,
        money_back.list_refunds,
        "charge payment_intent amount reason metadata",
        "charge payment_intent",
    )
    _route("POST", "/v1/credit_notes", money_back.create_credit_note, "invoice amount memo reason metadata")
    _route("GET", "/v1/disputes", money_back.list_disputes, CURSOR + "charge payment_intent")
    _route("GET", "/v1/disputes/:id", money_back.retrieve_dispute)
    _route("POST", "/v1/disputes/:id", money_back.update_dispute, "evidence metadata submit")
    _route("POST", "/v1/disputes/:id/close", money_back.accept_dispute)
    transactions = CURSOR + "source type currency payout"
    _route("GET", "/v1/balance_transactions", money_back.list_transactions, transactions)
    _route("GET", "/v1/balance_transactions/:id", money_back.retrieve_transaction)
    _route("GET", "/v1/balance", money_back.balance)
    _route("GET", "/v1/account", account.account)
    _route("GET", "/v1/accounts", account.list_accounts, CURSOR)
    _route("GET", "/v1/accounts/:id", account.account)
    _route("GET", "/v1/events", account.list_events, CURSOR + "type types delivery_success")
    _route("GET", "/v1/events/:id", account.retrieve_event)
    endpoint = "url enabled_events description metadata "
    _crud(
        "/v1/webhook_endpoints",
        account.create_endpoint,
        account.retrieve_endpoint,
        account.list_endpoints,
        endpoint + "api_version connect",
        "",
    )
    _route("POST", "/v1/webhook_endpoints/:id", account.update_endpoint, endpoint + "disabled")
    _route("DELETE", "/v1/webhook_endpoints/:id", account.delete_endpoint)


def _replace_public(method: str, path: str, handler: Handler) -> None:
    shape = (method, path.split("/")[2], path.count("/"))
    _BY_SHAPE[shape] = [route for route in _BY_SHAPE[shape] if route.handler is not handler]
    ROUTES[:] = [route for route in ROUTES if route.handler is not handler]
    _route(method, path, handler, PUBLIC, public=True)


def _method_of(world: World, params: Params, customer_id: str, method_id: str) -> Obj:
    world.get("customer", customer_id, in_path=True)
    return world.get("payment_method", method_id, in_path=True)


def delete_customer(world: World, params: Params, customer_id: str) -> Obj:
    """Delete a customer: subscriptions end at once, cards are detached."""
    from .collection import end

    customer = world.get("customer", customer_id, in_path=True)
    for subscription in world.tables["subscription"].all(customer=customer_id):
        if subscription["status"] not in {"canceled", "incomplete_expired"}:
            end(world, subscription, "cancellation_requested")
    for method in world.tables["payment_method"].all(customer=customer_id):
        methods.detach(world, Params({}), method["id"])
    world.tables["customer"].remove(customer_id)
    world.deleted[customer_id] = "customer"
    world.emit("customer.deleted", customer)
    return {"id": customer_id, "object": "customer", "deleted": True}


_build()
