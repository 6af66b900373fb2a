"""Owns making an empty database's schema from where all migrations end, instead of going their way.

Django renders every related model anew for each change a migration makes: with dj-stripe's 62 models and 600 changes
that is more than a minute of work. Created from the last state, and the migrations recorded as applied, the schema is
the same (tests/embedded/test_schema.py compares the two) and takes seconds. For the embedded database only: an
installation with one of its own always migrates.
"""

from django.contrib.postgres.operations import CreateExtension
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.migrations import RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation

#: Migrations whose code only changes rows, of which an empty database has none.
_ON_ROWS_ONLY = {("auth", "0011_update_proxy_permissions"), ("contenttypes", "0002_remove_content_type_name")}


def create() -> bool:
    """Brings the empty default database to where `migrate` would. Returns whether the short way was open.

    Where a migration does something the models do not show (code on rows, operations of its own), it is migrated.
    """
    executor = MigrationExecutor(connection)
    loader = executor.loader
    plan = [migration for migration, _ in executor.migration_plan(loader.graph.leaf_nodes())]
    if loader.applied_migrations or not all(map(shows_in_models, plan)):
        call_command("migrate", verbosity=0)
        return False
    with connection.schema_editor() as editor:
        for operation in _operations(plan, CreateExtension):
            editor.execute(f"CREATE EXTENSION {editor.quote_name(operation.name)}")  # type: ignore[attr-defined]
        for model in loader.project_state().apps.get_models():
            if model._meta.managed and not model._meta.proxy:
                editor.create_model(model)
    with connection.cursor() as cursor:
        for operation in _operations(plan, RunSQL):
            cursor.execute(operation.sql)  # type: ignore[attr-defined]
    executor.recorder.ensure_schema()
    for migration in plan:
        executor.record_migration(migration)  # type: ignore[call-arg, arg-type]  # as it was before Django 3
    emit_post_migrate_signal(verbosity=0, interactive=False, db=DEFAULT_DB_ALIAS)
    return True


def _operations(plan: list[Migration], kind: type[Operation]) -> list[Operation]:
    return [operation for migration in plan for operation in migration.operations if isinstance(operation, kind)]


def shows_in_models(migration: Migration) -> bool:
    """Whether all a migration does to an empty database is to be seen in the models, or is SQL to run after them."""
    if (migration.app_label, migration.name) in _ON_ROWS_ONLY:
        return True
    return all(
        # What others derive from Django's operations may do more than those.
        type(operation).__module__.startswith(("django.db.migrations.", "django.contrib.postgres."))
        and not isinstance(operation, RunPython | SeparateDatabaseAndState)
        and not (isinstance(operation, RunSQL) and not isinstance(operation.sql, str))
        for operation in migration.operations
    )


if __name__ == "__main__":
    import django

    django.setup()
    create()
