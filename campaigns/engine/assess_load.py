"""Reads the standings of a batch of customers in a constant number of queries, and when to look at each again."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from billing.plans.paid import PAID_SINCE
from campaigns.engine import ladder as rungs
from campaigns.engine.calendar import at_local
from campaigns.engine.specs import ladder_specs
from campaigns.engine.standing import Debt, LiveCase, Occasion, Offer, PlanFact, PromiseFact, Standing
from campaigns.guard.zones import zone, zone_name
from campaigns.models.case import CloseReason
from campaigns.models.ladder import PRE_DUNNING, Trigger

#: Days after an instalment's before it counts as missed: transfers take a working day or two.
PLAN_GRACE_DAYS = 2
#: A debt of a case that ended so does not start another.
_FINAL = [CloseReason.EXHAUSTED.value, CloseReason.STAFF.value]
_PRE = sorted(PRE_DUNNING)
_DUE = Trigger.INVOICE_DUE.value
_CARD = Trigger.CARD_EXPIRING.value
_RENEWAL = Trigger.RENEWAL_UPCOMING.value

Looks = dict[int, datetime | None]
Owner = tuple[int, int]

# Open ones, whether due or not (what is not due yet says when to look again), and those still in a live case.
_INVOICES = """
    SELECT i.customer_id, i.id, i.brand_id, i.collection_method, i.status, i.balance, i.due_at, i.first_failed_at,
           i.disputed_at IS NOT NULL, i.in_plan,
           EXISTS (SELECT 1 FROM campaigns_caseinvoice ci JOIN campaigns_case c ON c.id = ci.case_id
                    WHERE ci.invoice_id = i.id AND c.closed_at IS NOT NULL AND c.close_reason = ANY(%s)
                      AND c.trigger <> ALL(%s)),
           EXISTS (SELECT 1 FROM campaigns_caseinvoice ci JOIN campaigns_case c ON c.id = ci.case_id
                    WHERE ci.invoice_id = i.id AND c.closed_at IS NOT NULL AND c.close_reason = ANY(%s))
      FROM billing_invoice i
     WHERE i.customer_id = ANY(%s) AND (
           i.status = 'open'
        OR EXISTS (SELECT 1 FROM campaigns_caseinvoice ci JOIN campaigns_case c ON c.id = ci.case_id
                    WHERE ci.invoice_id = i.id AND ci.left_at IS NULL AND c.closed_at IS NULL))
     ORDER BY i.customer_id, i.id
"""
_CASES = """
    SELECT c.id, c.customer_id, c.brand_id, c.state, c.ladder_version_id, c.anchor_at, c.round, c.position,
           c.rests_until, c.trigger, c.payment_method_id, c.subscription_id
      FROM campaigns_case c
     WHERE c.customer_id = ANY(%s) AND c.closed_at IS NULL
     ORDER BY c.id
       FOR NO KEY UPDATE
"""
_MEMBERS = """
    SELECT case_id, invoice_id, left_at, outcome FROM campaigns_caseinvoice WHERE case_id = ANY(%s)
"""
_PROMISES = f"""
    SELECT p.customer_id, p.brand_id, p.id, p.amount, p.expires_at, {PAID_SINCE}, n.named IS NOT NULL,
           (SELECT SUM(i.balance) FILTER (WHERE i.status = 'open')
              FROM billing_invoice i WHERE i.id = ANY(n.named))
      FROM billing_promise p
     CROSS JOIN LATERAL (
           SELECT array_agg(m.invoice_id) AS named FROM billing_promise_invoices m WHERE m.promise_id = p.id
     ) n
     WHERE p.customer_id = ANY(%s) AND p.status = 'open'
"""
_PLANS = f"""
    SELECT p.customer_id, p.brand_id, p.id, {PAID_SINCE},
           ARRAY(SELECT i.due_on FROM billing_planinstalment i WHERE i.plan_id = p.id ORDER BY i.number),
           ARRAY(SELECT i.amount FROM billing_planinstalment i WHERE i.plan_id = p.id ORDER BY i.number),
           n.named
      FROM billing_paymentplan p
     CROSS JOIN LATERAL (
           SELECT array_agg(m.invoice_id) AS named FROM billing_paymentplan_invoices m WHERE m.paymentplan_id = p.id
     ) n
     WHERE p.customer_id = ANY(%s) AND p.status = 'active'
"""
# Cards that a living subscription will be charged on.
_CARDS = """
    SELECT m.customer_id, cu.brand_id, m.id, m.exp_year, m.exp_month,
           EXISTS (SELECT 1 FROM campaigns_case c WHERE c.customer_id = m.customer_id AND c.payment_method_id = m.id
                      AND c.trigger = 'card_expiring' AND c.close_reason = 'staff')
      FROM billing_paymentmethod m JOIN customers_customer cu ON cu.id = m.customer_id
     WHERE m.customer_id = ANY(%s) AND m.type = 'card' AND m.detached_at IS NULL AND m.never_again_at IS NULL
       AND m.exp_year IS NOT NULL AND m.exp_month BETWEEN 1 AND 12
       AND EXISTS (SELECT 1 FROM billing_subscription s
                    WHERE s.customer_id = m.customer_id AND s.status IN ('active', 'trialing', 'past_due')
                      AND NOT s.cancel_at_period_end
                      AND (s.default_payment_method_id = m.id
                           OR (s.default_payment_method_id IS NULL AND m.is_default)))
"""
# Trials that become paid, and renewals of more than a month: nobody wants a letter before every monthly charge.
_RENEWALS = """
    SELECT s.customer_id, cu.brand_id, s.id, s.current_period_end,
           EXISTS (SELECT 1 FROM campaigns_case c WHERE c.customer_id = s.customer_id AND c.subscription_id = s.id
                      AND c.trigger = 'renewal_upcoming' AND c.close_reason = 'staff'
                      AND c.anchor_at = s.current_period_end)
      FROM billing_subscription s JOIN customers_customer cu ON cu.id = s.customer_id
     WHERE s.customer_id = ANY(%s) AND s.current_period_end IS NOT NULL AND NOT s.cancel_at_period_end
       AND (s.status = 'trialing' OR (s.status = 'active' AND s.interval NOT IN ('day', 'week', 'month')))
"""


def load(
    cursor: Any, rows: Sequence[tuple[Any, ...]], offers: Sequence[Offer], now: datetime
) -> tuple[list[Standing], Looks]:
    """Standings of claimed customers (rows of assess._CLAIM), and when each is looked at next as things stand."""
    ids = [row[0] for row in rows]
    zones = {row[0]: zone_name(timezone=row[3], country=row[4], brand_timezone=row[5]) for row in rows}
    looks: Looks = dict.fromkeys(ids)
    cursor.execute(_CASES, [ids])
    cases = cursor.fetchall()
    debts, occasions = _invoices(cursor, ids, looks, now)
    promises = _promises(cursor, ids, looks, now)
    plans = _plans(cursor, ids, zones, looks, now)
    _coming(cursor, ids, zones, occasions, {offer.trigger for offer in offers})
    _look_ahead(occasions, offers, zones, looks, now)
    live, inside = _cases(cursor, cases, debts, occasions)
    brands: dict[int, set[int]] = defaultdict(set)
    for owner, brand_id in (*live, *promises, *plans, *occasions):
        brands[owner].add(brand_id)
    standings = []
    for customer_id, _due, excluded, *_place, override_id in rows:
        loose = [debt for debt in debts[customer_id].values() if debt.id not in inside]
        standings += [
            Standing(
                customer_id=customer_id,
                brand_id=brand_id,
                zone=zones[customer_id],
                excluded=excluded,
                case=live.get((customer_id, brand_id)),
                loose=tuple(debt for debt in loose if debt.brand_id == brand_id),
                promise=promises.get((customer_id, brand_id)),
                plan=plans.get((customer_id, brand_id)),
                occasions=tuple(sorted(occasions.get((customer_id, brand_id), ()), key=lambda o: (o.at, o.trigger))),
                override_id=override_id,
            )
            for brand_id in sorted(brands[customer_id] | {debt.brand_id for debt in loose})
        ]
    return standings, looks


def _look(looks: Looks, customer_id: int, at: datetime) -> None:
    soonest = looks[customer_id]
    looks[customer_id] = at if soonest is None else min(soonest, at)


def _invoices(
    cursor: Any, ids: Sequence[int], looks: Looks, now: datetime
) -> tuple[dict[int, dict[int, Debt]], dict[Owner, list[Occasion]]]:
    """What has failed or is overdue, by customer; and what is only coming due, by customer and brand."""
    debts: dict[int, dict[int, Debt]] = defaultdict(dict)
    occasions: dict[Owner, list[Occasion]] = defaultdict(list)
    cursor.execute(_INVOICES, [_FINAL, _PRE, _FINAL, list(ids)])
    for (
        customer_id, pk, brand_id, method, status, balance, due, failed, disputed, in_plan, finished, ended,
    ) in cursor.fetchall():  # fmt: skip
        manual = method == "manual"
        since = due if manual else failed
        trigger = Trigger.INVOICE_OVERDUE.value if manual else Trigger.PAYMENT_FAILED.value
        if since is not None and since <= now:
            debts[customer_id][pk] = Debt(pk, brand_id, trigger, since, status, balance, disputed, in_plan, finished)
        elif manual and due is not None and status == "open":
            _look(looks, customer_id, due)
            if balance > 0 and not disputed and not in_plan:
                occasions[customer_id, brand_id].append(Occasion(_DUE, due, invoice_id=pk, finished=ended))
    return debts, occasions


def _promises(cursor: Any, ids: Sequence[int], looks: Looks, now: datetime) -> dict[Owner, PromiseFact]:
    promises = {}
    cursor.execute(_PROMISES, [list(ids)])
    for customer_id, brand_id, pk, amount, expires_at, paid, named, left in cursor.fetchall():
        about_left = int(left or 0) if named else None
        promises[customer_id, brand_id] = PromiseFact(pk, amount, expires_at, int(paid), about_left)
        if expires_at > now:
            _look(looks, customer_id, expires_at)
    return promises


def _plans(
    cursor: Any, ids: Sequence[int], zones: dict[int, str], looks: Looks, now: datetime
) -> dict[Owner, PlanFact]:
    plans = {}
    cursor.execute(_PLANS, [list(ids)])
    for customer_id, brand_id, pk, paid, days, amounts, invoices in cursor.fetchall():
        tz = zone(zones[customer_id])
        ends = [(at_local(day + timedelta(days=1 + PLAN_GRACE_DAYS), time(0), tz), amount)
                for day, amount in zip(days, amounts, strict=True)]  # fmt: skip
        due = sum(amount for end, amount in ends if end <= now)
        plans[customer_id, brand_id] = PlanFact(pk, due, int(paid), frozenset(invoices or ()))
        for end, _amount in ends:
            if end > now:
                _look(looks, customer_id, end)
    return plans


def _coming(
    cursor: Any,
    ids: Sequence[int],
    zones: dict[int, str],
    occasions: dict[Owner, list[Occasion]],
    triggers: set[str],
) -> None:
    """Adds cards about to expire and renewals, each only where a ladder asks for them."""
    if _CARD in triggers:
        cursor.execute(_CARDS, [list(ids)])
        for customer_id, brand_id, pk, year, month, ended in cursor.fetchall():
            at = _expiry(year, month, zone(zones[customer_id]))
            occasions[customer_id, brand_id].append(Occasion(_CARD, at, payment_method_id=pk, finished=ended))
    if _RENEWAL in triggers:
        cursor.execute(_RENEWALS, [list(ids)])
        for customer_id, brand_id, pk, at, ended in cursor.fetchall():
            occasions[customer_id, brand_id].append(Occasion(_RENEWAL, at, subscription_id=pk, finished=ended))


def _expiry(year: int, month: int, tz: ZoneInfo) -> datetime:
    """A card is good to the end of its month."""
    return at_local(date(year + month // 12, month % 12 + 1, 1), time(0), tz)


def _look_ahead(
    occasions: dict[Owner, list[Occasion]],
    offers: Sequence[Offer],
    zones: dict[int, str],
    looks: Looks,
    now: datetime,
) -> None:
    """Has customers looked at when a ladder begins to speak of a day, and on the day."""
    for (customer_id, _brand), coming in occasions.items():
        tz = zone(zones[customer_id])
        for occasion in coming:
            starts = [rungs.begins(o.spec, occasion.at, tz) for o in offers if o.trigger == occasion.trigger]
            for moment in (*starts, *([occasion.at] if starts else [])):
                if moment > now:
                    _look(looks, customer_id, moment)


def _cases(
    cursor: Any,
    cases: Sequence[tuple[Any, ...]],
    debts: dict[int, dict[int, Debt]],
    occasions: dict[Owner, list[Occasion]],
) -> tuple[dict[Owner, LiveCase], set[int]]:
    """Live cases by customer and brand, and the invoices that are in one over debts."""
    cursor.execute(_MEMBERS, [[case[0] for case in cases]])
    members: dict[int, list[tuple[int, Any, str]]] = defaultdict(list)
    for case_id, invoice_id, left_at, outcome in cursor.fetchall():
        members[case_id].append((invoice_id, left_at, outcome))
    specs = ladder_specs({case[4] for case in cases}, {}) if cases else {}
    live: dict[Owner, LiveCase] = {}
    inside: set[int] = set()
    for (
        pk, customer_id, brand_id, state, version_id, anchor_at, round_, position, rests_until, trigger, method_id,
        subscription_id,
    ) in cases:  # fmt: skip
        present = [invoice_id for invoice_id, left_at, _outcome in members[pk] if left_at is None]
        # What has only been announced is free to fail: it then is a debt like any other.
        if trigger not in PRE_DUNNING:
            inside.update(present)
        coming = {o.invoice_id: o.at for o in occasions.get((customer_id, brand_id), ())}
        live[customer_id, brand_id] = LiveCase(
            id=pk,
            state=state,
            ladder=specs[version_id],
            anchor_at=anchor_at,
            round=round_,
            position=position,
            rests_until=rests_until,
            members=tuple(
                debts[customer_id].get(invoice_id)
                or (
                    Debt(invoice_id, brand_id, trigger, coming[invoice_id], balance=1)
                    if trigger in PRE_DUNNING and invoice_id in coming
                    else _gone(invoice_id, brand_id, anchor_at)
                )
                for invoice_id in present
            ),
            paid_before=any(outcome == "paid" for _id, _left, outcome in members[pk]),
            trigger=trigger,
            payment_method_id=method_id,
            subscription_id=subscription_id,
        )
    return live, inside


def _gone(invoice_id: int, brand_id: int, since: datetime) -> Debt:
    """A member that no longer counts as failed or overdue (its due date was moved): it leaves the case."""
    return Debt(invoice_id, brand_id, "", since, status="open", balance=0)
