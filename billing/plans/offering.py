"""Owns which payment plans a customer is offered: the brand's rules, what is known of the payer, and what is owed."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from billing.behaviour import lifetime_of
from billing.matching import UNRESOLVED
from billing.models import (
    CustomerRisk,
    Invoice,
    InvoiceStatus,
    PaymentAttempt,
    PaymentPlan,
    PlanPolicy,
    Promise,
)
from billing.plans.obstacle import LATELY, Obstacle, chief, hinders, obstacle_of
from billing.plans.terms import Offer, Payer, Rules, because, fitting, offers
from customers.display import customer_zone, zone
from customers.models import Customer
from customers.rows import rows

#: How far back broken words are held against somebody.
HISTORY = timedelta(days=365)
_MADE = "invoice_id = ANY(%s) AND status IN ('declined', 'succeeded') ORDER BY invoice_id, number"
_APPROVED = "payment_method_id = ANY(%s) AND at >= %s AND at IS NOT NULL AND status = 'succeeded' ORDER BY at, id"

#: A customer and the brand they owe.
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Offered:
    """What a customer may choose from by themselves, over all a plan may be over in one currency."""

    currency: str
    #: The shortest first; at least one.
    offers: tuple[Offer, ...]
    #: Set where the amount seems to be what stands in the way: then parts are named first.
    obstacle: Obstacle | None = None

    @property
    def suggested(self) -> Offer | None:
        """The one to name where the amount is the obstacle."""
        return fitting(self.offers, self.obstacle.approved) if self.obstacle is not None else None


def plan_rules(brand_id: int) -> Rules:
    """The rules of a brand; the shipped ones where it has none of its own."""
    return _rules([brand_id])[brand_id]


def _rules(brand_ids: Collection[int]) -> dict[int, Rules]:
    own = {
        row.brand_id: Rules(
            most_instalments=row.most_instalments,
            most_days=row.most_days,
            first_within_days=row.first_within_days,
            least_amount=row.least_amount,
            currency=row.currency,
            most_broken=row.most_broken,
            least_paid_percent=row.least_paid_percent,
            risky_instalments=row.risky_instalments,
            risky_first_percent=row.risky_first_percent,
            trusted_wait_days=row.trusted_wait_days,
            offered_online=row.offered_online,
            promise_days=row.promise_days,
        )
        for row in PlanPolicy.objects.filter(brand_id__in=brand_ids)
    }
    return {brand_id: own.get(brand_id, Rules()) for brand_id in brand_ids}


def broken_words(customer_id: int, now: datetime) -> int:
    """How many plans and promises a customer has broken in the year before `now` (aware UTC)."""
    return _broken([customer_id], now)[customer_id]


def _broken(customer_ids: Collection[int], now: datetime) -> Counter[int]:
    broken = {"customer__in": customer_ids, "status": "broken", "closed_at__gt": now - HISTORY}
    found = Counter(PaymentPlan.objects.filter(**broken).values_list("customer_id", flat=True))
    found.update(Promise.objects.filter(**broken).values_list("customer_id", flat=True))
    return found


def payer_of(customer_id: int, currency: str, now: datetime) -> Payer:
    """What the rules look at in a customer who owes in `currency`. Four queries."""
    return _payers([customer_id], now)(customer_id, currency)


def _payers(customer_ids: Collection[int], now: datetime) -> Callable[[int, str], Payer]:
    """The payer by customer and currency. Four queries."""
    risks = CustomerRisk.objects.only("band", "rating").in_bulk(customer_ids)
    broken, paid = _broken(customer_ids, now), lifetime_of(customer_ids)

    def payer(customer_id: int, currency: str) -> Payer:
        risk = risks.get(customer_id)
        return Payer(
            broken=broken[customer_id],
            paid=paid.get(customer_id, {}).get(currency, 0),
            band=risk.band if risk is not None else "",
            rating=risk.rating if risk is not None else "",
        )

    return payer


def plan_because(*, customer_id: int, brand_id: int, currency: str, now: datetime) -> tuple[str, ...]:
    """What the customer's risk makes of the offers, in words."""
    return because(plan_rules(brand_id), payer_of(customer_id, currency, now))


def plan_owed(customer: Customer, brand_id: int, currency: str) -> list[Invoice]:
    """What a plan may be over: open, not contested, in no plan and at no agency. One query."""
    return _owed([(customer.pk, brand_id)])[customer.pk, brand_id].get(currency, [])


def _owed(pairs: Collection[Pair]) -> dict[Pair, dict[str, list[Invoice]]]:
    """The same for some customers, by currency in alphabetical order."""
    found: dict[Pair, dict[str, list[Invoice]]] = {pair: {} for pair in pairs}
    open_ones = Invoice.objects.filter(
        customer__in={customer_id for customer_id, _brand in pairs},
        status=InvoiceStatus.OPEN,
        balance__gt=0,
        disputed_at=None,
        in_plan=False,
        at_agency=False,
    )
    for row in open_ones.order_by("currency", "pk"):
        of_pair = found.get((row.customer_id, row.brand_id))
        if of_pair is not None:
            of_pair.setdefault(row.currency, []).append(row)
    return found


def plan_offers(*, customer_id: int, brand_id: int, currency: str, now: datetime) -> tuple[Offer, ...]:
    """The plans the rules offer a customer over all they owe a brand in one currency; none while one is active, or a
    charge of what they owe is under way."""
    pair = (customer_id, brand_id)
    return _Ground([pair], _rules([brand_id]), now).offers(pair, currency)


def plans_online(*, pairs: Collection[Pair], now: datetime) -> dict[Pair, tuple[Offered, ...]]:
    """The plans customers may agree on by themselves: by the rules, over what is late. Not in it are those for whom a
    promise stands, whom the brand offers none, and currencies in which the processor goes on charging the whole by
    itself. A constant number of queries; `now` is aware UTC."""
    rules = _rules({brand_id for _customer, brand_id in pairs})
    pairs = {pair for pair in pairs if rules[pair[1]].offered_online}
    promises = Promise.objects.filter(customer__in={pk for pk, _brand in pairs}, status=Promise.Status.OPEN)
    pairs -= set(promises.values_list("customer_id", "brand_id"))
    if not pairs:
        return {}
    ground = _Ground(pairs, rules, now)
    found = {
        pair: [
            Offered(currency, offers)
            for currency, owed in ground.owed[pair].items()
            if any(_late(row, now) for row in owed)
            and all(row.processor_next_attempt_at is None for row in owed)
            and (offers := ground.offers(pair, currency))
        ]
        for pair in pairs
    }
    told = obstacles([row for pair in pairs for offered in found[pair] for row in ground.owed[pair][offered.currency]])
    return {
        pair: tuple(
            replace(each, obstacle=chief(told[r.pk] for r in ground.owed[pair][each.currency] if r.pk in told))
            for each in offered
        )
        for pair, offered in found.items()
        if offered
    }


def _late(invoice: Invoice, now: datetime) -> bool:
    """Whether its day has passed, or its charge has failed."""
    return bool(invoice.last_decline_category) or (invoice.due_at is not None and invoice.due_at <= now)


def obstacles(invoices: Iterable[Invoice]) -> dict[int, Obstacle]:
    """By invoice, where the amount seems to be what stands in the way; disputed ones and those in a plan rest. Two
    queries at most."""
    failed = {
        row.pk: row
        for row in invoices
        if row.last_decline_category and row.balance > 0 and row.disputed_at is None and not row.in_plan
    }
    if not failed:
        return {}
    attempts: dict[int, list[PaymentAttempt]] = defaultdict(list)
    for attempt in rows(PaymentAttempt, _MADE, [list(failed)]):
        attempts[attempt.invoice_id].append(attempt)
    hindering = [each for own in attempts.values() for each in own if hinders(each)]
    times = [each.at for each in hindering if each.at is not None]
    if not times:
        return {}
    methods = {each.payment_method_id for each in hindering} - {None}
    approved = rows(PaymentAttempt, _APPROVED, [list(methods), min(times) - LATELY]) if methods else []
    told = {pk: obstacle_of(failed[pk], own, approved) for pk, own in attempts.items()}
    return {pk: obstacle for pk, obstacle in told.items() if obstacle is not None}


def obstacles_told(invoices: Iterable[Invoice], zone: tzinfo) -> list[tuple[Invoice, str]]:
    """The invoices whose amount seems to be what stands in the way, each with why; see Obstacle.words."""
    listed = list(invoices)
    found = obstacles(listed)
    return [(row, found[row.pk].words(zone)) for row in listed if row.pk in found]


def parts_named(*, invoices: Iterable[Invoice], now: datetime) -> dict[Pair, Offered]:
    """What is to be said of paying in parts to those who owe these invoices: only where the amount of one of them is
    the obstacle, and a plan over it is offered. A constant number of queries, mostly one."""
    # An invoice of a duplicate that was merged may be one the page cannot charge: nothing is promised about those.
    listed = [row for row in invoices if not row.held_as]
    hindered = obstacles(listed)
    currencies: dict[Pair, set[str]] = defaultdict(set)
    for row in listed:
        if row.pk in hindered:
            currencies[row.customer_id, row.brand_id].add(row.currency)
    if not currencies:
        return {}
    online = plans_online(pairs=currencies, now=now)
    return {
        pair: named[0]
        for pair, found in online.items()
        if (named := [each for each in found if each.obstacle is not None and each.currency in currencies[pair]])
    }


class _Ground:
    """What the plans some customers are offered depend on. Nine queries."""

    def __init__(self, pairs: Collection[Pair], rules: Mapping[int, Rules], now: datetime) -> None:
        customer_ids = {customer_id for customer_id, _brand in pairs}
        self.rules = rules
        self.owed = _owed(pairs)
        self._payer = _payers(customer_ids, now)
        self._today = {
            row.pk: now.astimezone(zone(customer_zone(row))).date()
            for row in Customer.objects.select_related("brand").filter(pk__in=customer_ids)
        }
        active = PaymentPlan.objects.filter(customer__in=customer_ids, status=PaymentPlan.Status.ACTIVE)
        self._active = set(active.values_list("customer_id", "brand_id"))
        self._charging = set(
            PaymentAttempt.objects.filter(
                invoice__in=[row for of_pair in self.owed.values() for own in of_pair.values() for row in own],
                status__in=UNRESOLVED,
            ).values_list("invoice_id", flat=True)
        )

    def offers(self, pair: Pair, currency: str) -> tuple[Offer, ...]:
        """The plans the rules offer over all that is owed in one currency."""
        customer_id, brand_id = pair
        owed = self.owed[pair].get(currency, [])
        total = sum(row.balance for row in owed)
        if pair in self._active or total < 2 or any(row.pk in self._charging for row in owed):
            return ()
        return offers(
            self.rules[brand_id],
            total=total,
            currency=currency,
            payer=self._payer(customer_id, currency),
            today=self._today[customer_id],
        )
