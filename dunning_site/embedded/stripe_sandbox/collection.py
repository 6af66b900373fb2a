"""Owns collecting an invoice: each try to charge it, and what follows for subscription and customer."""

from __future__ import annotations

from .charges import card_error
from .errors import ApiError, bad_request
from .invoices import finalize, intent_of, set_status, subscription_id
from .issuers import DAY
from .payments import attempt
from .store import Obj
from .world import World, copy

SETTLED_BY = {
    "paid": {"past_due", "unpaid", "incomplete"},
    "void": {"past_due", "unpaid"},
    "uncollectible": {"past_due", "unpaid"},
}


def method_for(world: World, invoice: Obj) -> Obj | None:
    """The card Stripe would charge: the invoice's, the subscription's, then the customer's default."""
    chosen = invoice["default_payment_method"]
    subscription = world.find(subscription_id(invoice) or "")
    if chosen is None and subscription:
        chosen = subscription["default_payment_method"]
    if chosen is None:
        chosen = world.get("customer", invoice["customer"])["invoice_settings"]["default_payment_method"]
    return world.find(chosen) if chosen else None


def check_payable(invoice: Obj) -> None:
    """Refuse to pay what is settled or void."""
    if invoice["status"] == "paid":
        raise bad_request("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] == "void":
        raise bad_request("Voided invoices cannot be paid.", code="invoice_not_payable")


def pay(world: World, invoice: Obj, method: Obj | None, *, off_session: bool = True) -> None:
    """Try to pay, as the API's pay call does. Raises Stripe's error when that fails."""
    check_payable(invoice)
    if invoice["status"] == "draft":
        finalize(world, invoice)
    if invoice["amount_remaining"] <= 0:
        settle(world, invoice)
        return
    method = method or method_for(world, invoice)
    if method is None:
        raise bad_request(
            "This customer has no attached payment source or default payment method. Please consider adding a default "
            "payment method.",
            code="resource_missing",
        )
    charge = collect(world, invoice, method, off_session=off_session)
    if charge is None:
        raise ApiError(
            402,
            "Payment for this invoice requires additional user action before it can be completed successfully.",
            type="card_error",
            code="invoice_payment_intent_requires_action",
            payment_intent=copy(intent_of(world, invoice)),
        )
    if charge["status"] == "failed":
        raise card_error(world, charge, method)


def collect(
    world: World,
    invoice: Obj,
    method: Obj,
    *,
    off_session: bool = True,
    authenticated: bool = False,
    scheduled: bool = False,
) -> Obj | None:
    """Charge an open invoice once; returns the charge, or None when the customer must authenticate.

    The charge of a bank debit is pending; the invoice stays open until the bank answers.
    """
    intent = intent_of(world, invoice)
    if intent["status"] == "processing":
        raise bad_request(
            "This invoice has a payment that is still processing.", code="payment_intent_unexpected_state"
        )
    charge = attempt(world, intent, method, off_session=off_session, authenticated=authenticated)
    if charge is not None and charge["paid"]:
        settle(world, invoice, tried=True, scheduled=scheduled)
        return charge
    if charge is not None and charge["status"] == "pending":
        before = copy(invoice)
        _count(world, invoice, scheduled=scheduled)
        invoice["next_payment_attempt"] = None
        world.emit("invoice.updated", invoice, before)
        return charge
    reason = charge["outcome"]["reason"] if charge else None
    failed(world, invoice, action=charge is None, reason=reason, scheduled=scheduled)
    return charge


def automatic(world: World, invoice: Obj) -> None:
    """Stripe's own try on a finalized invoice; refusals are told by events only."""
    if invoice["status"] != "open":
        return
    if invoice["amount_remaining"] <= 0:
        settle(world, invoice)
        return
    method = method_for(world, invoice)
    if method is None:
        failed(world, invoice, action=False, reason=None, scheduled=True)
    else:
        collect(world, invoice, method, scheduled=True)


def _count(world: World, invoice: Obj, *, scheduled: bool) -> None:
    """Count a try; Stripe itself counts the first one and its own retries only."""
    if scheduled or not invoice["attempted"] or world.settings["count_manual_attempts"]:
        invoice["attempt_count"] += 1
    invoice["attempted"] = True


def settle(
    world: World, invoice: Obj, *, tried: bool = False, out_of_band: bool = False, scheduled: bool = False
) -> None:
    """Mark an invoice paid and tell everybody whom it concerns."""
    now, before, known = world.now(), copy(invoice), world.secret(invoice["id"])
    remaining = invoice["amount_remaining"]
    if tried:
        _count(world, invoice, scheduled=scheduled)
    invoice.update(amount_paid=invoice["amount_paid"] + remaining, amount_remaining=0, next_payment_attempt=None)
    invoice["status_transitions"]["paid_at"] = now
    invoice["auto_advance"] = False
    set_status(world, invoice, "paid")
    if "invoice_payment" in known:
        payment = world.get("invoice_payment", known["invoice_payment"])
        if out_of_band:
            payment["status"] = "canceled"
            payment["status_transitions"]["canceled_at"] = now
            intent = intent_of(world, invoice)
            intent.update(status="canceled", canceled_at=now, cancellation_reason="automatic")
            world.emit("payment_intent.canceled", intent)
        else:
            payment.update(status="paid", amount_paid=remaining)
            payment["status_transitions"]["paid_at"] = now
            world.emit("invoice_payment.paid", payment)
    world.emit("invoice.updated", invoice, before)
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)
    follow(world, invoice)


def failed(
    world: World,
    invoice: Obj,
    *,
    action: bool,
    reason: str | None,
    scheduled: bool = False,
    counted: bool = False,
) -> None:
    """Record a try that did not pay; a try by hand leaves Stripe's own schedule as it was.

    A debit was ``counted`` when it was ordered.
    """
    before = copy(invoice)
    planned = invoice["attempted"] and not scheduled and not counted
    if not counted:
        _count(world, invoice, scheduled=scheduled)
    exhausted = False if planned else _plan_next(world, invoice)
    world.emit("invoice.payment_failed", invoice)
    if action or reason == "authentication_required":
        world.emit("invoice.payment_action_required", invoice)
    world.emit("invoice.updated", invoice, before)
    follow(world, invoice, failed_now=True)
    if exhausted:
        _give_up(world, invoice)


def credit(world: World, intent: Obj) -> None:
    """An attached payment intent has succeeded: its invoice owes that much less."""
    known = world.secret(intent["id"])
    invoice, payment = world.get("invoice", known["attached"]), world.get("invoice_payment", known["invoice_payment"])
    before, amount = copy(invoice), payment["amount_requested"]
    payment.update(status="paid", amount_paid=amount)
    payment["status_transitions"]["paid_at"] = world.now()
    world.emit("invoice_payment.paid", payment)
    invoice["amount_paid"] += amount
    lower(world, invoice, amount)
    if invoice["amount_remaining"] > 0:
        world.emit("invoice.updated", invoice, before)
    else:
        settle(world, invoice, out_of_band=True)


def lower(world: World, invoice: Obj, amount: int) -> None:
    """Take `amount` off what is left to pay; the invoice's own payment follows, as Stripe keeps the two alike."""
    invoice["amount_remaining"] -= amount
    if invoice["amount_remaining"] > 0:
        intent_of(world, invoice)["amount"] = invoice["amount_remaining"]
        own = world.get("invoice_payment", world.secret(invoice["id"])["invoice_payment"])
        own["amount_requested"] = invoice["amount_remaining"]


def _plan_next(world: World, invoice: Obj) -> bool:
    """Set Stripe's own next try if its retries are on; returns whether they are used up."""
    invoice["next_payment_attempt"] = None
    automatic_ = invoice["auto_advance"] and invoice["collection_method"] == "charge_automatically"
    if world.settings["retries"] != "smart" or invoice["status"] != "open" or not automatic_:
        return False
    days = world.settings["retry_days"]
    if invoice["attempt_count"] > len(days):
        return True
    when = world.now() + int(days[invoice["attempt_count"] - 1] * DAY)
    invoice["next_payment_attempt"] = when
    world.at(when, "retry", invoice["id"])
    return False


def retry(world: World, invoice: Obj) -> None:
    """Stripe's own scheduled retry; skipped, though counted, when the bank said never to try this card again."""
    intent, method = intent_of(world, invoice), method_for(world, invoice)
    last = world.find(intent["latest_charge"] or "")
    same = last and method and last["payment_method"] == method["id"]
    if same and last and last["outcome"]["advice_code"] == "do_not_try_again":
        before = copy(invoice)
        invoice["attempt_count"] += 1
        exhausted = _plan_next(world, invoice)
        world.emit("invoice.updated", invoice, before)
        if exhausted:
            _give_up(world, invoice)
        return
    automatic(world, invoice)


def _give_up(world: World, invoice: Obj) -> None:
    subscription = world.find(subscription_id(invoice) or "")
    if subscription is None or subscription["status"] == "canceled":
        return
    if world.settings["after_retries"] == "cancel":
        end(world, subscription, "payment_failed")
    elif world.settings["after_retries"] == "unpaid":
        before = copy(subscription)
        subscription["status"] = "unpaid"
        world.emit("customer.subscription.updated", subscription, before)


def end(world: World, subscription: Obj, reason: str) -> None:
    """Cancel a subscription now and stop collecting its open invoices."""
    now = world.now()
    details = subscription["cancellation_details"] or {"comment": None, "feedback": None}
    subscription.update(status="canceled", ended_at=now, cancellation_details={**details, "reason": reason})
    subscription["canceled_at"] = subscription["canceled_at"] or now
    for invoice in world.tables["invoice"].all(customer=subscription["customer"]):
        if subscription_id(invoice) == subscription["id"] and invoice["status"] in {"open", "draft"}:
            before = copy(invoice)
            invoice.update(auto_advance=False, next_payment_attempt=None, automatically_finalizes_at=None)
            world.emit("invoice.updated", invoice, before)
    world.emit("customer.subscription.deleted", subscription)


def follow(world: World, invoice: Obj, *, failed_now: bool = False) -> None:
    """Let the state of an invoice decide that of its subscription and of its customer."""
    subscription = world.find(subscription_id(invoice) or "")
    if subscription is not None and subscription["latest_invoice"] == invoice["id"]:
        before = copy(subscription)
        status = subscription["status"]
        if invoice["status"] == "open" and failed_now and status in {"active", "trialing"}:
            subscription["status"] = "past_due"
        elif status in SETTLED_BY.get(invoice["status"], ()):
            subscription["status"] = "active"
        elif invoice["status"] == "void" and status == "incomplete":
            subscription.update(status="incomplete_expired", ended_at=world.now())
        world.emit("customer.subscription.updated", subscription, before)
    customer = world.tables["customer"].objects.get(invoice["customer"])
    if customer is not None:
        before = copy(customer)
        customer["delinquent"] = any(
            late["attempted"] or (late["due_date"] or 1 << 62) <= world.now()
            for late in world.tables["invoice"].all(customer=customer["id"], status="open")
        )
        world.emit("customer.updated", customer, before)
