"""Measures pages of the back office: server time at two sizes, on databases filled for it, and the ratio of the two.

A page is asked for through Django's test client: middleware, view, queries and template as in production, without the
network. Each customer has three invoices, one of them open, a case with a row in the worklist, and twenty log lines.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Invoice
from campaigns.models import Case, CaseInvoice, LadderVersion
from campaigns.services.shipped import shipped_load
from campaigns.worklist.marks import work_mark
from campaigns.worklist.refresh import work_refresh_all
from customers import clock
from customers.models import Brand, Contact, Customer, Interaction
from dunning_site.roles import roles_sync

#: A Tuesday noon: Europe may be called, America sleeps.
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
INVOICES, LINES = 3, 20
#: Times each page is asked for, after WARM that are not counted.
ASKED, WARM = 60, 5
COLLECTORS = 10
Progress = Callable[[str], None]

_FIRST = ["Anna", "Bruno", "Chiara", "Dariusz", "Elena", "Franz", "Giulia", "Hanna", "Jean", "Katarzyna", "Luca"]
_LAST = ["Rossi", "Nowak", "Müller", "Dupont", "García", "Smith", "Kowalski", "Bianchi", "López", "Jones", "Zieliński"]
_TRADE = ["Software", "Logistics", "Bakery", "Design", "Clinic", "Studio", "Foods", "Metals", "Travel", "Books"]


@dataclass(frozen=True, slots=True)
class Page:
    """Server times of one page in milliseconds, and its queries."""

    p50_ms: float
    p95_ms: float
    queries: int


def run(sizes: list[int], *, progress: Progress) -> dict[str, Any]:
    """One JSON-able object: pages at each size, and how much longer they take at the last than at the first."""
    found: dict[int, dict[str, Page]] = {}
    told: list[dict[str, Any]] = []
    with clock.running_on(lambda: NOW):
        for size in sizes:
            progress(f"{size:,} customers: filling")
            began = time.perf_counter()
            populate(size)
            filled = time.perf_counter() - began
            progress("ranking")
            ranked = rank_all()
            found[size] = measure(size, progress)
            told.append(
                {
                    "customers": size,
                    "invoices": size * INVOICES,
                    "interactions": Interaction.objects.count(),
                    "filling_s": round(filled),
                    "ranked_per_s": round(size / ranked),
                    "load": round(os.getloadavg()[0], 1),
                    "pages": {
                        name: {"p50_ms": page.p50_ms, "p95_ms": page.p95_ms, "queries": page.queries}
                        for name, page in found[size].items()
                    },
                }
            )
    first, last = found[sizes[0]], found[sizes[-1]]
    return {
        "bench": "admin_pages",
        "sizes": told,
        "ratio_p95": {name: round(last[name].p95_ms / first[name].p95_ms, 2) for name in first},
        "ratio_p50": {name: round(last[name].p50_ms / first[name].p50_ms, 2) for name in first},
    }


def measure(size: int, progress: Progress) -> dict[str, Page]:
    """Every page at this size, asked for by a collector who sees everything."""
    user = User.objects.get(username="collector0")
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    rng = Random(1)
    customers, cases, work = (
        reverse("admin:customers_customer_changelist"),
        reverse("admin:campaigns_case_changelist"),
        reverse("admin:campaigns_workitem_changelist"),
    )

    def anybody() -> int:
        return rng.randint(1, size)

    pages: Mapping[str, Callable[[], str]] = {
        "worklist, mine": lambda: f"{work}?tab=mine",
        "worklist, team": lambda: f"{work}?tab=team",
        "worklist, unassigned": lambda: f"{work}?tab=free",
        "worklist, filters": lambda: f"{work}?tab=team&country={rng.choice(['PL', 'FR'])}&band=31&reach=1",
        "worklist, search": lambda: f"{work}?tab=team&q={rng.choice(_LAST)}+{rng.choice(_TRADE)}",
        "worklist, one by one": lambda: reverse("admin:campaigns_workitem_change", args=[anybody()]),
        "customers": lambda: customers,
        "customers, filters": lambda: f"{customers}?country={rng.choice(['PL', 'FR', 'IT'])}&kind__exact=business",
        "customers, search": lambda: f"{customers}?q={rng.choice(_LAST)}+{rng.choice(_TRADE)}",
        "customers, search by e-mail": lambda: f"{customers}?q=c{anybody()}@example.com",
        "customer": lambda: reverse("admin:customers_customer_change", args=[anybody()]),
        "customer, invoices": lambda: (
            reverse("admin:customers_customer_change", args=[anybody()]) + "?section=invoices"
        ),
        "cases": lambda: f"{cases}?state__exact=open",
        "cases, search": lambda: f"{cases}?q={rng.choice(_LAST)}+{rng.choice(_TRADE)}",
        "invoices": lambda: reverse("admin:billing_invoice_changelist") + "?status__exact=open",
        "invoices, by number": lambda: reverse("admin:billing_invoice_changelist") + f"?q=B-{anybody()}",
    }
    found = {}
    for name, address in pages.items():
        progress(name)
        found[name] = _page(client, address)
    return found


def _page(client: Client, address: Callable[[], str]) -> Page:
    for _warm in range(WARM):
        _ask(client, address())
    with CaptureQueriesContext(connection) as taken:
        _ask(client, address())
    taken_ms = sorted(_ask(client, address()) for _time in range(ASKED))
    return Page(round(taken_ms[ASKED // 2], 1), round(taken_ms[int(ASKED * 0.95)], 1), len(taken))


def _ask(client: Client, path: str) -> float:
    began = time.perf_counter()
    response = client.get(path)
    took = 1000 * (time.perf_counter() - began)
    if response.status_code != 200:
        raise RuntimeError(f"{path} answered {response.status_code}")
    return took


def rank_all() -> float:
    """Ranks every customer anew as the loop does; seconds."""
    ids = list(Customer.objects.values_list("pk", flat=True))
    for start in range(0, len(ids), 10_000):
        work_mark(ids[start : start + 10_000], NOW)
    began = time.perf_counter()
    for _batch in work_refresh_all(now=NOW):
        pass
    took = time.perf_counter() - began
    _sql("VACUUM (ANALYZE) campaigns_workitem")
    return took


def populate(size: int) -> None:
    """Customers, contacts, invoices, cases and log lines by SQL, ten collectors, and fresh statistics."""
    _sql("TRUNCATE customers_customer CASCADE")
    roles_sync()
    brand, _made = Brand.objects.get_or_create(
        code="bench", defaults={"name": "Bench", "from_email": "b@example.com", "timezone": "UTC"}
    )
    shipped_load(now=NOW)
    owners = [_collector(number).pk for number in range(COLLECTORS)]
    version = LadderVersion.objects.get(ladder__code="card_failed", status="published")
    words = {"first": _FIRST, "last": _LAST, "trade": _TRADE}
    lists = {name: "ARRAY[" + ",".join(f"'{word}'" for word in found) + "]" for name, found in words.items()}
    _fill(
        Customer,
        f"generate_series(1, {size}) n",
        {
            "id": "n", "source": "'stripe'", "external_id": "'cus_' || n", "brand_id": str(brand.pk),
            "name": f"({lists['first']})[1 + n % {len(_FIRST)}] || ' ' || ({lists['last']})[1 + n / 7 % {len(_LAST)}]"
            f" || ' ' || ({lists['trade']})[1 + n / 31 % {len(_TRADE)}] || ' ' || n",
            "email": "'c' || n || '@example.com'", "phone": "'+39333' || lpad(n::text, 7, '0')",
            "kind": "(ARRAY['business','consumer'])[1 + n % 2]",
            "country": "(ARRAY['IT','DE','FR','PL','GB','US'])[1 + n % 6]",
            "language": "(ARRAY['en','it'])[1 + n % 2]",
        },
    )  # fmt: skip
    _fill(
        Contact,
        "customers_customer c",
        {"customer_id": "c.id", "name": "c.name", "email": "c.email", "phone": "c.phone", "is_primary": "true"},
    )
    _fill(
        Invoice,
        f"customers_customer c, generate_series(1, {INVOICES}) k",
        {
            "id": f"c.id * {INVOICES} + k", "source": "'stripe'", "external_id": f"'in_' || (c.id * {INVOICES} + k)",
            "customer_id": "c.id", "brand_id": "c.brand_id", "number": f"'B-' || (c.id * {INVOICES} + k)",
            "currency": "'EUR'", "amount_due": "1000 + c.id * 7919 % 500000",
            "amount_paid": "CASE WHEN k = 1 THEN 0 ELSE 1000 + c.id * 7919 % 500000 END",
            "status": "CASE WHEN k = 1 THEN 'open' ELSE 'paid' END",
            "issued_at": _moment("c.id * 17 % 120 + 30 * k"), "due_at": _moment("c.id * 17 % 120 + 30 * (k - 1)"),
            "first_failed_at": _moment("c.id * 17 % 120 + 30 * (k - 1)"),
            "last_decline_category": "CASE WHEN k = 1 THEN 'insufficient_funds' ELSE '' END",
            "retry_state": "'stopped'",
        },
    )  # fmt: skip
    _fill(
        Case,
        "customers_customer c",
        {
            "id": "c.id", "customer_id": "c.id", "brand_id": "c.brand_id", "ladder_version_id": str(version.pk),
            "trigger": "'payment_failed'", "state": "'open'", "opened_at": _moment("c.id * 17 % 120"),
            "anchor_at": _moment("c.id * 17 % 120"), "next_action_at": _moment("-(c.id % 20)"),
            "owner_id": f"CASE WHEN c.id % 3 = 0 THEN NULL ELSE (ARRAY{owners})[1 + c.id % {COLLECTORS}] END",
        },
    )  # fmt: skip
    _fill(
        CaseInvoice,
        "billing_invoice i WHERE i.status = 'open'",
        {"case_id": "i.customer_id", "invoice_id": "i.id", "joined_at": "i.first_failed_at"},
    )
    _fill(
        Interaction,
        f"customers_customer c, generate_series(1, {LINES}) k",
        {
            "customer_id": "c.id", "at": _moment("k * 4 + c.id % 3"), "direction": "'internal'",
            "kind": "(ARRAY['attempt.declined','message.sent','step.done','portal.visited'])[1 + k % 4]",
            "summary": "'What happened on day ' || k", "subject": "'case:' || c.id",
        },
    )  # fmt: skip
    _sql("VACUUM (ANALYZE)")


def _moment(days: str) -> str:
    return f"TIMESTAMPTZ '{NOW.isoformat()}' - ({days}) * interval '1 day'"


def _fill(model: type[models.Model], rows: str, values: Mapping[str, str]) -> None:
    """Inserts by one statement; columns not named get what the model gives them, so that new ones do no harm."""
    columns = dict(values)
    params: list[Any] = []
    defaults: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        if field.column is None or field.column in columns or field.primary_key or field.null:
            continue
        if getattr(field, "generated", False):
            continue
        value = NOW if getattr(field, "auto_now_add", False) or getattr(field, "auto_now", False) else None
        defaults[field.column] = field.get_db_prep_save(value or field.get_default(), connection)
    for column, value in defaults.items():
        columns[column] = "%s"
        params.append(value)
    # Placeholders come after the named columns, so a literal % there is doubled.
    chosen = ", ".join(text if text == "%s" else text.replace("%", "%%") for text in columns.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) SELECT {chosen} FROM {rows}",  # noqa: S608
            params or None,
        )
        if "id" in values:
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{model._meta.db_table}', 'id'),"
                f" (SELECT max(id) FROM {model._meta.db_table}))"
            )


def _collector(number: int) -> User:
    user, made = User.objects.get_or_create(username=f"collector{number}", defaults={"is_staff": True})
    if made:
        user.groups.add(Group.objects.get(name="collector"))
    return user


def _sql(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
