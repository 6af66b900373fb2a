"""Reads the snapshots of a batch of cases, in a constant number of queries whatever the batch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from campaigns.channels.base import closed_channels
from campaigns.contacts import CONTACTS_REMEMBERED, NOTHING_LOGGED, logged
from campaigns.engine.addressees import Addressee, addressees, load_people
from campaigns.engine.arrays import array
from campaigns.engine.specs import PublishedText, asks_for, ladder_specs, published_texts
from campaigns.engine.types import NO_RUNS, CaseSnapshot, InvoiceFact, RunFact
from campaigns.engine.variants import templates_of, variants_for
from campaigns.experiments.treatment import treatments_for
from campaigns.guard.overrides import current_book
from campaigns.guard.types import Contacted, GuardSnapshot
from campaigns.guard.zones import is_guess, zone_name
from campaigns.models.ladder import PRE_DUNNING, Trigger
from campaigns.models.message import LOST
from customers.addresses import normalise
from customers.consent import Pairs, address_facts

#: A case before the day that is about no invoice: assess closes it when the card is replaced or the renewal is off.
NO_INVOICE = frozenset({Trigger.CARD_EXPIRING.value, Trigger.RENEWAL_UPCOMING.value})

# Moments as text: Django has psycopg read them in Python, and fromisoformat takes a tenth of that.
CASE_COLUMNS = """
    c.id, c.customer_id, c.brand_id, c.ladder_version_id, c.state, c.anchor_at::text, c.round, c.position,
    c.rests_until::text, c.next_action_at::text,
    cu.name, cu.email, cu.phone, cu.kind, cu.country, cu.language, cu.timezone,
    cu.no_dunning, cu.do_not_contact, cu.legal_hold, cu.bankrupt, cu.vulnerable, cu.deleted_at IS NOT NULL,
    b.timezone, b.default_language, b.collects_for_others, c.trigger, cu.tags,
    (SELECT count(*)::int FROM billing_promise p WHERE p.customer_id = cu.id AND p.status = 'broken'),
    cu.postal_address
"""
_CASES = f"""
    SELECT {CASE_COLUMNS}
      FROM campaigns_case c
      JOIN customers_customer cu ON cu.id = c.customer_id
      JOIN customers_brand b ON b.id = c.brand_id
     WHERE c.id = ANY(%s::bigint[])
"""
_INVOICES = """
    SELECT ci.case_id, i.id, i.currency, i.balance, i.last_decline_category,
           i.disputed_at IS NOT NULL, i.in_plan,
           COALESCE(p.scheduled_for, i.processor_next_attempt_at)::text, p.probability,
           i.retry_state = 'needs_plan',
           f.id IS NOT NULL,
           i.subscription_id, s.status
      FROM campaigns_caseinvoice ci
      JOIN billing_invoice i ON i.id = ci.invoice_id
      LEFT JOIN billing_paymentattempt p ON p.invoice_id = i.id AND p.status = 'planned'
      LEFT JOIN billing_paymentattempt f ON f.invoice_id = i.id AND f.status IN ('in_flight', 'unknown')
      LEFT JOIN billing_subscription s ON s.id = i.subscription_id
     WHERE ci.case_id = ANY(%s::bigint[]) AND ci.left_at IS NULL AND i.status = 'open' AND i.balance > 0
     ORDER BY ci.case_id, i.id
"""
_RUNS = """
    SELECT r.case_id, r.round, r.step_id, r.decision, r.decided_at, r.rule, m.status, m.id, t.status, m.channel, m.rule
      FROM campaigns_steprun r
      LEFT JOIN campaigns_message m ON m.step_run_id = r.id
      LEFT JOIN campaigns_task t
             ON t.key = 'step:' || r.case_id || ':' || r.step_id || ':' || r.round
     WHERE r.case_id = ANY(%s::bigint[])
     ORDER BY r.id, m.id
"""
# Customer by customer down the index: with ANY(…) a planner whose statistics lag behind reads the whole table, and
# a night's run grows with its square.
_MADE = f"""
    SELECT u.id, m.channel, m.at
      FROM unnest(%s::bigint[]) AS u(id)
     CROSS JOIN LATERAL (
           SELECT channel, COALESCE(sent_at, send_at, queued_at) AS at
             FROM campaigns_message
            WHERE customer_id = u.id AND queued_at > %s AND purpose = 'dunning'
              AND status NOT IN ({", ".join(f"'{status}'" for status in sorted(LOST))})
            ORDER BY customer_id, queued_at DESC
            LIMIT 50
     ) m
"""
_PROMISES = """
    SELECT customer_id, brand_id FROM billing_promise
     WHERE customer_id = ANY(%s::bigint[]) AND status = 'open' AND expires_at > %s
"""


class Loaded(NamedTuple):
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
        cursor.execute(_CASES, [array(list(case_ids))])
        rows = cursor.fetchall()
    return load(rows, now)


def load(rows: Sequence[tuple[Any, ...]], now: datetime) -> Batch:
    """Snapshots of the given rows of CASE_COLUMNS, in thirteen queries; more with variants or experiments."""
    case_ids = array([row[0] for row in rows])
    customer_ids = array(list({row[1] for row in rows}))
    texts = published_texts()
    ladders = ladder_specs({row[3] for row in rows}, texts)
    variants = variants_for(templates_of(ladders.values()), {row[1] for row in rows}, now)
    treatments = treatments_for({row[1] for row in rows}, now)
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
        addressed = {row[0]: addressees(row[11], row[12], row[15], people.get(row[1], ()), row[-1]) for row in rows}
        wanted = {
            normalise(channel, who.address, row[14]) for row in rows for channel, who in addressed[row[0]].items()
        }
        suppressed, granted = address_facts(wanted)
        cursor.execute(_MADE, [customer_ids, now - CONTACTS_REMEMBERED])
        made: dict[int, list[Contacted]] = {}
        for customer_id, channel, at in cursor.fetchall():
            made.setdefault(customer_id, []).append(Contacted(channel, at))
        cursor.execute(_PROMISES, [customer_ids, now])
        promised = set(cursor.fetchall())
    book, closed = current_book(), closed_channels()
    talked = logged({row[1] for row in rows}, now)
    cases = []
    places: dict[tuple[str, str, str], tuple[str, bool]] = {}
    for row in rows:
        (
            case_id, customer_id, brand_id, version_id, state, anchor_at, round_, position, rests_until, _due,
            _name, _mail, _telephone, kind, country, language, timezone,
            no_dunning, do_not_contact, legal_hold, bankrupt, vulnerable, deleted, brand_timezone, brand_language,
            collector, trigger, tags, broken, _postal,
        ) = row  # fmt: skip
        facts = invoices.get(case_id, ())
        # What is disputed or in a plan is not pressed for; the others go on.
        pressed = tuple([_invoice(fact) for fact in facts if not fact[5] and not fact[6]])
        ladder = treatments.ladder(variants.ladder(ladders[version_id], customer_id, texts), customer_id)
        place = places.get((timezone, country, brand_timezone))
        if place is None:
            place = places[timezone, country, brand_timezone] = (
                zone_name(timezone=timezone, country=country, brand_timezone=brand_timezone),
                is_guess(timezone=timezone, country=country),
            )
        zone, guessed = place
        spoken = talked.get(customer_id, NOTHING_LOGGED)
        own_runs, last_decided = _runs(runs[case_id], round_) if case_id in runs else (NO_RUNS, None)
        reached = addressed[case_id]
        guard = GuardSnapshot(
            customer_id=customer_id,
            kind=kind,
            country=country,
            zone=zone,
            case_state=state,
            deleted=deleted,
            no_dunning=no_dunning,
            do_not_contact=do_not_contact,
            legal_hold=legal_hold,
            bankrupt=bankrupt,
            vulnerable=vulnerable,
            promised=(customer_id, brand_id) in promised,
            in_plan=not pressed and any(fact[6] for fact in facts),
            disputed=not pressed and any(fact[5] for fact in facts),
            owes=bool(facts) or trigger in NO_INVOICE,
            addresses={channel: who.address for channel, who in reached.items()},
            suppressed=_own(reached, suppressed, country),
            granted=_own(reached, granted, country),
            brand_id=brand_id,
            collector=collector,
            book=book,
            contacts=(*made.get(customer_id, ()), *spoken.made),
            talks=spoken.talks,
            min_gap_hours=ladder.min_gap_hours,
            zone_is_guess=guessed,
            closed=closed,
        )
        snapshot = CaseSnapshot(
            case_id=case_id,
            customer_id=customer_id,
            brand_id=brand_id,
            state=state,
            ladder=ladder,
            anchor_at=datetime.fromisoformat(anchor_at),
            round=round_,
            position=position,
            zone=zone,
            country=country,
            guard=guard,
            invoices=pressed,
            runs=own_runs,
            last_decided_at=last_decided,
            rests_until=datetime.fromisoformat(rests_until) if rests_until else None,
            trigger=trigger,
            ahead=trigger in PRE_DUNNING,
            stands=trigger in NO_INVOICE,
            tags=tuple(tags) if tags else (),
            promises_broken=broken,
        )
        cases.append(Loaded(snapshot, reached, brand_language, language))
    return Batch(cases, texts)


def _own(reached: Mapping[str, Addressee], pairs: Pairs, country: str) -> Pairs:
    """Of pairs of channel and address, those of one case's addressees."""
    if not pairs:
        return pairs
    return pairs & {(channel, normalise(channel, who.address, country)) for channel, who in reached.items()}


def _invoice(fact: tuple[Any, ...]) -> InvoiceFact:
    # By position: with keywords it takes five times as long, and a case has several.
    decline, retry_at = fact[4], fact[7]
    return InvoiceFact(
        fact[1], fact[2], fact[3], decline, asks_for(decline) if decline else "",
        datetime.fromisoformat(retry_at) if retry_at else None, fact[8], fact[9], fact[10], fact[11], fact[12] or "",
    )  # fmt: skip


def _runs(rows: Sequence[tuple[Any, ...]], round_: int) -> tuple[Mapping[int, RunFact], datetime | None]:
    own: dict[int, RunFact] = {}
    last: datetime | None = None
    for (
        _case, round_of, step_id, decision, decided_at, rule, message_status, message_id, task_status, channel,
        message_rule,
    ) in rows:  # fmt: skip
        if last is None or decided_at > last:
            last = decided_at
        if round_of == round_:
            tried = own[step_id].channels if step_id in own else ()
            own[step_id] = RunFact(
                step_id, decision, decided_at, rule, message_status or "", message_id, message_rule or "",
                (*tried, channel) if channel else tried, task_status or "",
            )  # fmt: skip
    return own, last
