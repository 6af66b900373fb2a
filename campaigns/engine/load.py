"""Reads the snapshots of a batch of cases, in a constant number of queries whatever the batch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from campaigns.engine.specs import PublishedText, asks_for, ladder_specs, published_texts
from campaigns.engine.types import CaseSnapshot, InvoiceFact, RunFact
from campaigns.guard.types import Contacted, GuardSnapshot
from campaigns.guard.zones import is_guess, zone_name
from customers.addresses import normalise
from customers.models import Channel

#: The guard's longest window is seven days; a ladder's least gap may be longer.
CONTACTS_REMEMBERED = timedelta(days=31)

_EMAIL = Channel.EMAIL.value
_CALL = Channel.CALL.value

CASE_COLUMNS = """
    c.id, c.customer_id, c.brand_id, c.ladder_version_id, c.state, c.anchor_at, c.round, c.position,
    c.rests_until, c.next_action_at,
    cu.name, cu.email, cu.phone, cu.kind, cu.country, cu.language, cu.timezone,
    cu.no_dunning, cu.do_not_contact, cu.legal_hold, cu.bankrupt, cu.vulnerable,
    b.timezone, b.default_language
"""
_CASES = f"""
    SELECT {CASE_COLUMNS}
      FROM campaigns_case c
      JOIN customers_customer cu ON cu.id = c.customer_id
      JOIN customers_brand b ON b.id = c.brand_id
     WHERE c.id = ANY(%s)
"""
_INVOICES = """
    SELECT ci.case_id, i.id, i.currency, i.balance, i.last_decline_category,
           i.disputed_at IS NOT NULL, i.in_plan,
           COALESCE(p.scheduled_for, i.processor_next_attempt_at), p.probability,
           i.retry_state = 'needs_plan',
           EXISTS (SELECT 1 FROM billing_paymentattempt f
                    WHERE f.invoice_id = i.id AND f.status IN ('in_flight', 'unknown')),
           i.subscription_id, s.status
      FROM campaigns_caseinvoice ci
      JOIN billing_invoice i ON i.id = ci.invoice_id
      LEFT JOIN billing_paymentattempt p ON p.invoice_id = i.id AND p.status = 'planned'
      LEFT JOIN billing_subscription s ON s.id = i.subscription_id
     WHERE ci.case_id = ANY(%s) AND ci.left_at IS NULL AND i.status = 'open' AND i.balance > 0
     ORDER BY ci.case_id, i.id
"""
_RUNS = """
    SELECT r.case_id, r.round, r.step_id, r.decision, r.decided_at, r.rule, m.status, m.id, t.status
      FROM campaigns_steprun r
      LEFT JOIN campaigns_message m ON m.step_run_id = r.id
      LEFT JOIN campaigns_task t
             ON t.key = 'step:' || r.case_id || ':' || r.step_id || ':' || r.round
     WHERE r.case_id = ANY(%s)
     ORDER BY r.id, m.id
"""
_CONTACTS = """
    SELECT customer_id, id, email, phone, language
      FROM customers_contact
     WHERE customer_id = ANY(%s) AND active
     ORDER BY customer_id, is_primary, id DESC
"""
_SUPPRESSED = """
    SELECT channel, address FROM customers_suppression WHERE lifted_at IS NULL AND address = ANY(%s)
"""
# Customer by customer down the index: with ANY(…) a planner whose statistics lag behind reads the whole table, and
# a night's run grows with its square.
_MADE = """
    SELECT u.id, m.channel, m.at
      FROM unnest(%s::bigint[]) AS u(id)
     CROSS JOIN LATERAL (
           SELECT channel, COALESCE(sent_at, send_at, queued_at) AS at
             FROM campaigns_message
            WHERE customer_id = u.id AND queued_at > %s AND purpose = 'dunning'
              AND status NOT IN ('cancelled', 'failed')
            ORDER BY customer_id, queued_at DESC
            LIMIT 50
     ) m
"""
_PROMISES = """
    SELECT customer_id, brand_id FROM billing_promise
     WHERE customer_id = ANY(%s) AND status = 'open' AND expires_at > %s
"""


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a case writes to on which address; `contact_id` is None where the customer's own address is used."""

    contact_id: int | None
    address: str
    language: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A case's snapshot and what acting on it needs besides."""

    snapshot: CaseSnapshot
    addressees: Mapping[str, Addressee]
    brand_language: str
    customer_language: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Snapshots of a batch, in the order the cases were given, with what they share."""

    cases: list[Loaded]
    texts: dict[int, PublishedText]


def load_cases(case_ids: Collection[int], now: datetime) -> Batch:
    """Snapshots of cases by id, for reading only (admin, simulator): nothing is locked."""
    with connection.cursor() as cursor:
        cursor.execute(_CASES, [list(case_ids)])
        rows = cursor.fetchall()
    return load(rows, now)


def load(rows: Sequence[tuple[Any, ...]], now: datetime) -> Batch:
    """Snapshots of the given rows of CASE_COLUMNS, in nine queries."""
    case_ids = [row[0] for row in rows]
    customer_ids = list({row[1] for row in rows})
    texts = published_texts()
    ladders = ladder_specs({row[3] for row in rows}, texts)
    with connection.cursor() as cursor:
        cursor.execute(_INVOICES, [case_ids])
        invoices: dict[int, list[tuple[Any, ...]]] = {}
        for row in cursor.fetchall():
            invoices.setdefault(row[0], []).append(row)
        cursor.execute(_RUNS, [case_ids])
        runs: dict[int, list[tuple[Any, ...]]] = {}
        for row in cursor.fetchall():
            runs.setdefault(row[0], []).append(row)
        people = load_people(cursor, customer_ids)
        addressed = {row[0]: addressees(row[11], row[12], row[15], people.get(row[1], ())) for row in rows}
        wanted = {
            normalise(channel, who.address, row[14]) for row in rows for channel, who in addressed[row[0]].items()
        }
        cursor.execute(_SUPPRESSED, [list(wanted)])
        suppressed: dict[str, set[tuple[str, str]]] = {}
        for channel, address in cursor.fetchall():
            suppressed.setdefault(address, set()).add((channel, address))
        cursor.execute(_MADE, [customer_ids, now - CONTACTS_REMEMBERED])
        made: dict[int, list[Contacted]] = {}
        for customer_id, channel, at in cursor.fetchall():
            made.setdefault(customer_id, []).append(Contacted(channel, at))
        cursor.execute(_PROMISES, [customer_ids, now])
        promised = set(cursor.fetchall())
    cases = []
    for row in rows:
        case_id, customer_id, brand_id, version_id, state, anchor_at, round_, position, rests_until = row[:9]
        country, timezone = row[14], row[16]
        facts = invoices.get(case_id, ())
        # What is disputed or in a plan is not pressed for; the others go on.
        pressed = tuple(_invoice(fact) for fact in facts if not fact[5] and not fact[6])
        ladder = ladders[version_id]
        zone = zone_name(timezone=timezone, country=country, brand_timezone=row[22])
        own_runs, last_decided = _runs(runs.get(case_id, ()), round_)
        reached = addressed[case_id]
        guard = GuardSnapshot(
            customer_id=customer_id,
            kind=row[13],
            country=country,
            zone=zone,
            case_state=state,
            no_dunning=row[17],
            do_not_contact=row[18],
            legal_hold=row[19],
            bankrupt=row[20],
            vulnerable=row[21],
            promised=(customer_id, brand_id) in promised,
            in_plan=not pressed and any(fact[6] for fact in facts),
            disputed=not pressed and any(fact[5] for fact in facts),
            owes=bool(facts),
            addresses={channel: who.address for channel, who in reached.items()},
            suppressed=_suppressed(reached, suppressed, country) if suppressed else frozenset(),
            contacts=tuple(made.get(customer_id, ())),
            min_gap_hours=ladder.min_gap_hours,
            zone_is_guess=is_guess(timezone=timezone, country=country),
        )
        snapshot = CaseSnapshot(
            case_id=case_id,
            customer_id=customer_id,
            brand_id=brand_id,
            state=state,
            ladder=ladder,
            anchor_at=anchor_at,
            round=round_,
            position=position,
            zone=zone,
            country=country,
            guard=guard,
            invoices=pressed,
            runs=own_runs,
            last_decided_at=last_decided,
            rests_until=rests_until,
        )
        cases.append(Loaded(snapshot, reached, brand_language=row[23], customer_language=row[15]))
    return Batch(cases, texts)


def load_people(cursor: Any, customer_ids: Sequence[int]) -> dict[int, list[tuple[Any, ...]]]:
    """Rows of active contacts by customer, for `addressees`. One query."""
    cursor.execute(_CONTACTS, [list(customer_ids)])
    people: dict[int, list[tuple[Any, ...]]] = {}
    for row in cursor.fetchall():
        people.setdefault(row[0], []).append(row)
    return people


def addressees(email: str, phone: str, language: str, people: Sequence[tuple[Any, ...]]) -> dict[str, Addressee]:
    """By channel: the primary contact's address, else another contact's, else the customer's own."""
    found: dict[str, Addressee] = {}
    if email:
        found[_EMAIL] = Addressee(None, email, language)
    if phone:
        found[_CALL] = Addressee(None, phone, language)
    # Sorted so that the best comes last and stays.
    for _customer, contact_id, contact_email, contact_phone, contact_language in people:
        if contact_email:
            found[_EMAIL] = Addressee(contact_id, contact_email, contact_language or language)
        if contact_phone:
            found[_CALL] = Addressee(contact_id, contact_phone, contact_language or language)
    return found


def _suppressed(
    addressees: Mapping[str, Addressee], suppressed: Mapping[str, set[tuple[str, str]]], country: str
) -> frozenset[tuple[str, str]]:
    return frozenset(
        pair
        for channel, who in addressees.items()
        for pair in suppressed.get(normalise(channel, who.address, country), ())
    )


def _invoice(fact: tuple[Any, ...]) -> InvoiceFact:
    return InvoiceFact(
        id=fact[1],
        currency=fact[2],
        balance=fact[3],
        decline_category=fact[4],
        asks_for=asks_for(fact[4]) if fact[4] else "",
        retry_at=fact[7],
        retry_probability=fact[8],
        retry_unplanned=fact[9],
        retry_in_flight=fact[10],
        subscription_id=fact[11],
        subscription_status=fact[12] or "",
    )


def _runs(rows: Sequence[tuple[Any, ...]], round_: int) -> tuple[dict[int, RunFact], datetime | None]:
    own: dict[int, RunFact] = {}
    last: datetime | None = None
    for _case, round_of, step_id, decision, decided_at, rule, message_status, message_id, task_status in rows:
        if last is None or decided_at > last:
            last = decided_at
        if round_of == round_:
            own[step_id] = RunFact(
                step_id, decision, decided_at, rule, message_status or "", message_id, task_status or ""
            )
    return own, last
