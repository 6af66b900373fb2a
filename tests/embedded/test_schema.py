"""Tests of a schema made without migrating: the same as migrating makes; where that cannot be known, migrated."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.postgres.operations import TrigramExtension
from django.db import models
from django.db.migrations import AddField, Migration, RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation

from dunning_site.embedded import postgres, schema
from dunning_site.embedded.postgres import ROOT, Cluster

_TABLE = re.compile(r"(CREATE TABLE [^\n]+\(\n)(.*?)(\n\)[^;]*;)", re.DOTALL)
#: What is written beside the schema, without keys: those count in the order of writing.
_WRITTEN = {
    "migrations": "SELECT app, name FROM django_migrations",
    "types": "SELECT app_label, model FROM django_content_type",
    "permissions": "SELECT app_label, model, codename, name FROM auth_permission JOIN django_content_type t"
    " ON t.id = content_type_id",
    "roles": "SELECT g.name, p.codename FROM auth_group g JOIN auth_group_permissions ON group_id = g.id"
    " JOIN auth_permission p ON p.id = permission_id",
    "schedules": "SELECT name, task, enabled FROM django_celery_beat_periodictask",
}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """An empty server."""
    with tempfile.TemporaryDirectory(prefix="sollecito-schema-") as folder:
        cluster = Cluster(Path(folder) / "pg", durable=False)
        cluster.start()
        yield cluster
        cluster.stop()


def _run(cluster: Cluster, name: str, *command: str) -> None:
    with cluster.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    environment = {
        "DJANGO_SETTINGS_MODULE": "dunning_site.settings",
        "SECRET_KEY": "x",
        "DATABASE_URL": cluster.url(name),
    }
    subprocess.run([sys.executable, *command], check=True, cwd=ROOT, env=os.environ | environment)


def _schema(cluster: Cluster, name: str) -> str:
    dump = subprocess.run(
        [postgres.program("pg_dump"), "--schema-only", "--restrict-key=x", cluster.url(name)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    # A field that was added later stands last in a table that was migrated.
    return _TABLE.sub(lambda m: m[1] + "\n".join(sorted(line.rstrip(",") for line in m[2].split("\n"))) + m[3], dump)


def _written(cluster: Cluster, name: str) -> dict[str, list[tuple[object, ...]]]:
    with cluster.connect(name) as connection:
        return {what: sorted(connection.execute(query).fetchall()) for what, query in _WRITTEN.items()}


def test_a_schema_made_from_the_last_state_is_what_migrating_makes(cluster: Cluster) -> None:
    _run(cluster, "made", "-m", "dunning_site.embedded.schema")
    _run(cluster, "migrated", "manage.py", "migrate", "--verbosity", "0")
    made, migrated = _schema(cluster, "made"), _schema(cluster, "migrated")
    assert made.count("CREATE TABLE") > 150
    assert made.splitlines() == migrated.splitlines()
    assert _written(cluster, "made") == _written(cluster, "migrated")


class _Own(RunSQL):
    """An operation of somebody else's."""


@pytest.mark.parametrize(
    ("operation", "shows"),
    [
        (AddField("invoice", "note", models.TextField(default="")), True),
        (TrigramExtension(), True),
        (RunSQL("ALTER TABLE billing_invoice SET (fillfactor = 90)"), True),
        (RunSQL([("INSERT INTO x VALUES (%s)", [1])]), False),
        (RunPython(RunPython.noop), False),
        (SeparateDatabaseAndState(), False),
        (_Own("SELECT 1"), False),
    ],
)
def test_only_what_the_models_show_is_made_without_migrating(operation: Operation, shows: bool) -> None:
    migration = Migration("0002_more", "billing")
    migration.operations = [AddField("invoice", "first", models.TextField(default="")), operation]
    assert schema.shows_in_models(migration) is shows
