"""Owns keeping risks up to date: customers in batches, a fixed number of statements each."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection, transaction

from billing.behaviour import Behaviour, band_of, behaviour_of, lifetime_of
from billing.models import CustomerRisk, RiskModel
from insights.risk.history import Bill, Climate, Payer, Told, describe, tell
from insights.risk.learning import load
from insights.risk.logistic import Logistic
from insights.risk.reasons import Reason, counted_reasons, reasons_of
from insights.risk.rows import bills_of, days, incidents_of

logger = logging.getLogger(__name__)

Basis = CustomerRisk.Basis
BATCH = 1000
#: A risk as old as this is counted anew.
STALE = timedelta(hours=20)

_DUE = """
    SELECT c.id FROM customers_customer c
     WHERE c.id > %(after)s
       AND EXISTS (SELECT 1 FROM billing_invoice i WHERE i.customer_id = c.id)
       AND NOT EXISTS (SELECT 1 FROM billing_customerrisk r WHERE r.customer_id = c.id AND r.scored_at > %(stale)s)
     ORDER BY c.id LIMIT %(limit)s
"""
_CUSTOMERS = """
    INSERT INTO billing_customerrisk
           (customer_id, band, basis, late_chance, rating, reasons, counts, lifetime, model_id, scored_at)
    SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::float[], %s::text[], %s::jsonb[], %s::jsonb[],
                         %s::jsonb[], %s::bigint[], %s::timestamptz[])
    ON CONFLICT (customer_id) DO UPDATE SET
        band = excluded.band, basis = excluded.basis, late_chance = excluded.late_chance, rating = excluded.rating,
        reasons = excluded.reasons, counts = excluded.counts, lifetime = excluded.lifetime,
        model_id = excluded.model_id, scored_at = excluded.scored_at
"""
_INVOICES = """
    INSERT INTO billing_invoicerisk (invoice_id, late_chance, band, reasons, model_id, scored_at)
    SELECT * FROM unnest(%s::bigint[], %s::float[], %s::text[], %s::jsonb[], %s::bigint[], %s::timestamptz[])
    ON CONFLICT (invoice_id) DO UPDATE SET
        late_chance = excluded.late_chance, band = excluded.band, reasons = excluded.reasons,
        model_id = excluded.model_id, scored_at = excluded.scored_at
"""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """How many customers and invoices were scored; `last` is the customer to go on after, None at the end."""

    customers: int
    invoices: int
    last: int | None


@dataclass(frozen=True, slots=True)
class _Serving:
    model_id: int
    model: Logistic
    climate: Climate


def risk_refresh(*, now: datetime, limit: int = BATCH, after: int = 0) -> Refreshed:
    """Scores up to `limit` customers with invoices whose risk is unknown or old, by id from `after` on; `now` is aware
    UTC. Nine statements at most, however many there are."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"after": after, "stale": now - STALE, "limit": limit})
        ids = [pk for (pk,) in cursor.fetchall()]
    if not ids:
        return Refreshed(0, 0, None)
    serving = _serving()
    bills = bills_of(ids)
    told = tell(bills, incidents_of(ids), until=days(now), climate=serving.climate if serving else Climate())
    behaved, lifetimes = behaviour_of(ids, now), lifetime_of(ids)
    customers = [_customer(pk, told, serving, behaved.get(pk, Behaviour()), lifetimes.get(pk, {}), now) for pk in ids]
    invoices = _invoices(bills, told, serving, now) if serving else []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CUSTOMERS, _columns(customers))
        if invoices:
            cursor.execute(_INVOICES, _columns(invoices))
    return Refreshed(len(ids), len(invoices), ids[-1] if len(ids) == limit else None)


def _serving() -> _Serving | None:
    row = RiskModel.objects.filter(state=RiskModel.State.IN_USE).first()
    if row is None:
        return None
    try:
        return _Serving(row.pk, *load(row.data))
    except ValueError as error:
        # Fitted by another release: ratings serve until the weekly fit makes a new one.
        logger.error("risk model %s cannot be used: %s", row.pk, error)
        return None


def _customer(
    pk: int,
    told: Told,
    serving: _Serving | None,
    behaviour: Behaviour,
    lifetime: dict[str, int],
    now: datetime,
) -> tuple[Any, ...]:
    chance: float | None = None
    payer = told.payers.get(pk)
    rating = behaviour.rating
    reasons: list[Reason] = counted_reasons(behaviour.counts()) if rating else []
    if serving is not None and payer is not None and payer.known:
        # The next invoice like the ones before.
        row = describe(
            payer,
            told.climate,
            days(now),
            log_amount=payer.logs / max(payer.logged, 1),
            currency=payer.currency,
            terms=payer.terms,
        )
        chance, reasons = _scored(serving, row, payer, payer.terms)
    basis = Basis.MODEL if chance is not None else Basis.HISTORY if rating else Basis.NONE
    return (
        pk, band_of(chance, rating) or "", basis.value, chance, rating or "", json.dumps(reasons),
        json.dumps(behaviour.counts()), json.dumps(lifetime),
        serving.model_id if serving and chance is not None else None, now,
    )  # fmt: skip


def _invoices(bills: Sequence[Bill], told: Told, serving: _Serving, now: datetime) -> list[tuple[Any, ...]]:
    """Those whose outcome is open: foretold by what is known now, the invoice itself left out of what is open."""
    at, found = days(now), []
    for bill in bills:
        if bill.paid is not None or bill.issued >= at or bill.late_at <= at:
            continue
        payer = replace(told.payers[bill.payer], open=told.payers[bill.payer].open - 1)
        terms = bill.due - bill.issued
        row = describe(
            payer, told.climate, at, log_amount=math.log(max(bill.amount, 0.01)), currency=bill.currency, terms=terms
        )
        chance, reasons = _scored(serving, row, payer, terms)
        found.append((bill.key, chance, str(band_of(chance, None)), json.dumps(reasons), serving.model_id, now))
    return found


def _scored(serving: _Serving, row: list[float], payer: Payer, terms: float) -> tuple[float, list[Reason]]:
    chance = float(serving.model.chances(np.asarray([row]))[0])
    return round(chance, 4), reasons_of(serving.model.effects(row), payer, terms=terms)


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
