"""Owns what a message needs just before it leaves: fresh facts of a batch in a constant number of queries."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from billing.fees import Owed, fees_owed
from billing.models import (
    Invoice,
    InvoiceStatus,
    PaymentMethod,
    Promise,
)
from billing.plans.offering import Offered, parts_named
from campaigns.addressing import readdress
from campaigns.channels.base import closed_channels
from campaigns.contacts import CONTACTS_REMEMBERED, NOTHING_LOGGED, Logged, logged
from campaigns.engine.load import NO_INVOICE
from campaigns.engine.one_clock import SOON, Hold
from campaigns.guard.book import PolicyBook
from campaigns.guard.overrides import current_book
from campaigns.guard.types import Contacted, GuardSnapshot
from campaigns.guard.zones import is_guess, zone_name
from campaigns.models import CaseInvoice, Message, MessagePurpose, MessageStatus
from campaigns.models.message import LOST, PENDING
from customers.addresses import normalise
from customers.consent import Pairs, address_facts
from customers.rows import rows

#: A promise broken longer ago is not what a message is about.
PROMISES_REMEMBERED = timedelta(days=60)
#: How soon a message is looked at again while another worker writes to the same customer.
BUSY = timedelta(minutes=1)
# Plain SQL: read with every batch, which at a small company is one message; composing each of these by the ORM costs
# more than running it.
_PLANS = "SELECT customer_id, brand_id FROM billing_paymentplan WHERE customer_id = ANY(%s) AND status = 'active'"
_PROMISES = """customer_id = ANY(%s)
    AND (status = 'open' AND expires_at > %s OR status = 'broken' AND expires_at > %s)
  ORDER BY expires_at, id"""
_ATTEMPTS = """
    SELECT invoice_id, status <> 'planned', scheduled_for FROM billing_paymentattempt
     WHERE invoice_id = ANY(%s) AND status IN ('planned', 'in_flight', 'unknown')
"""
_MADE = """
    SELECT id, customer_id, channel, COALESCE(sent_at, claimed_at), status FROM campaigns_message
     WHERE customer_id = ANY(%s) AND purpose = 'dunning' AND status <> ALL(%s) AND COALESCE(sent_at, claimed_at) > %s
     ORDER BY 4 DESC
"""


@dataclass(frozen=True, slots=True)
class Sending:
    """One message with all that deciding about it and writing it takes."""

    message: Message
    snapshot: GuardSnapshot
    #: Of the case: open ones that may be pressed for, oldest first; in a receipt those that were paid.
    invoices: tuple[Invoice, ...]
    cards: Mapping[int, PaymentMethod] = field(default_factory=dict)
    default_card: PaymentMethod | None = None
    next_retry_at: datetime | None = None
    #: Open fees of the invoices above.
    fees: tuple[Owed, ...] = ()
    broken_promise: Promise | None = None
    #: Paying in parts, where it is to be named.
    parts: Offered | None = None
    #: Why it may not leave at this moment, though the guard has nothing against it.
    hold: Hold | None = None


def load(message_ids: Collection[int], now: datetime) -> list[Sending]:
    """The messages of a batch, oldest due first, each with facts as they are now."""
    messages = list(
        Message.objects.filter(pk__in=message_ids)
        .select_related(
            "customer",
            "brand",
            "contact",
            "case__ladder_version",
            "case__owner",
            "case__subscription",
            "step_run__step",
            "template_version__template",
        )  # fmt: skip
        .order_by("send_at", "id")
    )
    readdress(messages)
    return sendings(messages, now)


def sendings(messages: Sequence[Message], now: datetime) -> list[Sending]:
    """The same for messages at hand with their relations loaded; they need not be saved (previews, calls)."""
    customer_ids = {message.customer_id for message in messages}
    invoices = _invoices({message.case_id for message in messages})
    cards = _cards(customer_ids)
    fees = fees_owed({invoice.pk for own in invoices.values() for invoice in own})
    planned, charging = _attempts(invoice.pk for own in invoices.values() for invoice in own)
    suppressed, granted = address_facts({normalise(m.channel, m.recipient, m.customer.country) for m in messages})
    book, closed = current_book(), closed_channels()
    contacts, busy = _contacts(customer_ids, {message.pk for message in messages}, now)
    talked = logged(customer_ids, now)
    promised, broken = _promises(customer_ids, now)
    in_plan = _in_plan(customer_ids)
    parts = parts_named(invoices=[row for own in invoices.values() for row in own if _pressed(row)], now=now)
    found = []
    for message in messages:
        own = invoices.get(message.case_id, [])
        unpaid = [row for row in own if _unpaid(row)]
        pressed = [row for row in own if _pressed(row)]
        pair = (message.customer_id, message.brand_id)
        about = pressed
        if message.purpose == MessagePurpose.RECEIPT:
            about = [row for row in own if row.status == InvoiceStatus.PAID]
        found.append(
            Sending(
                message=message,
                snapshot=_snapshot(
                    message,
                    promised=pair in promised,
                    in_plan=not pressed and (pair in in_plan or any(row.in_plan for row in unpaid)),
                    disputed=not pressed and any(row.disputed_at is not None for row in unpaid),
                    owes=bool(unpaid) or message.case.trigger in NO_INVOICE,
                    suppressed=suppressed,
                    granted=granted,
                    book=book,
                    closed=closed,
                    contacts=tuple(c for pk, c in contacts.get(message.customer_id, ()) if pk != message.pk),
                    spoken=talked.get(message.customer_id, NOTHING_LOGGED),
                ),
                invoices=tuple(sorted(about, key=lambda row: (since(row) or now, row.pk))),
                cards=cards.get(message.customer_id, {}),
                default_card=next((c for c in cards.get(message.customer_id, {}).values() if c.is_default), None),
                broken_promise=broken.get(pair),
                parts=parts.get(pair) if message.purpose != MessagePurpose.RECEIPT else None,
                fees=tuple(fee for row in about for fee in fees.get(row.pk, ())),
                next_retry_at=min((planned[row.pk] for row in about if row.pk in planned), default=None),
                hold=_hold(message, bool(charging & {row.pk for row in unpaid}), message.customer_id in busy, now),
            )
        )
    return found


def _unpaid(invoice: Invoice) -> bool:
    return invoice.status == InvoiceStatus.OPEN and invoice.balance > 0


def _pressed(invoice: Invoice) -> bool:
    """Whether it is unpaid and may be pressed for."""
    return _unpaid(invoice) and invoice.disputed_at is None and not invoice.in_plan


def _hold(message: Message, charging: bool, busy: bool, now: datetime) -> Hold | None:
    """What a message that asks for money waits for: a charge under way, or another worker at the same customer."""
    if message.purpose == MessagePurpose.RECEIPT:
        return None
    if charging:
        return Hold(now + SOON, "one_clock.charging", _("A charge is under way."))
    if busy:
        return Hold(now + BUSY, "customer.busy", _("Another message to this customer is just leaving."))
    return None


def since(invoice: Invoice) -> datetime | None:
    """Moment an invoice counts as unpaid from: its first failure, else its due date."""
    return invoice.first_failed_at or invoice.due_at


def _snapshot(
    message: Message,
    *,
    promised: bool,
    in_plan: bool,
    disputed: bool,
    owes: bool,
    suppressed: Pairs,
    granted: Pairs,
    book: PolicyBook,
    closed: Mapping[str, str],
    contacts: tuple[Contacted, ...],
    spoken: Logged,
) -> GuardSnapshot:
    customer = message.customer
    return GuardSnapshot(
        customer_id=customer.pk,
        kind=customer.kind,
        country=customer.country,
        zone=zone_name(timezone=customer.timezone, country=customer.country, brand_timezone=message.brand.timezone),
        zone_is_guess=is_guess(timezone=customer.timezone, country=customer.country),
        case_state=message.case.state,
        deleted=customer.deleted_at is not None,
        no_dunning=customer.no_dunning,
        do_not_contact=customer.do_not_contact,
        legal_hold=customer.legal_hold,
        bankrupt=customer.bankrupt,
        vulnerable=customer.vulnerable,
        promised=promised,
        in_plan=in_plan,
        disputed=disputed,
        owes=owes,
        addresses={message.channel: message.recipient},
        suppressed=suppressed,
        granted=granted,
        brand_id=message.brand_id,
        collector=message.brand.collects_for_others,
        book=book,
        closed=closed,
        contacts=(*contacts, *spoken.made),
        talks=spoken.talks,
        min_gap_hours=message.case.ladder_version.min_gap_hours,
        purpose=message.purpose,
    )


def _invoices(case_ids: set[int]) -> dict[int, list[Invoice]]:
    of: dict[int, list[Invoice]] = defaultdict(list)
    # Those that left unpaid (voided, moved) are no business of a message; those paid are a receipt's.
    for link in CaseInvoice.objects.filter(
        Q(left_at__isnull=True) | Q(invoice__status=InvoiceStatus.PAID), case_id__in=case_ids
    ).select_related("invoice__subscription"):
        of[link.case_id].append(link.invoice)
    return of


def _cards(customer_ids: set[int]) -> dict[int, dict[int, PaymentMethod]]:
    cards: dict[int, dict[int, PaymentMethod]] = defaultdict(dict)
    for method in rows(PaymentMethod, "customer_id = ANY(%s) AND detached_at IS NULL", [list(customer_ids)]):
        if method.customer_id is not None:
            cards[method.customer_id][method.pk] = method
    return cards


def _in_plan(customer_ids: set[int]) -> set[tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_PLANS, [list(customer_ids)])
        return set(cursor.fetchall())


def _promises(customer_ids: set[int], now: datetime) -> tuple[set[tuple[int, int]], dict[tuple[int, int], Promise]]:
    """Pairs of customer and brand with a promise that stands, and the latest broken promise of the others."""
    standing: set[tuple[int, int]] = set()
    broken: dict[tuple[int, int], Promise] = {}
    for promise in rows(Promise, _PROMISES, [list(customer_ids), now, now - PROMISES_REMEMBERED]):
        pair = (promise.customer_id, promise.brand_id)
        if promise.status == Promise.Status.OPEN:
            standing.add(pair)
        else:
            broken[pair] = promise
    return standing, broken


def _attempts(invoice_ids: Iterable[int]) -> tuple[dict[int, datetime], set[int]]:
    """When the next charge of an invoice is planned, and the invoices one is under way of."""
    planned: dict[int, datetime] = {}
    charging: set[int] = set()
    with connection.cursor() as cursor:
        cursor.execute(_ATTEMPTS, [list(invoice_ids)])
        attempts = cursor.fetchall()
    for invoice_id, under_way, at in attempts:
        if under_way:
            charging.add(invoice_id)
        elif at is not None:
            planned[invoice_id] = at
    return planned, charging


def _contacts(
    customer_ids: set[int], own: set[int], now: datetime
) -> tuple[dict[int, list[tuple[int, Contacted]]], set[int]]:
    """Messages handed over, or perhaps handed over, newest first; those still to go are not contacts yet. And the
    customers another worker is writing to: of two workers with a message each, at least one sees the other's claim,
    as each claims before it reads."""
    made: dict[int, list[tuple[int, Contacted]]] = defaultdict(list)
    busy: set[int] = set()
    unheard = (LOST | PENDING) - {MessageStatus.SENDING}
    with connection.cursor() as cursor:
        cursor.execute(_MADE, [list(customer_ids), [str(status) for status in unheard], now - CONTACTS_REMEMBERED])
        found = cursor.fetchall()
    for pk, customer_id, channel, at, status in found:
        if status != MessageStatus.SENDING:
            made[customer_id].append((pk, Contacted(channel, at)))
        elif pk not in own:
            busy.add(customer_id)
    return made, busy
