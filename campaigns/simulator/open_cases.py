"""Whom to play from the database: the cases that are open now, read once, in a fixed number of queries per batch."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models.expressions import RawSQL

from billing.models import Invoice, Promise, RetryState
from billing.retries import loading
from billing.retries.champion.serving import Serving, serving
from billing.retries.eligibility import credential_of, refusal
from billing.retries.loading import Material
from billing.retries.methods import DEFAULT, Candidate
from campaigns.engine.load import Loaded, load_cases
from campaigns.engine.types import InvoiceFact
from campaigns.guard.zones import zone
from campaigns.models import Case
from campaigns.models.case import LIVE_STATES
from campaigns.simulator.types import Bill, Life, Promised, RetryPlan

BATCH = 1000


def sample(most: int, *, trigger: str = "", customer_id: int | None = None) -> list[int]:
    """Ids of at most `most` live cases, spread evenly over all there are and the same every time; of one trigger or
    one customer where told.
    """
    cases = Case.objects.filter(state__in=LIVE_STATES)
    if trigger:
        cases = cases.filter(trigger=trigger)
    if customer_id is not None:
        cases = cases.filter(customer_id=customer_id)
    mixed = RawSQL("md5(campaigns_case.id::text)", [])
    return sorted(cases.order_by(mixed, "id").values_list("id", flat=True)[:most])


def lives(case_ids: Sequence[int], now: datetime, *, all_set_up: bool = False) -> list[Life]:
    """A life per case as it stands at `now` (aware UTC), by case. Nobody pays: see docs/simulator.md.

    `all_set_up` takes every channel for set up, so that one can be tried out before it is bought.
    """
    return [life for ids in _batches(case_ids) for life in lives_of(load_cases(ids, now).cases, now, all_set_up)]


def _batches(case_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (case_ids[first : first + BATCH] for first in range(0, len(case_ids), BATCH))


def lives_of(loaded: Sequence[Loaded], now: datetime, all_set_up: bool = False) -> Iterator[Life]:
    """As `lives`, of one batch of cases that were loaded at `now`."""
    loaded = sorted(loaded, key=lambda one: one.snapshot.case_id)
    case_ids = [one.snapshot.case_id for one in loaded]
    ids = {fact.id for one in loaded for fact in one.snapshot.invoices}
    rows = {
        row.pk: row
        for row in Invoice.objects.filter(pk__in=ids).select_related(
            "customer__brand", "subscription__default_payment_method", "default_payment_method"
        )
    }
    material = loading.load(list(rows.values()), now)
    customers = {one.snapshot.customer_id for one in loaded}
    models = serving(customers, now, read_only=True)
    promises = {
        (row.customer_id, row.brand_id): Promised(row.pk, row.amount, row.expires_at)
        for row in Promise.objects.filter(customer__in=customers, status=Promise.Status.OPEN)
    }
    heads = {
        pk: (name, at)
        for pk, name, at in Case.objects.filter(pk__in=case_ids).values_list("pk", "customer__name", "next_action_at")
    }
    for one in loaded:
        case = one.snapshot
        if all_set_up:
            case = case._replace(guard=case.guard._replace(closed={}))
        name, next_action_at = heads[case.case_id]
        yield Life(
            key=case.case_id,
            label=name,
            customer_id=case.customer_id,
            brand_id=case.brand_id,
            zone=case.zone,
            country=case.country,
            guard=case.guard,
            bills=tuple(_bill(fact, rows[fact.id], case.zone, material, models, now) for fact in case.invoices),
            case=case,
            next_action_at=next_action_at,
            promise=promises.get((case.customer_id, case.brand_id)),
        )


def _bill(fact: InvoiceFact, row: Invoice, zone_name: str, material: Material, models: Serving, now: datetime) -> Bill:
    manual = row.collection_method == "manual"
    since = (row.due_at if manual else row.first_failed_at) or row.first_failed_at or row.due_at or now
    return Bill(
        id=fact.id,
        number=row.number or str(row.pk),
        currency=fact.currency,
        balance=fact.balance,
        since=since,
        due_on=(row.due_at or since).astimezone(zone(zone_name)).date(),
        trigger="invoice_overdue" if manual else "payment_failed",
        decline_category=fact.decline_category,
        asks_for=fact.asks_for,
        retry_at=fact.retry_at,
        retry_probability=fact.retry_probability,
        retry=_retries(row, material, models, now),
        subscription_id=fact.subscription_id,
        subscription_status=fact.subscription_status,
    )


def _retries(row: Invoice, material: Material, models: Serving, now: datetime) -> RetryPlan | None:
    """What the retry loop would be told; None where it would not plan a charge of this invoice."""
    if row.retry_state not in (RetryState.PLANNED, RetryState.NEEDS_PLAN):
        return None
    account = material.accounts.get(row.source)
    refused = refusal(row, account=account, promised=False, origin="retry", now=now)
    if refused is not None or account is None:
        return None
    methods = material.methods(row, now)
    planned = next((attempt for attempt in material.attempts[row.pk] if attempt.status == "planned"), None)
    if planned is not None and planned.payment_method is not None:
        candidate = Candidate(planned.payment_method, DEFAULT)
    elif methods:
        candidate = methods[0]
    else:
        return None
    method = candidate.method
    charges = material.charges[credential_of(method)]
    terms = material.terms_of(row)
    return RetryPlan(
        context=loading.context_of(row, account, candidate, material.attempts[row.pk], now, terms),
        attempts=tuple(loading.past_attempts(material.attempts[row.pk], method)),
        card_history=tuple(charge.at for charge in charges if charge.at is not None),
        card_declines=tuple(loading.declines_elsewhere(charges, row, method)),
        strategy=models.leading(terms),
        not_before=row.retry_not_before,
    )
