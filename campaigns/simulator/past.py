"""Whom to play from the database's own past: the debts that began in a period, and the days they were paid."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time

from django.db import connection
from django.db.models import Q

from billing.models import CollectionMethod, Invoice, InvoiceStatus, RetryMode
from billing.retries import loading
from billing.retries.champion.serving import Serving, serving
from billing.retries.loading import Material
from campaigns.engine.addressees import addressees, load_people
from campaigns.engine.arrays import array
from campaigns.engine.calendar import at_local
from campaigns.engine.specs import asks_for
from campaigns.guard.overrides import current_book
from campaigns.guard.types import GuardSnapshot
from campaigns.guard.zones import is_guess, zone, zone_name
from campaigns.models.case import CaseState
from campaigns.models.ladder import Trigger
from campaigns.simulator.types import Bill, Life, RetryPlan
from customers.addresses import normalise
from customers.consent import address_facts
from customers.models import Customer

_UTC = zone("UTC")


def bounds(since: date, upto: date) -> tuple[datetime, datetime]:
    """The moments (UTC) a period of days begins and ends at; a day is one of Greenwich."""
    return at_local(since, time.min, _UTC), at_local(upto, time.max, _UTC)


def lives(since: date, upto: date, *, trigger: str, most: int) -> list[Life]:
    """A life per customer and brand with a debt that began within the period, by customer; at most `most` customers,
    those whose first such debt came first.

    Customers are taken as they are today: their zone, addresses, exclusions, consent. What they had been sent then
    is left aside, for the ladder under test would have sent something else.
    """
    start, end = bounds(since, upto)
    manual = trigger != Trigger.PAYMENT_FAILED
    began = "due_at" if manual else "first_failed_at"
    method = CollectionMethod.MANUAL if manual else CollectionMethod.AUTOMATIC
    rows = (
        Invoice.objects.filter(
            Q(status__in=[InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE]) | Q(paid_at__isnull=False),
            collection_method=method,
            **{f"{began}__gte": start, f"{began}__lte": end},
        )
        .select_related("customer__brand", "brand", "subscription__default_payment_method", "default_payment_method")
        .order_by(began, "id")
    )
    chosen: dict[tuple[int, int], list[Invoice]] = defaultdict(list)
    customers: dict[int, Customer] = {}
    for row in rows.iterator(2000):
        if row.customer_id not in customers:
            if len(customers) == most:
                continue
            customers[row.customer_id] = row.customer
        chosen[row.customer_id, row.brand_id].append(row)
    material = loading.load([row for found in chosen.values() for row in found], end) if not manual else Material()
    models = Serving() if manual else serving(customers, end, read_only=True)
    guards = _guards(customers)
    return [
        _life(number, found, guards[found[0].customer_id], material, models, manual)
        for number, (_key, found) in enumerate(sorted(chosen.items()), start=1)
    ]


def _guards(customers: dict[int, Customer]) -> dict[int, GuardSnapshot]:
    """What the guard knows of each customer, no case given. Three queries."""
    with connection.cursor() as cursor:
        people = load_people(cursor, array(list(customers)))
    reached = {pk: addressees(one.email, one.phone, one.language, people.get(pk, ())) for pk, one in customers.items()}
    normal = {
        (pk, channel): normalise(channel, who.address, customers[pk].country)
        for pk, found in reached.items()
        for channel, who in found.items()
    }
    suppressed, granted = address_facts(set(normal.values()))
    book = current_book()
    guards = {}
    for pk, one in customers.items():
        own = {(channel, normal[pk, channel]) for channel in reached[pk]}
        guards[pk] = GuardSnapshot(
            customer_id=pk,
            kind=one.kind,
            country=one.country,
            zone=zone_name(timezone=one.timezone, country=one.country, brand_timezone=one.brand.timezone),
            zone_is_guess=is_guess(timezone=one.timezone, country=one.country),
            case_state=CaseState.OPEN.value,
            do_not_contact=one.do_not_contact,
            legal_hold=one.legal_hold,
            bankrupt=one.bankrupt,
            vulnerable=one.vulnerable,
            addresses={channel: who.address for channel, who in reached[pk].items()},
            suppressed=suppressed & own,
            granted=granted & own,
            brand_id=one.brand_id,
            collector=one.brand.collects_for_others,
            book=book,
        )
    return guards


def _life(
    number: int, rows: Sequence[Invoice], guard: GuardSnapshot, material: Material, models: Serving, manual: bool
) -> Life:
    customer = rows[0].customer
    return Life(
        key=number,
        label=customer.name,
        customer_id=customer.pk,
        brand_id=rows[0].brand_id,
        zone=guard.zone,
        country=customer.country,
        guard=guard._replace(brand_id=rows[0].brand_id, collector=rows[0].brand.collects_for_others),
        bills=tuple(_bill(row, guard.zone, material, models, manual) for row in rows),
        excluded=customer.no_dunning,
    )


def _bill(row: Invoice, zone_name: str, material: Material, models: Serving, manual: bool) -> Bill:
    since = row.due_at if manual else row.first_failed_at
    assert since is not None
    category = row.last_decline_category
    return Bill(
        id=row.pk,
        number=row.number or str(row.pk),
        currency=row.currency,
        balance=row.amount_due,
        since=since,
        due_on=(row.due_at or since).astimezone(zone(zone_name)).date(),
        trigger=Trigger.INVOICE_OVERDUE.value if manual else Trigger.PAYMENT_FAILED.value,
        paid_at=row.paid_at,
        disputed=row.disputed_at is not None and row.paid_at is None,
        in_plan=row.in_plan,
        decline_category=category,
        asks_for=asks_for(category) if category else "",
        retry=None if manual else _retries(row, material, models, since),
        subscription_id=row.subscription_id,
        subscription_status=row.subscription.status if row.subscription else "",
    )


def _retries(row: Invoice, material: Material, models: Serving, since: datetime) -> RetryPlan | None:
    """The charges we would have planned from the first failure on; None where the processor makes them."""
    account = material.accounts.get(row.source)
    methods = material.methods(row, since)
    if account is None or account.retry_mode == RetryMode.OBSERVE or not methods:
        return None
    terms = material.terms_of(row)
    context, strategy = loading.context_of(row, account, methods[0], [], since, terms), models.leading(terms)
    first = loading.past_attempts(material.attempts[row.pk], methods[0].method)[:1]
    if first and not first[0].approved:
        return RetryPlan(context, (replace(first[0], at=since),), strategy=strategy)
    return RetryPlan(context, strategy=strategy)
