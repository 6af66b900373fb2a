"""Owns the account object, events as the API shows them, and webhook endpoints."""

from __future__ import annotations

import json
from itertools import islice

from .errors import bad_request, no_such
from .listing import created_bounds, list_objects, page
from .params import Params, merge_metadata
from .store import Obj
from .world import API_VERSION, World, copy

ACCOUNT_ID = "acct_1SandboxSollecito00"


def account(world: World, params: Params, account_id: str = ACCOUNT_ID) -> Obj:
    """The one account of the sandbox."""
    if account_id != ACCOUNT_ID:
        raise no_such("account", account_id, param="id", in_path=True)
    nothing: Obj = {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": [],
        "disabled_reason": None,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
        "pending_verification": [],
    }
    return {
        "id": ACCOUNT_ID,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": None,
            "mcc": "5734",
            "minority_owned_business_designation": None,
            "name": "Sollecito sandbox",
            "product_description": None,
            "support_address": None,
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "US",
        "created": 1_700_000_000,
        "default_currency": "usd",
        "details_submitted": True,
        "email": "sandbox@example.com",
        "external_accounts": page(f"/v1/accounts/{ACCOUNT_ID}/external_accounts", []),
        "future_requirements": nothing,
        "metadata": {},
        "payouts_enabled": True,
        "requirements": nothing,
        "settings": {
            "bacs_debit_payments": {"display_name": None, "service_user_number": None},
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
            "card_payments": {
                "decline_on": {"avs_failure": False, "cvc_failure": False},
                "statement_descriptor_prefix": None,
                "statement_descriptor_prefix_kana": None,
                "statement_descriptor_prefix_kanji": None,
            },
            "dashboard": {"display_name": "Sollecito sandbox", "timezone": "Etc/UTC"},
            "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "offer"},
            "payments": {
                "statement_descriptor": "SOLLECITO",
                "statement_descriptor_kana": None,
                "statement_descriptor_kanji": None,
                "statement_descriptor_prefix_kana": None,
                "statement_descriptor_prefix_kanji": None,
            },
            "payouts": {
                "debit_negative_balances": True,
                "schedule": {"delay_days": 2, "interval": "daily"},
                "statement_descriptor": None,
            },
            "sepa_debit_payments": {},
        },
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "standard",
    }


def list_accounts(world: World, params: Params) -> Obj:
    """Connected accounts: there are none."""
    return page("/v1/accounts", [])


def retrieve_event(world: World, params: Params, event_id: str) -> Obj:
    """One event, with the object as it was."""
    event = world.events.get(event_id)
    if event is None:
        raise no_such("event", event_id, param="id", in_path=True)
    return json.loads(event["raw"])  # type: ignore[no-any-return]


def list_events(world: World, params: Params) -> Obj:
    """Events, newest first; filters: type (with ``*``), types, created."""
    limit = params.integer("limit", 10) or 10
    kind, kinds = params.text("type"), params.texts("types")
    lowest, highest = created_bounds(params)
    order = list(world.event_order)
    starting, ending = params.text("starting_after"), params.text("ending_before")
    for cursor, name in ((starting, "starting_after"), (ending, "ending_before")):
        if cursor is not None and cursor not in world.events:
            raise bad_request(f"No such event: '{cursor}'", param=name, code="resource_missing")
    if starting is not None:
        order = order[: order.index(starting)]
    if ending is not None:
        order = order[order.index(ending) + 1 :]

    def wanted(event_id: str) -> bool:
        event = world.events[event_id]
        fits = kind is None or event["type"] == kind or (kind.endswith("*") and event["type"].startswith(kind[:-1]))
        fits = fits and (not kinds or event["type"] in kinds)
        return fits and (lowest or 0) <= event["created"] <= (1 << 62 if highest is None else highest)

    found = list(islice(filter(wanted, order if ending else reversed(order)), limit + 1))
    chosen = found[:limit][::-1] if ending else found[:limit]
    return page("/v1/events", [json.loads(world.events[each]["raw"]) for each in chosen], has_more=len(found) > limit)


def create_endpoint(world: World, params: Params, *, secret: str | None = None) -> Obj:
    """Register a webhook endpoint; the secret is shown in this answer only."""
    kinds = params.texts("enabled_events")
    if not kinds:
        raise bad_request("Missing required param: enabled_events.", param="enabled_events", code="parameter_missing")
    endpoint: Obj = {
        "id": world.new_id("we"),
        "object": "webhook_endpoint",
        "api_version": params.text("api_version", API_VERSION),
        "application": None,
        "created": world.now(),
        "description": params.text("description"),
        "enabled_events": kinds,
        "livemode": False,
        "metadata": merge_metadata({}, params),
        "status": "enabled",
        "url": params.need("url"),
    }
    secret = secret or f"whsec_{world.token(endpoint['id'], 'secret', length=32)}"
    world.add(endpoint, secret=secret)
    return {**endpoint, "secret": secret}


def update_endpoint(world: World, params: Params, endpoint_id: str) -> Obj:
    """Change a webhook endpoint."""
    endpoint = world.get("webhook_endpoint", endpoint_id, in_path=True)
    for name in ("url", "description"):
        if name in params:
            endpoint[name] = params.text(name)
    if "enabled_events" in params:
        endpoint["enabled_events"] = params.texts("enabled_events")
    if "disabled" in params:
        endpoint["status"] = "disabled" if params.boolean("disabled") else "enabled"
    endpoint["metadata"] = merge_metadata(endpoint["metadata"], params)
    return copy(endpoint)


def retrieve_endpoint(world: World, params: Params, endpoint_id: str) -> Obj:
    """One webhook endpoint."""
    return world.get("webhook_endpoint", endpoint_id, in_path=True)


def list_endpoints(world: World, params: Params) -> Obj:
    """Webhook endpoints."""
    return list_objects(world, "webhook_endpoint", params, "/v1/webhook_endpoints")


def delete_endpoint(world: World, params: Params, endpoint_id: str) -> Obj:
    """Forget a webhook endpoint and what was still to be delivered to it."""
    world.get("webhook_endpoint", endpoint_id, in_path=True)
    world.tables["webhook_endpoint"].remove(endpoint_id)
    kept = [entry for entry in world.outbox if entry["endpoint"] != endpoint_id]
    world.outbox.clear()
    world.outbox.extend(kept)
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}
