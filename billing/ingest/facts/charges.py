"""Owns the facts of charge.* and payment_intent.payment_failed: which invoice, which codes, what went back."""

from django.db.models import F
from django.db.models.functions import Greatest, Least
from django.utils.translation import gettext as _

from billing.fees.reopening import fees_reopen
from billing.gateways import JSON
from billing.ingest.facts.customers import lock_customer
from billing.ingest.facts.invoices import invoice_row, payment_link, write_invoice
from billing.ingest.facts.methods import fill_from_charge, method_row
from billing.ingest.facts.unit import Unit, moment, ref
from billing.matching import ChargeFact
from billing.models import Invoice, InvoiceStatus, Payment, PaymentAttempt
from billing.money import display
from billing.outcomes import charge_apply, charge_under_way
from billing.settling import payment_allocate
from customers.models import Customer


def write_charge(unit: Unit, obj: JSON) -> None:
    """Applies a charge that is done, or one that is under way for days (a bank debit)."""
    holder = ref(obj.get("customer"))
    if obj.get("status") not in {"succeeded", "failed", "pending"} or not holder:
        return
    customer = lock_customer(unit, holder)
    intent = ref(obj.get("payment_intent"))
    external_id = payment_link(unit, intent) if intent else ""
    invoice = invoice_row(unit, external_id) if external_id else None
    fact = _fact(unit, customer, obj)
    if obj["status"] == "pending":
        if invoice is not None:
            charge_under_way(invoice_id=invoice.pk, fact=fact, now=unit.now)
            unit.invoices.pop(external_id, None)
            unit.touched.add(invoice.pk)
        return
    if invoice is not None:
        invoice = _settled_document(unit, invoice)
        recorded = charge_apply(invoice_id=invoice.pk, fact=fact, now=unit.now)
        # charge_apply works on rows of its own.
        unit.invoices.pop(external_id, None)
        unit.touched.add(invoice.pk)
        if recorded.changed:
            unit.news.add(invoice.pk)
    elif fact.succeeded:
        _unclaimed(unit, customer, fact)
    if fact.succeeded and obj.get("amount_refunded"):
        # Refunds only grow, so the largest sum told is the latest.
        payments = Payment.objects.filter(source=unit.source, external_id=obj["id"])
        payments.update(refunded=Least(F("amount"), Greatest(F("refunded"), obj["amount_refunded"])))
        if obj["amount_refunded"] >= fact.amount:
            fees_reopen(source=unit.source, charge_id=obj["id"], why="Refunded", now=unit.now)


def write_intent_failure(unit: Unit, obj: JSON) -> None:
    """payment_intent.payment_failed: brings in the charge it names, unless that is known already."""
    error = obj.get("last_payment_error") or {}
    charge_id = ref(error.get("charge")) or ref(obj.get("latest_charge"))
    if charge_id and not PaymentAttempt.objects.filter(external_id=charge_id).exists():
        charge = unit.read("charge", charge_id)
        if charge is not None:
            write_charge(unit, charge)


def _fact(unit: Unit, customer: Customer, obj: JSON) -> ChargeFact:
    """What the charge object tells, in the words of billing.outcomes."""
    outcome = obj.get("outcome") or {}
    failed = obj["status"] == "failed"
    method = ref(obj.get("payment_method"))
    row = method_row(unit, method, customer, ref(obj.get("customer"))) if method else None
    if row is not None:
        fill_from_charge(row, obj)
    return ChargeFact(
        charge_id=obj["id"],
        succeeded=obj["status"] == "succeeded",
        amount=obj["amount"] if failed else obj.get("amount_captured") or obj["amount"],
        currency=obj["currency"].upper(),
        at=moment(obj["created"]),
        payment_method_id=row.pk if row is not None else None,
        decline_code=(outcome.get("reason") or obj.get("failure_code") or "") if failed else "",
        network_decline_code=(outcome.get("network_decline_code") or "") if failed else "",
        advice_code=(outcome.get("advice_code") or "") if failed else "",
        network_advice_code=(outcome.get("network_advice_code") or "") if failed else "",
        message=(obj.get("failure_message") or "") if failed else "",
        method_type=(obj.get("payment_method_details") or {}).get("type") or "",
    )


def _settled_document(unit: Unit, invoice: Invoice) -> Invoice:
    """The invoice with its final amount: a draft's may still change, and what is settled must not depend on order."""
    if invoice.status != InvoiceStatus.DRAFT:
        return invoice
    fresh = unit.read("invoice", invoice.external_id or "")
    return (write_invoice(unit, fresh) if fresh is not None else None) or invoice


def _unclaimed(unit: Unit, customer: Customer, fact: ChargeFact) -> None:
    """Money for no invoice of ours: kept as a payment that settles nothing."""
    Payment.objects.get_or_create(
        source=unit.source,
        external_id=fact.charge_id,
        defaults={
            "customer": customer,
            "amount": fact.amount,
            "currency": fact.currency,
            "received_at": fact.at or unit.now,
            "method": fact.method_type,
        },
    )


def write_refund(unit: Unit, obj: JSON) -> None:
    """charge.refunded: the charge as it is now, and the line of the log that only this event can date."""
    write_charge(unit, obj)
    payment = Payment.objects.filter(source=unit.source, external_id=obj["id"]).first()
    if payment is None:
        return
    refunded = obj["amount_refunded"]
    unit.log(
        payment.customer_id,
        "payment.refunded",
        _("Refunded: {amount}.").format(amount=display(refunded, payment.currency)),
        at=unit.stamp,
        key=f"{obj['id']}:refunded:{refunded}",
        subject=f"payment:{payment.pk}",
    )


def write_out_of_band(unit: Unit, invoice: Invoice, amount: int) -> None:
    """Money the processor was told of but did not move itself: what a paid invoice's charges do not explain."""
    at = invoice.paid_at or unit.stamp
    payment, _made = Payment.objects.get_or_create(
        source=unit.source,
        external_id=f"{invoice.external_id}:out_of_band",
        defaults={
            "customer_id": invoice.customer_id,
            "amount": amount,
            "currency": invoice.currency,
            "received_at": at,
            "method": "out_of_band",
        },
    )
    payment_allocate(payment=payment, invoice=invoice)
