"""Measures pages of the back office: server time and queries at each size of company, and the ratio of the sizes.

A page is asked for through Django's test client: middleware, view, queries and template as in production, without the
network. Each size has a database of its own in one cluster, and each page is asked for at every size before the next
page comes, so that whatever else the machine does falls on all sizes alike. `manage.py bench admin_pages --keep DIR`
keeps the filled databases for the next time.
"""

from __future__ import annotations

import ast
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection
from django.test import Client

from benchmarks.backoffice import data
from benchmarks.backoffice.data import NOW
from benchmarks.backoffice.pages import USERS, Page, pages
from customers import clock
from customers.models import Interaction
from dunning_site.memory import memory_settle

#: Times each page is asked for, after WARM that are not counted.
ASKED, WARM = 30, 3
Progress = Callable[[str], None]


@dataclass(slots=True)
class _Asked:
    """What one page took at one size: milliseconds of each answer, of them in the database, and queries."""

    ms: list[float] = field(default_factory=list)
    sql_ms: list[float] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    #: Rows the page shows, where it is a list: a full page takes longer than the few rows of a small company.
    rows: set[int] = field(default_factory=set)

    def told(self) -> dict[str, Any]:
        fewest, most = min(self.queries), max(self.queries)
        return {
            "p50_ms": _part(self.ms, 0.5), "p95_ms": _part(self.ms, 0.95), "sql_p50_ms": _part(self.sql_ms, 0.5),
            "queries": most if fewest == most else [fewest, most], "rows": max(self.rows, default=None),
        }  # fmt: skip


class _Counter:
    """Counts the statements of a request and adds up how long they take."""

    def __init__(self) -> None:
        self.queries, self.seconds = 0, 0.0

    def __call__(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.queries += 1
            self.seconds += time.perf_counter() - began


def run(sizes: list[int], *, progress: Progress, only: str = "", asked: int = ASKED) -> dict[str, Any]:
    """One JSON-able object: each page at each size, and how much longer it takes at the last than at the first.

    `only` narrows to the pages in whose name it stands; `asked` is how often each is asked for.
    """
    with clock.running_on(lambda: NOW):
        told = [_ready(size, progress) for size in sizes]
        found, broken = _measure(sizes, progress, only, asked)
    first, last = sizes[0], sizes[-1]
    listed: dict[str, dict[str, Any]] = {
        name: {str(size): each.told() for size, each in by_size.items()}
        | {"ratio_p50": _ratio(by_size, 0.5), "ratio_p95": _ratio(by_size, 0.95)}
        for name, by_size in found.items()
    }
    return {
        "bench": "admin_pages",
        "sizes": told,
        "asked": asked,
        "load": round(os.getloadavg()[0], 1),
        "pages": listed,
        "broken": broken,
        "worst_ratio_p95": max((each["ratio_p95"] for each in listed.values()), default=0),
        "beyond_3": [name for name, each in listed.items() if each["ratio_p95"] > 3],
        "slower_than_300_ms": [name for name, each in listed.items() if each[str(last)]["p95_ms"] > 300],
        "more_queries": [
            name for name, by_size in found.items() if max(by_size[last].queries) > max(by_size[first].queries)
        ],
    }


def _ready(size: int, progress: Progress) -> dict[str, Any]:
    """Fills the size's database unless it is filled, by this very recipe, already."""
    name, recipe = f"bench_{size}", _recipe()
    with _database(connection.settings_dict["NAME"]), connection.cursor() as cursor:
        cursor.execute("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name])
        row = cursor.fetchone()
        ready = row is not None and row[0] == recipe
        if not ready:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
    template = connection.settings_dict["NAME"]
    filled = ranked = 0.0
    if not ready:
        progress(f"{size:,} customers: filling")
        connection.close()
        with _database("postgres"), connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        with _database(name):
            began = time.perf_counter()
            data.fill(size)
            filled = time.perf_counter() - began
            progress(f"{size:,} customers: ranking")
            data.rank()
            ranked = time.perf_counter() - began - filled
        with _database("postgres"), connection.cursor() as cursor:
            cursor.execute(f"COMMENT ON DATABASE {name} IS '{recipe}'")
    with _database(name):
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        return {
            "customers": size,
            "invoices": size * data.INVOICES,
            "interactions": Interaction.objects.count(),
            "filling_s": round(filled),
            "ranked_per_s": round(size / ranked) if ranked else None,
        }


def _recipe() -> str:
    """What the databases are filled by, whatever its comments and line breaks."""
    return hashlib.sha256(ast.dump(ast.parse(Path(data.__file__).read_text())).encode()).hexdigest()[:16]


@contextmanager
def _database(name: str) -> Iterator[None]:
    """The same cluster's other database, for as long as the block lasts."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


def _measure(
    sizes: list[int], progress: Progress, only: str, asked: int
) -> tuple[dict[str, dict[int, _Asked]], list[str]]:
    """What each page took at each size, and which could not be shown; what is found until somebody interrupts counts
    as well."""
    clients, offered = {}, {}
    for size in sizes:
        with _database(f"bench_{size}"):
            clients[size] = {name: _client(name) for name in USERS}
            offered[size] = {page.name: page for page in pages(clients[size]) if only in page.name}
    found: dict[str, dict[int, _Asked]] = {}
    broken: list[str] = []
    # As a server does before it serves.
    memory_settle()
    try:
        for name in offered[sizes[0]]:
            by_size: dict[int, _Asked] = {}
            try:
                for size in sizes:
                    page = offered[size][name]
                    with _database(f"bench_{size}"):
                        by_size[size] = _ask_often(clients[size][page.user], page, asked)
            except _Refused as refused:
                broken.append(str(refused))
                progress(str(refused))
                continue
            found[name] = by_size
            medians = " → ".join(f"{_part(each.ms, 0.5):,.0f}" for each in by_size.values())
            progress(f"{name}: {medians} ms, × {_ratio(by_size, 0.95)}")
    except KeyboardInterrupt:
        progress("interrupted")
    return found, broken


def _ratio(by_size: dict[int, _Asked], share: float) -> float:
    """How many times as long the last size takes as the first."""
    first, *_between, last = by_size.values() if len(by_size) > 1 else [*by_size.values()] * 2
    return round(_part(last.ms, share) / _part(first.ms, share), 2)


class _Refused(Exception):
    """A page was not shown."""


def _client(username: str) -> Client:
    from django.contrib.auth.models import User

    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(username=username))
    return client


def _ask_often(client: Client, page: Page, times: int) -> _Asked:
    asked = _Asked()
    for turn in range(WARM + times):
        path, counter = page.address(), _Counter()
        with connection.execute_wrapper(counter):
            began = time.perf_counter()
            response = client.get(path)
            took = time.perf_counter() - began
        if response.status_code != 200:
            raise _Refused(f"{page.name}: {path} answered {response.status_code}")
        if turn >= WARM:
            asked.ms.append(1000 * took)
            asked.sql_ms.append(1000 * counter.seconds)
            asked.queries.append(counter.queries)
            if listed := (getattr(response, "context_data", None) or {}).get("cl"):
                asked.rows.add(len(listed.result_list))
    return asked


def _part(values: list[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 1)
