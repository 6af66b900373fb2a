"""Owns money that goes back: refunds and disputes, and the calls that read charges and balance."""

from __future__ import annotations

from typing import Any

from .charges import book, record_money
from .collection import lower, settle
from .errors import ApiError, bad_request
from .issuers import DAY
from .listing import list_objects
from .params import Params, merge_metadata
from .store import Obj
from .world import World, copy

EVIDENCE = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
]


def create_credit_note(world: World, params: Params) -> Obj:
    """Take ``amount`` minor units off what is left to pay on an open invoice; in full it counts as paid."""
    invoice = world.get("invoice", params.need("invoice"), "invoice")
    amount = params.need_integer("amount")
    if invoice["status"] != "open":
        raise bad_request("You can only create a credit note for an open invoice here.", param="invoice")
    if not 0 < amount <= invoice["amount_remaining"]:
        raise bad_request("The credit note's amount is more than is left to pay.", param="amount")
    note = world.add(
        {
            "id": world.new_id("cn"),
            "object": "credit_note",
            "amount": amount,
            "created": world.now(),
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "invoice": invoice["id"],
            "livemode": False,
            "memo": params.text("memo"),
            "metadata": merge_metadata({}, params),
            "post_payment_amount": 0,
            "pre_payment_amount": amount,
            "reason": params.text("reason"),
            "status": "issued",
            "type": "pre_payment",
        }
    )
    before = copy(invoice)
    invoice["amount_due"] -= amount
    invoice["pre_payment_credit_notes_amount"] += amount
    lower(world, invoice, amount)
    world.emit("credit_note.created", note)
    if invoice["amount_remaining"] > 0:
        world.emit("invoice.updated", invoice, before)
    else:
        settle(world, invoice, out_of_band=True)
    return note


def create_refund(world: World, params: Params) -> Obj:
    """Give back ``amount`` minor units (default: all that is left) of a charge."""
    charge_id = params.text("charge")
    intent_id = params.text("payment_intent")
    if charge_id is None and intent_id is not None:
        charge_id = world.get("payment_intent", intent_id, "payment_intent")["latest_charge"]
    if charge_id is None:
        raise bad_request("One of the following params should be provided: charge, payment_intent.")
    charge = world.get("charge", charge_id, "charge")
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = params.integer("amount", left) or 0
    if left <= 0:
        raise bad_request(f"Charge {charge_id} has already been refunded.", code="charge_already_refunded")
    if not 0 < amount <= left:
        raise bad_request("Refund amount is greater than unrefunded amount on charge.", param="amount")
    before = copy(charge)
    refund: Obj = {
        "id": world.new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge_id,
        "created": world.now(),
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": merge_metadata({}, params),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": params.text("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    world.add(refund)
    refund["balance_transaction"] = book(world, refund, -amount, 0, "refund")["id"]
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] >= charge["amount_captured"]
    record_money(world, "refund", charge, -amount)
    world.emit("refund.created", refund)
    world.emit("charge.refunded", charge, before)
    return refund


def retrieve_refund(world: World, params: Params, refund_id: str) -> Obj:
    """One refund."""
    return world.get("refund", refund_id, in_path=True)


def list_refunds(world: World, params: Params) -> Obj:
    """Refunds, newest first."""
    return list_objects(world, "refund", params, "/v1/refunds", "charge", "payment_intent")


def charge_refunds(world: World, params: Params, charge_id: str) -> Obj:
    """The refunds of one charge."""
    world.get("charge", charge_id, in_path=True)
    return list_objects(world, "refund", params, f"/v1/charges/{charge_id}/refunds", charge=charge_id)


def _of_card(charge: Obj) -> Obj:
    card = charge["payment_method_details"].get("card")
    if card is None:
        return {}
    told = {"brand": card["brand"], "case_type": "chargeback", "network": card["network"]}
    return {"card": told | {"network_reason_code": "10.4"}}


def open_dispute(world: World, data: dict[str, Any]) -> Obj:
    """A cardholder disputes a charge (control call): the money leaves at once, with a fee."""
    charge = world.get("charge", str(data.get("charge", "")), "charge")
    if not charge["paid"] or charge["disputed"]:
        raise bad_request("This charge cannot be disputed.", param="charge")
    amount, now = int(data.get("amount") or charge["amount"]), world.now()
    dispute: Obj = {
        "id": world.new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": now + 14 * DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            **_of_card(charge),
            "type": charge["payment_method_details"]["type"],
        },
        "reason": str(data.get("reason", "fraudulent")),
        "status": "needs_response",
    }
    world.add(dispute)
    dispute["balance_transactions"].append(book(world, dispute, -amount, 1500, "adjustment"))
    before = copy(charge)
    charge["disputed"] = True
    record_money(world, "dispute", charge, -amount)
    world.emit("charge.dispute.created", dispute)
    world.emit("charge.dispute.funds_withdrawn", dispute)
    world.emit("charge.updated", charge, before)
    return dispute


def close_dispute(world: World, dispute_id: str, *, won: bool) -> Obj:
    """The bank decides; when we win the money comes back."""
    dispute = world.get("dispute", dispute_id, in_path=True)
    if dispute["status"] in {"won", "lost"}:
        raise ApiError(400, "This dispute is already closed.", code="dispute_already_closed")
    dispute["status"] = "won" if won else "lost"
    if won:
        charge = world.get("charge", dispute["charge"])
        dispute["balance_transactions"].append(book(world, dispute, dispute["amount"], 0, "adjustment"))
        record_money(world, "dispute_won", charge, dispute["amount"])
        world.emit("charge.dispute.funds_reinstated", dispute)
    world.emit("charge.dispute.closed", dispute)
    return dispute


def accept_dispute(world: World, params: Params, dispute_id: str) -> Obj:
    """The API's close call: we give in, the dispute is lost."""
    return close_dispute(world, dispute_id, won=False)


def update_dispute(world: World, params: Params, dispute_id: str) -> Obj:
    """Add evidence; with ``submit`` the dispute goes under review."""
    dispute = world.get("dispute", dispute_id, in_path=True)
    before = copy(dispute)
    for name, value in params.mapping("evidence").items():
        if name not in EVIDENCE:
            raise bad_request(f"Received unknown parameter: evidence[{name}]", code="parameter_unknown")
        dispute["evidence"][name] = value or None
        dispute["evidence_details"]["has_evidence"] = True
    dispute["metadata"] = merge_metadata(dispute["metadata"], params)
    if "evidence" in params and params.boolean("submit", True):
        dispute["status"] = "under_review"
        dispute["evidence_details"]["submission_count"] += 1
    world.emit("charge.dispute.updated", dispute, before)
    return dispute


def retrieve_dispute(world: World, params: Params, dispute_id: str) -> Obj:
    """One dispute."""
    return world.get("dispute", dispute_id, in_path=True)


def list_disputes(world: World, params: Params) -> Obj:
    """Disputes, newest first."""
    return list_objects(world, "dispute", params, "/v1/disputes", "charge", "payment_intent")


def retrieve_charge(world: World, params: Params, charge_id: str) -> Obj:
    """One charge."""
    return world.get("charge", charge_id, in_path=True)


def update_charge(world: World, params: Params, charge_id: str) -> Obj:
    """Change description or metadata of a charge."""
    charge = world.get("charge", charge_id, in_path=True)
    before = copy(charge)
    if "description" in params:
        charge["description"] = params.text("description")
    charge["metadata"] = merge_metadata(charge["metadata"], params)
    world.emit("charge.updated", charge, before)
    return charge


def list_charges(world: World, params: Params) -> Obj:
    """Charges, newest first."""
    return list_objects(world, "charge", params, "/v1/charges", "customer", "payment_intent")


def retrieve_transaction(world: World, params: Params, transaction_id: str) -> Obj:
    """One balance transaction."""
    return world.get("balance_transaction", transaction_id, in_path=True)


def list_transactions(world: World, params: Params) -> Obj:
    """Balance transactions, newest first."""
    return list_objects(world, "balance_transaction", params, "/v1/balance_transactions", "source", "type", "currency")


def balance(world: World, params: Params) -> Obj:
    """The money on the account, per currency, in minor units."""
    totals: dict[str, int] = {}
    for entry in world.tables["balance_transaction"].objects.values():
        totals[entry["currency"]] = totals.get(entry["currency"], 0) + entry["net"]
    amounts = [
        {"amount": amount, "currency": currency, "source_types": {"card": amount}}
        for currency, amount in sorted((totals or {"usd": 0}).items())
    ]
    none = [{**entry, "amount": 0, "source_types": {"card": 0}} for entry in amounts]
    return {"object": "balance", "available": amounts, "livemode": False, "pending": none}
