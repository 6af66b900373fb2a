"""Facts from Stripe's objects: `apply_event` is the front door for events, `apply_object` for what was read.

Every writer is idempotent and indifferent to order; none talks to the processor (see unit.NeedsRead). To take in
another kind of event, add its type to `_WRITERS`.
"""

from collections.abc import Callable

from billing.gateways import JSON
from billing.ingest.facts.charges import write_charge, write_intent_failure, write_refund
from billing.ingest.facts.customers import write_customer
from billing.ingest.facts.disputes import write_dispute
from billing.ingest.facts.followup import announce, follow_up
from billing.ingest.facts.invoices import invoice_row, write_invoice, write_invoice_payment, write_links
from billing.ingest.facts.methods import setup_succeeded, write_method
from billing.ingest.facts.subscriptions import write_subscription
from billing.ingest.facts.unit import Fetched, NeedsRead, Unit, moment, ref
from billing.signals import announce_facts_changed
from customers.log import record_many

__all__ = [
    "REREAD",
    "SUBSCRIBE",
    "Fetched",
    "NeedsRead",
    "Unit",
    "apply_event",
    "apply_object",
    "customer_of",
    "finish",
    "handles",
]

#: Type of the events we put into the inbox ourselves, to look again at an invoice the processor could not tell of.
REREAD = "sollecito.reread"
_METHOD = "payment_method."


def _method(unit: Unit, event: JSON) -> None:
    previous = event["data"].get("previous_attributes")
    write_method(unit, event["data"]["object"], kind=event["type"].removeprefix(_METHOD), previous=previous)


def _subscription(unit: Unit, event: JSON) -> None:
    write_subscription(unit, event["data"]["object"], previous=event["data"].get("previous_attributes"))


def _invoice_failed(unit: Unit, event: JSON) -> None:
    write_invoice(unit, event["data"]["object"], failed_at=unit.stamp)


def _reread(unit: Unit, event: JSON) -> None:
    external_id = event["data"]["object"]["id"]
    obj = unit.read("invoice", external_id)
    row = write_invoice(unit, obj) if obj is not None else invoice_row(unit, external_id)
    if row is not None:
        unit.touched.add(row.pk)


def _of_object(writer: Callable[[Unit, JSON], object]) -> Callable[[Unit, JSON], object]:
    return lambda unit, event: writer(unit, event["data"]["object"])


#: Longest matching prefix wins; "" as the value's place means: known, of no interest.
_WRITERS: dict[str, Callable[[Unit, JSON], object]] = {
    "customer.created": _of_object(write_customer),
    "customer.updated": _of_object(write_customer),
    "customer.deleted": lambda unit, event: write_customer(unit, event["data"]["object"], deleted=True),
    "customer.subscription.": _subscription,
    "payment_method.attached": _method,
    "payment_method.updated": _method,
    "payment_method.automatically_updated": _method,
    "payment_method.detached": _method,
    "setup_intent.succeeded": _of_object(setup_succeeded),
    "invoice.created": _of_object(write_invoice),
    "invoice.updated": _of_object(write_invoice),
    "invoice.finalized": _of_object(write_invoice),
    "invoice.sent": _of_object(write_invoice),
    "invoice.overdue": _of_object(write_invoice),
    "invoice.paid": _of_object(write_invoice),
    "invoice.payment_succeeded": _of_object(write_invoice),
    "invoice.payment_failed": _invoice_failed,
    "invoice.payment_action_required": _of_object(write_invoice),
    "invoice.voided": _of_object(write_invoice),
    "invoice.marked_uncollectible": _of_object(write_invoice),
    "invoice_payment.": _of_object(write_invoice_payment),
    "charge.pending": _of_object(write_charge),
    "charge.succeeded": _of_object(write_charge),
    "charge.failed": _of_object(write_charge),
    "charge.updated": _of_object(write_charge),
    "charge.refunded": _of_object(write_refund),
    "charge.dispute.closed": lambda unit, event: write_dispute(unit, event["data"]["object"], closing=True),
    "charge.dispute.": _of_object(write_dispute),
    "payment_intent.payment_failed": _of_object(write_intent_failure),
    REREAD: _reread,
}
#: What a webhook endpoint should be subscribed to: everything we keep, told once. Other types we handle say the
#: same again (invoice.payment_succeeded and invoice.paid) and cost a request each.
SUBSCRIBE = (
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "payment_method.attached",
    "payment_method.updated",
    "payment_method.automatically_updated",
    "payment_method.detached",
    "setup_intent.succeeded",
    "invoice.finalized",
    "invoice.updated",
    "invoice.overdue",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice_payment.paid",
    "charge.pending",
    "charge.succeeded",
    "charge.failed",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "payment_intent.payment_failed",
)
_PREFIXES = tuple(name for name in _WRITERS if name.endswith("."))


def _writer(event_type: str) -> Callable[[Unit, JSON], object] | None:
    exact = _WRITERS.get(event_type)
    if exact is not None:
        return exact
    prefix = next((p for p in _PREFIXES if event_type.startswith(p)), None)
    return _WRITERS[prefix] if prefix else None


def handles(event_type: str) -> bool:
    """Whether an event of this type says anything we keep; others are stored as ignored."""
    return _writer(event_type) is not None


def customer_of(event: JSON) -> str:
    """External id of the customer an event is about, "" where it does not tell: events of one are worked together."""
    obj = event["data"]["object"]
    if obj.get("object") == "customer":
        return str(obj["id"])
    previous = event["data"].get("previous_attributes") or {}
    return ref(obj.get("customer")) or ref(previous.get("customer")) or ""


def apply_event(unit: Unit, event: JSON) -> None:
    """Writes what one event tells, in the caller's transaction. Raises NeedsRead."""
    writer = _writer(event["type"])
    if writer is not None:
        unit.stamp = moment(event["created"]) or unit.now
        writer(unit, event)


_BY_OBJECT: dict[str, Callable[[Unit, JSON], object]] = {
    "customer": lambda unit, obj: write_customer(unit, obj, deleted=bool(obj.get("deleted"))),
    "payment_method": write_method,
    "subscription": write_subscription,
    "invoice": write_invoice,
    "invoice_payment": write_invoice_payment,
    "charge": write_charge,
    "dispute": write_dispute,
}


def apply_object(unit: Unit, obj: JSON) -> None:
    """Writes an object that was read from the processor (back-fill, an answer to a call). Raises NeedsRead."""
    _BY_OBJECT[obj["object"]](unit, obj)


def finish(unit: Unit) -> None:
    """Ends a unit inside its transaction: follow-up, log, and the news for those who wait for it."""
    follow_up(unit)
    write_links(unit)
    announce(unit)
    record_many(unit.entries)
    announce_facts_changed(unit.reassess)
