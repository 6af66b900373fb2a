"""Fills a database with a company of any size, by SQL: for each customer about three invoices, a live case with its
row in the worklist, cards, messages and twenty log lines, spread unevenly, as they are in life.

One customer (BIG) has 400 invoices and 5,000 log lines at every size. Everything is computed from row numbers, so the
same size gives the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import connection, models

from billing.models import (
    Allocation,
    CustomerRisk,
    Fee,
    InboxEvent,
    Invoice,
    InvoiceRisk,
    Payment,
    PaymentAttempt,
    PaymentMethod,
    Promise,
    Subscription,
)
from campaigns.models import (
    Case,
    CaseInvoice,
    LadderVersion,
    Message,
    Segment,
    StepRun,
    Task,
    TemplateVersion,
    WorkFilter,
)
from campaigns.services.shipped import shipped_load
from campaigns.worklist.marks import work_mark
from campaigns.worklist.refresh import work_refresh_all
from customers.models import (
    Brand,
    ConsentEvent,
    Contact,
    Customer,
    Interaction,
    Sees,
    Suppression,
    Team,
)
from dunning_site.roles import roles_sync
from portal.models import PortalLink

#: A Tuesday noon: Europe may be called, America sleeps.
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
INVOICES, LINES = 3, 20
#: The customer with more of everything than anybody reads, and how much.
BIG, BIG_INVOICES, BIG_LINES = 7, 400, 5_000
#: Customers a collector looks after, about; collectors of a team.
CARE, MATES = 1_000, 10
#: Days the log reaches back.
DAYS = 730
#: One in so many customers has it in the name: a search that finds few at any size.
RARE = "Wiśniewska"

FIRST = ["Anna", "Bruno", "Chiara", "Dariusz", "Elena", "Franz", "Giulia", "Hanna", "Jean", "Katarzyna", "Luca"]
LAST = ["Rossi", "Nowak", "Müller", "Dupont", "García", "Smith", "Kowalski", "Bianchi", "López", "Jones", "Zieliński"]
TRADE = ["Software", "Logistics", "Bakery", "Design", "Clinic", "Studio", "Foods", "Metals", "Travel", "Books"]
_KINDS = [
    "attempt.declined", "message.sent", "step.done", "portal.visited", "message.opened", "case.opened", "call.logged",
    "invoice.paid", "note.added", "attempt.planned", "message.delivered", "promise.made",
]  # fmt: skip
_WORDS = [
    "Charge declined: insufficient funds", "Payment failed, please update your card", "Step 2 done",
    "Looked at the page",
    "Opened the message", "The ladder began", "Spoke with accounting, will pay on Friday", "Invoice paid in full",
    "Asks for a copy of the invoice", "Next try planned for pay day", "Delivered to the mail server",
    "Promised to pay",
]  # fmt: skip
_MAIL = "'<p>' || repeat('Your payment did not go through. Please update your card. ', 24) || '</p>'"


def fill(size: int) -> None:
    """Writes the company of `size` customers into an empty database and refreshes its statistics."""
    roles_sync()
    shipped_load(now=NOW)
    brand = Brand.objects.create(code="bench", name="Bench", from_email="b@example.com", timezone="UTC")
    other = Brand.objects.create(code="small", name="Small", from_email="s@example.com", timezone="Europe/Rome")
    owners = _staff(size)
    for statement in _rows(size, brand.pk, other.pk, owners):
        _insert(*statement)
    _sql("VACUUM (ANALYZE)")


def rank() -> None:
    """Ranks every customer as the worklist's own loop does."""
    ids = list(Customer.objects.values_list("pk", flat=True))
    for start in range(0, len(ids), 10_000):
        work_mark(ids[start : start + 10_000], NOW)
    for _batch in work_refresh_all(now=NOW):
        pass
    _sql("VACUUM (ANALYZE) campaigns_workitem")


def _staff(size: int) -> list[int]:
    """Ids of the collectors: enough that each has as many customers as a person can look after. `own` and `team` see
    what their teams' settings say; a saved filter for each."""
    collectors = []
    for number in range(max(MATES, size // CARE)):
        user = User.objects.create(username=f"collector{number}", is_staff=True)
        user.groups.add(Group.objects.get(name="collector"))
        collectors.append(user)
    own, team = collectors[0], collectors[1]
    Team.objects.create(name="Alone", sees=Sees.OWN).members.add(own)
    Team.objects.create(name="Together", sees=Sees.TEAM).members.add(*collectors[1:MATES])
    boss = User.objects.create_superuser("boss")
    Segment.objects.create(code="bench-late", name="Long overdue", query="overdue_days > 60")
    for user in (own, team, boss):
        WorkFilter.objects.create(user=user, name="Poland", query="tab=team&country=PL&band=31")
    return [user.pk for user in collectors]


_Statement = tuple[type[models.Model], str, Mapping[str, str]]


def _rows(size: int, brand: int, other: int, owners: list[int]) -> Iterator[_Statement]:
    """What goes into each table: the model, the FROM clause, and an expression per column; the others get the model's
    defaults, so that new columns do no harm."""
    yield from _people(size, brand, other)
    yield from _money(size, brand)
    yield from _cases(size, brand, owners)
    yield from _words(size, brand)


def _people(size: int, brand: int, other: int) -> Iterator[_Statement]:
    name = (
        f"{_one(FIRST, 'n')} || ' ' || CASE WHEN n % 250 = 3 THEN '{RARE}' ELSE {_one(LAST, 'n / 7')} END"
        f" || ' ' || {_one(TRADE, 'n / 31')} || ' ' || n"
    )
    yield Customer, f"generate_series(1, {size}) n", {
        "id": "n", "source": "'stripe'", "external_id": "'cus_' || n",
        "brand_id": f"CASE WHEN n % 20 = 0 THEN {other} ELSE {brand} END",
        "name": name, "email": "'c' || n || '@example.com'", "phone": "'+39333' || lpad(n::text, 7, '0')",
        "kind": _one(["business", "consumer"], "n"), "country": _one(["IT", "DE", "FR", "PL", "GB", "US"], "n"),
        "language": _one(["en", "it"], "n"), "vulnerable": "n % 500 = 9", "bankrupt": f"n > {size - 3}",
        "no_dunning": "n % 40 = 11", "created_at": _ago(f"({size} - n) * {DAYS}.0 / {size}"),
    }  # fmt: skip
    yield Contact, "customers_customer c", {
        "customer_id": "c.id", "name": "c.name", "email": "c.email", "phone": "c.phone", "is_primary": "true",
    }  # fmt: skip
    yield PortalLink, "customers_customer c", {
        "customer_id": "c.id", "brand_id": "c.brand_id", "token_hash": "md5(c.id::text)", "created_at": _ago("9"),
        "expires_at": _ago("-9"),
    }  # fmt: skip
    yield CustomerRisk, "customers_customer c", {
        "customer_id": "c.id", "band": _one(["low", "low", "medium", "high"], "c.id"), "basis": "'model'",
        "late_chance": "c.id % 90 / 100.0", "rating": _one(["A", "B", "C", "D"], "c.id"),
        "scored_at": _ago("1"),
    }  # fmt: skip
    yield ConsentEvent, "customers_customer c WHERE c.id % 10 = 0", {
        "customer_id": "c.id", "address": "c.email", "channel": "'email'", "decision": "'granted'",
        "source": "'portal'", "at": _ago("c.id % 300"),
    }  # fmt: skip
    yield Suppression, "customers_customer c WHERE c.id % 20 = 0", {
        "address": "c.email", "channel": "'email'", "reason": "'hard_bounce'", "created_at": _ago("c.id % 300"),
    }  # fmt: skip


def _money(size: int, brand: int) -> Iterator[_Statement]:
    yield PaymentMethod, "customers_customer c", {
        "id": "c.id", "source": "'stripe'", "external_id": "'pm_' || c.id", "customer_id": "c.id", "type": "'card'",
        "brand": "'visa'", "last4": "lpad((c.id % 10000)::text, 4, '0')", "exp_month": "1 + c.id % 12",
        "exp_year": "2027", "fingerprint": "md5(c.id::text)", "is_default": "true", "attached_at": _ago("400"),
    }  # fmt: skip
    yield Subscription, "customers_customer c", {
        "id": "c.id", "source": "'stripe'", "external_id": "'sub_' || c.id", "customer_id": "c.id",
        "status": _one(["active"] * 6 + ["past_due", "canceled"], "c.id"), "amount": "4900", "currency": "'EUR'",
        "interval": "'month'", "started_at": _ago("500"),
    }  # fmt: skip
    total = INVOICES * size
    # Every third is the open one of somebody; BIG has its share; the rest falls on few more than on many.
    whose = (
        f"CASE WHEN n % 3 = 0 THEN 1 + n / 3 * 7919::bigint % {size}"
        f" WHEN n * {BIG_INVOICES}::bigint % {total} < {BIG_INVOICES} THEN {BIG}"
        f" ELSE 1 + floor({size} * power(n * 2654435761 % 1000003 / 1000003.0, 1.3))::int END"
    )
    late = f"CASE WHEN n % 3 = 0 THEN n % 120 ELSE ({total} - n) * {DAYS}.0 / {total} END"
    status = (
        "CASE WHEN n % 3 = 0 THEN 'open' WHEN n % 100 = 1 THEN 'uncollectible' WHEN n % 100 = 4 THEN 'void'"
        " ELSE 'paid' END"
    )
    amount = "1000 + n * 7919::bigint % 500000"
    yield Invoice, f"generate_series(1, {total}) n", {
        "id": "n", "source": "'stripe'", "external_id": "'in_' || n", "customer_id": whose, "brand_id": str(brand),
        "number": "'B-' || n", "currency": "CASE WHEN n % 9 = 0 THEN 'USD' ELSE 'EUR' END", "amount_due": amount,
        "amount_paid": f"CASE WHEN ({status}) = 'paid' THEN {amount} ELSE 0 END", "status": status,
        "issued_at": _ago(f"{late} + 14"), "due_at": _ago(late),
        "first_failed_at": f"CASE WHEN n % 3 = 0 OR n % 7 = 0 THEN {_ago(late)} END",
        "paid_at": f"CASE WHEN ({status}) = 'paid' THEN {_ago(late)} END",
        "recovered_by": f"CASE WHEN ({status}) = 'paid' AND n % 7 = 0 THEN 'email' ELSE '' END",
        "last_decline_category": "CASE WHEN n % 3 = 0 THEN 'insufficient_funds' ELSE '' END",
        "retry_state": "CASE WHEN n % 3 = 0 THEN 'planned' ELSE 'none' END",
    }  # fmt: skip
    yield InvoiceRisk, "billing_invoice i WHERE i.status = 'open'", {
        "invoice_id": "i.id", "late_chance": "i.id % 90 / 100.0",
        "band": _one(["low", "low", "medium", "high"], "i.id"), "scored_at": _ago("1"),
    }  # fmt: skip
    charge = {
        "invoice_id": "i.id", "payment_method_id": "i.customer_id", "amount": "i.amount_due", "currency": "i.currency",
    }  # fmt: skip
    yield PaymentAttempt, "billing_invoice i WHERE i.status <> 'void'", charge | {
        "number": "1", "status": "CASE WHEN i.status = 'paid' THEN 'succeeded' ELSE 'declined' END",
        "origin": "'processor'", "external_id": "'ch_' || i.id", "at": "i.due_at", "finished_at": "i.due_at",
        "decline_code": "CASE WHEN i.status = 'paid' THEN '' ELSE 'insufficient_funds' END",
    }  # fmt: skip
    yield PaymentAttempt, "billing_invoice i WHERE i.status = 'open'", charge | {
        "number": "2", "status": "'planned'", "origin": "'retry'", "scheduled_for": _ago("-(i.id % 20)"),
        "idempotency_key": "'retry-' || i.id", "explanation": "'Pay day is near.'",
    }  # fmt: skip
    yield Payment, "billing_invoice i WHERE i.status = 'paid'", {
        "id": "i.id", "customer_id": "i.customer_id", "amount": "i.amount_due", "allocated": "i.amount_due",
        "currency": "i.currency", "received_at": "i.paid_at", "external_id": "'py_' || i.id", "source": "'stripe'",
    }  # fmt: skip
    yield Allocation, "billing_payment p", {"payment_id": "p.id", "invoice_id": "p.id", "amount": "p.amount"}
    yield Fee, "billing_invoice i WHERE i.status = 'open' AND i.id % 30 = 0", {
        "customer_id": "i.customer_id", "invoice_id": "i.id", "kind": "'interest'", "amount": "400",
        "currency": "i.currency", "rule": "'eu.interest'", "at": _ago("3"),
    }  # fmt: skip
    yield InboxEvent, f"generate_series(1, {total}) n", {
        "source": "'stripe'", "event_id": "'evt_' || n", "type": _one(["invoice.paid", "charge.failed"], "n"),
        "object_id": "'in_' || n", "occurred_at": _ago(f"({total} - n) * {DAYS}.0 / {total}"),
        "received_at": _ago(f"({total} - n) * {DAYS}.0 / {total}"), "payload": "'{}'",
        "status": "CASE WHEN n % 9973 = 500 THEN 'failed' ELSE 'done' END", "mirrored_at": _ago("0"),
    }  # fmt: skip


def _cases(size: int, brand: int, owners: list[int]) -> Iterator[_Statement]:
    version = LadderVersion.objects.get(ladder__code="card_failed", status="published")
    ended = size // 2
    closed = f"125 + ({ended} - n) * 600.0 / {ended}"
    common = {"brand_id": str(brand), "ladder_version_id": str(version.pk), "trigger": "'payment_failed'"}
    yield Case, f"generate_series(1, {ended}) n", common | {
        "id": "n", "customer_id": f"1 + n * 13 % {size}", "state": _one(["recovered", "recovered", "exhausted"], "n"),
        "close_reason": _one(["paid", "paid", "exhausted"], "n"), "opened_at": _ago(f"5 + {closed}"),
        "anchor_at": _ago(f"5 + {closed}"), "closed_at": _ago(closed),
    }  # fmt: skip
    resting = "CASE WHEN c.id % 10 = 3 THEN 'promised' WHEN c.id % 50 = 17 THEN 'paused' ELSE 'open' END"
    yield Case, "customers_customer c", common | {
        "id": f"{ended} + c.id", "customer_id": "c.id", "state": resting, "opened_at": _ago("c.id % 120"),
        "anchor_at": _ago("c.id % 120"), "position": "1",
        "next_action_at": f"CASE WHEN ({resting}) = 'open' THEN {_ago('-(c.id % 20)')} END",
        "owner_id": f"CASE WHEN c.id % 3 = 0 THEN NULL ELSE (ARRAY{owners})[1 + c.id % {len(owners)}] END",
    }  # fmt: skip
    live = f"campaigns_case k WHERE k.id > {ended}"
    joined = f"JOIN campaigns_case k ON k.customer_id = i.customer_id AND k.id > {ended}"
    yield CaseInvoice, f"billing_invoice i {joined} WHERE i.status = 'open'", {
        "case_id": "k.id", "invoice_id": "i.id", "joined_at": "i.first_failed_at",
    }  # fmt: skip
    step = version.steps.earliest("position").pk
    yield StepRun, live, {
        "case_id": "k.id", "step_id": str(step), "scheduled_for": "k.opened_at", "decided_at": "k.opened_at",
        "decision": "'done'",
    }  # fmt: skip
    yield Promise, f"{live} AND k.state = 'promised'", {
        "customer_id": "k.customer_id", "brand_id": "k.brand_id", "amount": "5000", "currency": "'EUR'",
        "promised_on": "DATE '2026-03-14'", "expires_at": _ago("-6"), "status": "'open'", "created_at": _ago("2"),
    }  # fmt: skip
    yield Task, f"{live} AND k.customer_id % 4 = 0", {
        "customer_id": "k.customer_id", "case_id": "k.id", "kind": "'call'", "title": "'Call about the card'",
        "status": "CASE WHEN k.customer_id % 12 = 0 THEN 'open' ELSE 'done' END", "due_at": _ago("k.id % 9 - 3"),
        "created_at": _ago("9"), "assignee_id": "k.owner_id",
    }  # fmt: skip


def _words(size: int, brand: int) -> Iterator[_Statement]:
    version = TemplateVersion.objects.filter(status="published", template__channel="email").earliest("pk")
    yield Message, "campaigns_case k", {
        "id": "k.id", "customer_id": "k.customer_id", "brand_id": str(brand), "case_id": "k.id", "channel": "'email'",
        "template_version_id": str(version.pk), "language": "'en'",
        "recipient": "'c' || k.customer_id || '@example.com'", "key": "'bench-' || k.id",
        "status": _one(["opened", "delivered", "sent", "bounced"], "k.id"),
        "subject": "'Your payment did not go through'", "html": _MAIL, "text": "'Your payment did not go through.'",
        "queued_at": "k.opened_at", "sent_at": "k.opened_at", "provider_id": "'mail-' || k.id",
    }  # fmt: skip
    total = LINES * size
    share = total // BIG_LINES
    whose = (
        f"CASE WHEN n % {share} = 0 THEN {BIG} WHEN n % 2 = 0 THEN 1 + n / 2 * 7919::bigint % {size}"
        f" ELSE 1 + floor({size} * power(n * 2654435761 % 1000003 / 1000003.0, 1.3))::int END"
    )
    # The kind's place must not follow from the customer's.
    kind = "n * 31 / 7"
    yield Interaction, f"generate_series(1, {total}) n", {
        "customer_id": whose, "at": _ago(f"({total} - n) * {DAYS}.0 / {total}"),
        "kind": _one(_KINDS, kind), "summary": _one(_WORDS, kind),
        "direction": _one(["internal", "out", "internal", "in"], kind), "channel": _one(["", "email", "", ""], kind),
        "actor_kind": _one(["system", "system", "customer", "staff"], kind),
        "body": "CASE WHEN n % 6 = 0 THEN repeat('They said they would look into it. ', 5) ELSE '' END",
        "subject": f"CASE WHEN n % 5 = 0 THEN 'invoice:' || 1 + n % {3 * size} ELSE 'case:' || 1 + n % {size} END",
    }  # fmt: skip


def _one(choices: list[str], number: str) -> str:
    """SQL for the `number`-th of the choices, round and round."""
    listed = ",".join(f"'{choice}'" for choice in choices)
    return f"(ARRAY[{listed}])[1 + ({number}) % {len(choices)}]"


def _ago(days: str) -> str:
    """SQL for so many days before NOW."""
    return f"(TIMESTAMPTZ '{NOW.isoformat()}' - ({days}) * interval '1 day')"


def _insert(model: type[models.Model], rows: str, values: Mapping[str, str]) -> None:
    columns = dict(values)
    params: list[Any] = []
    for field in model._meta.concrete_fields:
        if field.column in columns or field.primary_key or field.null or getattr(field, "generated", False):
            continue
        # No moment a row must have has a default.
        value = NOW if isinstance(field, models.DateTimeField) else field.get_default()
        columns[str(field.column)] = "%s"
        params.append(field.get_db_prep_save(value, connection))
    # Placeholders come after the named columns, so a literal % there is doubled.
    chosen = ", ".join(text if text == "%s" else text.replace("%", "%%") for text in columns.values())
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {rows.replace('%', '%%')}",  # noqa: S608
            params,
        )
        if "id" in values:
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")


def _sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
