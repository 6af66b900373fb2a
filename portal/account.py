"""Owns reading what the payment page shows: everything a customer owes a brand, in a constant number of queries."""

from collections.abc import Iterable
from datetime import date, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from babel.dates import format_date
from django.db.models import F, QuerySet

from billing import money
from billing.fees import fees_owed_by
from billing.models import (
    AttemptStatus,
    Invoice,
    InvoiceStatus,
    PaymentAttempt,
    PaymentMethod,
    ProcessorAccount,
    Promise,
)
from billing.retries.declines import classify
from billing.retries.taxonomy import AsksFor
from campaigns.rendering.reasons import decline_told
from customers.models import Customer
from portal.fees import fee_lines, fees_to_pay, last_press, offers_of, sums_of
from portal.models import PortalLink
from portal.owed import Account, Card, Group, Item, Standing, Way

#: How many invoices that were paid of late the thank-you page names.
RECENT = 5


def zone_of(customer: Customer) -> ZoneInfo:
    """The time zone dates are shown in. Reads customer.brand."""
    return ZoneInfo(customer.timezone or customer.brand.timezone)


def day(moment: datetime | date | None, customer: Customer, language: str) -> str:
    """A date as people of `language` write it, in the customer's zone; empty for none."""
    if moment is None:
        return ""
    local = moment.astimezone(zone_of(customer)).date() if isinstance(moment, datetime) else moment
    return str(format_date(local, format="long", locale=language))


def open_invoices(link: PortalLink) -> QuerySet[Invoice]:
    """What the customer owes the brand of `link`, oldest first."""
    return (
        Invoice.objects.filter(
            customer_id=link.customer_id, brand_id=link.brand_id, status=InvoiceStatus.OPEN, balance__gt=0
        )
        .select_related("subscription")
        .order_by("currency", F("due_at").asc(nulls_last=True), "id")
    )


def chargeable(invoice: Invoice, sources: Iterable[str]) -> bool:
    """Whether a processor can charge this invoice; those from a file can only be paid as the biller says."""
    return invoice.external_id is not None and invoice.source in sources


def processor_sources() -> frozenset[str]:
    """Sources whose invoices can be charged."""
    return frozenset(ProcessorAccount.objects.values_list("code", flat=True))


def read_account(*, link: PortalLink, now: datetime, language: str, chosen: int | None = None) -> Account:
    """Reads the page; `chosen` ticks one invoice only (a link in a mail may name it). Reads link.customer.brand."""
    customer = link.customer
    invoices = list(open_invoices(link))
    sources = processor_sources()
    attempts: dict[tuple[int, bool], PaymentAttempt] = {}
    pending = [AttemptStatus.PLANNED, AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN]
    for attempt in PaymentAttempt.objects.filter(invoice_id__in=[i.pk for i in invoices], status__in=pending):
        attempts[attempt.invoice_id, attempt.status == AttemptStatus.PLANNED] = attempt
    promise = Promise.objects.filter(customer=customer, brand_id=link.brand_id, status=Promise.Status.OPEN).first()
    fees = fees_owed_by(customer_id=link.customer_id, brand_id=link.brand_id)
    method = stored_method(customer.pk)
    card = _card(method, now)
    # Invoices of a duplicate that was merged: this card cannot pay them, their own page at the processor can.
    held_as = method.held_as if method is not None else ""
    open_ids = {i.pk for i in invoices}
    if chosen not in open_ids:
        chosen = None

    def item(invoice: Invoice) -> Item:
        planned = attempts.get((invoice.pk, True))
        next_try = planned.scheduled_for if planned else invoice.processor_next_attempt_at
        verdict, category = classify(decline_code=invoice.last_decline_code), invoice.last_decline_category
        told = decline_told(verdict=verdict, category=category, language=language) if category else None
        standing = Standing.PAYABLE
        if invoice.disputed_at:
            standing = Standing.DISPUTED
        elif invoice.in_plan:
            standing = Standing.IN_PLAN
        elif (invoice.pk, False) in attempts:
            standing = Standing.BUSY
        elif not chargeable(invoice, sources) or invoice.held_as != held_as:
            standing = Standing.ELSEWHERE
        resting = promise is not None or standing in (Standing.DISPUTED, Standing.IN_PLAN)
        return Item(
            id=invoice.pk,
            number=invoice.number,
            title=_title(invoice),
            amount=invoice.balance,
            currency=invoice.currency,
            amount_text=money.display(invoice.balance, invoice.currency, language),
            standing=standing,
            reason=told["message"] if told else "",
            asks_for=told["asks_for"] if told else "",
            due_text=day(invoice.due_at, customer, language),
            overdue=invoice.due_at is not None and invoice.due_at <= now,
            next_try_text=day(next_try, customer, language) if next_try and next_try > now and not resting else "",
            pdf_url=invoice.pdf_url,
            hosted_url=invoice.hosted_url,
            chosen=chosen in (None, invoice.pk),
            fees=fee_lines(fees.get(invoice.pk, ()), language),
        )

    groups = tuple(
        _group(currency, tuple(item(row) for row in rows), language)
        for currency, rows in groupby(invoices, key=lambda row: row.currency)
    )
    soonest = min(
        (a.scheduled_for for a in attempts.values() if a.status == AttemptStatus.PLANNED and a.scheduled_for),
        default=None,
    )
    return Account(
        groups=groups,
        card=card,
        way=_way([i for g in groups for i in g.items if i.payable], card),
        promised_text=day(promise.promised_on, customer, language) if promise else "",
        next_try_text=day(soonest, customer, language) if soonest and soonest > now and not promise else "",
        paid_lately=() if groups else _paid_lately(link, language),
        sums=sums_of(
            money.totals((i.amount, i.currency) for g in groups for i in g.items if not i.held),
            fees_to_pay(fee for rows in fees.values() for fee in rows),
            language,
        ),
        fee_offers=offers_of((fee for rows in fees.values() for fee in rows), language),
        fees_told=last_press(customer_id=link.customer_id, language=language, now=now),
        fees_left=fee_lines((fee for pk, rows in fees.items() if pk not in open_ids for fee in rows), language),
    )


def stored_method(customer_id: int) -> PaymentMethod | None:
    """The method a payment would be taken from: the default one, else the newest."""
    return (
        PaymentMethod.objects.filter(customer_id=customer_id, detached_at=None)
        .order_by("held_as", "-is_default", F("attached_at").desc(nulls_last=True), "-id")
        .first()
    )


def _card(method: PaymentMethod | None, now: datetime) -> Card | None:
    if method is None:
        return None
    expired = bool(
        method.exp_year and method.exp_month and (method.exp_year, method.exp_month) < (now.year, now.month)
    )
    return Card(
        id=method.pk,
        label=str(method),
        expiry=f"{method.exp_month:02d}/{method.exp_year % 100:02d}" if method.exp_month and method.exp_year else "",
        usable=not expired and method.never_again_at is None,
        expired=expired,
    )


def _title(invoice: Invoice) -> str:
    plan = invoice.subscription.plan_name if invoice.subscription else ""
    return plan or invoice.description


def _group(currency: str, items: tuple[Item, ...], language: str) -> Group:
    total = sum(item.amount for item in items)
    return Group(
        currency=currency,
        items=items,
        total=total,
        total_text=money.display(total, currency, language),
        payable_total_text=money.display(sum(i.amount for i in items if i.payable), currency, language),
    )


def _way(payable: list[Item], card: Card | None) -> Way:
    if not payable:
        return Way.NONE
    asked = {item.asks_for for item in payable}
    if card is None or not card.usable or AsksFor.NEW_CARD in asked:
        return Way.NEW_CARD
    if AsksFor.AUTHENTICATE in asked and any(i.hosted_url for i in payable if i.asks_for == AsksFor.AUTHENTICATE):
        return Way.CONFIRM
    return Way.STORED


def _paid_lately(link: PortalLink, language: str) -> tuple[str, ...]:
    rows = (
        Invoice.objects.filter(
            customer_id=link.customer_id,
            brand_id=link.brand_id,
            status=InvoiceStatus.PAID,
            first_failed_at__isnull=False,
            paid_at__gte=link.created_at,
        )
        .select_related("subscription")
        .order_by("-paid_at")[:RECENT]
    )
    return tuple(
        " · ".join(
            part for part in (row.number, _title(row), money.display(row.amount_paid, row.currency, language)) if part
        )
        for row in rows
    )
