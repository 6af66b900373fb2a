"""Owns invoices as documents: drafts, finalization, what pays them, voiding and writing off."""

from __future__ import annotations

from .errors import bad_request
from .issuers import DAY
from .listing import page
from .payments import new_intent
from .store import Obj
from .world import World, copy


def new_invoice(
    world: World,
    customer: Obj,
    *,
    currency: str,
    reason: str,
    collection_method: str = "charge_automatically",
    subscription: Obj | None = None,
    auto_advance: bool = True,
    days_until_due: int | None = None,
    due_date: int | None = None,
    period: tuple[int, int] | None = None,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
    default_payment_method: str | None = None,
) -> Obj:
    """Add a draft; the caller adds lines and says ``announce``."""
    invoice_id, now = world.new_id("in"), world.now()
    customer["currency"] = customer["currency"] or currency
    parent = None
    if subscription is not None:
        details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    start, end = period or (now, now)
    invoice: Obj = {
        "id": invoice_id,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Sollecito sandbox",
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": auto_advance,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": reason,
        "collection_method": collection_method,
        "created": now,
        "currency": currency,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": None,
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "default_payment_method": default_payment_method,
        "default_source": None,
        "default_tax_rates": [],
        "description": description,
        "discounts": [],
        "due_date": due_date,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": page(f"/v1/invoices/{invoice_id}/lines", []),
        "livemode": False,
        "metadata": metadata or {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": parent,
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": end,
        "period_start": start,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
    }
    return world.add(invoice, days_until_due=days_until_due)


def announce(world: World, invoice: Obj) -> None:
    """Tell of a new draft and put its finalization on the calendar."""
    if invoice["auto_advance"]:
        due = world.now() + int(world.settings["finalize_after"])
        invoice["automatically_finalizes_at"] = due
        if invoice["collection_method"] == "charge_automatically":
            invoice["next_payment_attempt"] = due
        world.at(due, "finalize", invoice["id"])
    world.emit("invoice.created", invoice)


def finalize(world: World, invoice: Obj) -> None:
    """Turn a draft into an open invoice with a number, links and its one payment intent."""
    if invoice["status"] != "draft":
        raise bad_request("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    now = world.now()
    customer = world.get("customer", invoice["customer"])
    invoice["number"] = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    customer["next_invoice_sequence"] += 1
    link = f"{world.base_url}/i/{world.token(invoice['id'], 'hosted', length=32)}"
    world.secret(invoice["id"])["token"] = link.rsplit("/", 1)[1]
    set_status(world, invoice, "open")
    if invoice["collection_method"] == "send_invoice" and invoice["due_date"] is None:
        days = world.secret(invoice["id"]).get("days_until_due")
        invoice["due_date"] = now + (30 if days is None else days) * DAY
    invoice.update(
        effective_at=now,
        ending_balance=0,
        hosted_invoice_url=link,
        invoice_pdf=f"{link}/pdf",
        automatically_finalizes_at=None,
        next_payment_attempt=None,
    )
    invoice["status_transitions"]["finalized_at"] = now
    if invoice["due_date"] is not None:
        world.at(invoice["due_date"], "due_date", invoice["id"])
    if invoice["amount_due"] > 0:
        _add_intent(world, invoice)
    world.emit("invoice.finalized", invoice)


def _add_intent(world: World, invoice: Obj) -> None:
    reasons = {"subscription_create": "Subscription creation", "subscription_cycle": "Subscription update"}
    intent = new_intent(
        world,
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        customer=invoice["customer"],
        description=reasons.get(invoice["billing_reason"], f"Payment for Invoice {invoice['number']}"),
        invoice=invoice["id"],
        setup_future_usage="off_session" if subscription_id(invoice) else None,
    )
    payment = add_payment(world, invoice, intent, default=True)
    world.secret(invoice["id"]).update(payment_intent=intent["id"], invoice_payment=payment["id"])


def add_payment(world: World, invoice: Obj, intent: Obj, *, default: bool) -> Obj:
    """What ties a payment intent to the invoice it pays, wholly or in part."""
    return world.add(
        {
            "id": world.new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": intent["amount"],
            "created": world.now(),
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": default,
            "livemode": False,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        }
    )


def subscription_id(invoice: Obj) -> str | None:
    """The subscription an invoice belongs to."""
    parent = invoice["parent"]
    return parent["subscription_details"]["subscription"] if parent else None


def intent_of(world: World, invoice: Obj) -> Obj:
    """The payment intent of a finalized invoice."""
    return world.get("payment_intent", world.secret(invoice["id"])["payment_intent"])


def set_status(world: World, invoice: Obj, status: str) -> None:
    """Change the status, and the index that lists by it."""
    invoice["status"] = status
    world.tables["invoice"].reindex(invoice)


def close(world: World, invoice: Obj, status: str) -> None:
    """Void an invoice or mark it uncollectible."""
    now, before = world.now(), copy(invoice)
    invoice["next_payment_attempt"] = None
    set_status(world, invoice, status)
    if status == "void":
        invoice["status_transitions"]["voided_at"] = now
        invoice.update(amount_remaining=invoice["amount_remaining"])
        known = world.secret(invoice["id"])
        if "payment_intent" in known:
            intent = intent_of(world, invoice)
            if intent["status"] not in {"succeeded", "canceled", "processing"}:
                intent.update(status="canceled", canceled_at=now, cancellation_reason="void_invoice")
                world.emit("payment_intent.canceled", intent)
            payment = world.get("invoice_payment", known["invoice_payment"])
            payment["status"] = "canceled"
            payment["status_transitions"]["canceled_at"] = now
        world.emit("invoice.voided", invoice)
    else:
        invoice["status_transitions"]["marked_uncollectible_at"] = now
        world.emit("invoice.marked_uncollectible", invoice)
    world.emit("invoice.updated", invoice, before)
