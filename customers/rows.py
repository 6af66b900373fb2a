"""Owns reading and writing whole rows by plain SQL where the loops do it thousands of times.

Composing a wide query by the ORM costs several times what running it does; rows are model instances all the same.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

from django.db import DatabaseError, connection
from django.db.models import Field, Model

M = TypeVar("M", bound=Model)


class _Reading(NamedTuple):
    """How a model's rows are read: the statement up to its condition, and what makes column n a field's value."""

    select: str
    names: tuple[str, ...]
    converters: tuple[tuple[int, Callable[[Any, Any, Any], Any], Any], ...]


@cache
def _reading(model: type[Model]) -> _Reading:
    fields = model._meta.concrete_fields
    quoted = [connection.ops.quote_name(str(field.column)) for field in fields]
    columns = [field.get_col(model._meta.db_table) for field in fields]
    return _Reading(
        select=f"SELECT {', '.join(quoted)} FROM {model._meta.db_table} WHERE ",
        names=tuple(field.attname for field in fields),
        converters=tuple(
            (place, convert, column)
            for place, column in enumerate(columns)
            for convert in column.get_db_converters(connection)
        ),
    )


def rows(model: type[M], where: str, params: Sequence[Any]) -> list[M]:
    """Instances of `model` by an SQL condition (and ordering, lock …) with its parameters; nothing is joined."""
    reading = _reading(model)
    with connection.cursor() as cursor:
        cursor.execute(reading.select + where, params)
        found = cursor.fetchall()
    if reading.converters:
        found = [list(values) for values in found]
        for values in found:
            for place, convert, column in reading.converters:
                values[place] = convert(values[place], column, connection)
    return [model.from_db(connection.alias, reading.names, values) for values in found]


def row(model: type[M], where: str, params: Sequence[Any]) -> M | None:
    """The one instance that fits, or None; see `rows`."""
    return next(iter(rows(model, where, params)), None)


@cache
def _update_of(model: type[Model], names: tuple[str, ...]) -> tuple[str, tuple["Field[Any, Any]", ...]]:
    fields = tuple(cast("Field[Any, Any]", model._meta.get_field(name)) for name in names)
    assignments = ", ".join(f"{connection.ops.quote_name(str(field.column))} = %s" for field in fields)
    return f"UPDATE {model._meta.db_table} SET {assignments} WHERE id = %s", fields


@cache
def _insert_of(model: type[Model]) -> tuple[str, tuple["Field[Any, Any]", ...]]:
    fields = tuple(field for field in model._meta.concrete_fields if not field.primary_key and not field.generated)
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    told = ", ".join(connection.ops.quote_name(str(field.column)) for field in model._meta.db_returning_fields)
    return f"INSERT INTO {model._meta.db_table} ({columns}) VALUES ({places}) RETURNING {told}", fields


def row_update(row: Model, names: Sequence[str]) -> None:
    """Saves these fields of a row, as `save(update_fields=names)` does. Raises DatabaseError if the row has gone."""
    model = type(row)
    if hasattr(model, "history"):
        # What it was before is kept by those who listen to save().
        row.save(update_fields=names)
        return
    statement, fields = _update_of(model, tuple(names))
    with connection.cursor() as cursor:
        cursor.execute(statement, [*_values(row, fields, add=False), row.pk])
        if not cursor.rowcount:
            raise DatabaseError("Save with update_fields did not affect any rows.")


def row_insert(row: Model) -> None:
    """Writes a new row and gives it its key, as `save(force_insert=True)` does."""
    model = type(row)
    if hasattr(model, "history"):
        row.save(force_insert=True)
        return
    statement, fields = _insert_of(model)
    with connection.cursor() as cursor:
        cursor.execute(statement, _values(row, fields, add=True))
        for field, value in zip(model._meta.db_returning_fields, cursor.fetchone(), strict=True):
            setattr(row, field.attname, value)
    row._state.adding, row._state.db = False, connection.alias


def _values(row: Model, fields: Sequence["Field[Any, Any]"], *, add: bool) -> list[Any]:
    return [field.get_db_prep_save(field.pre_save(row, add), connection) for field in fields]
