"""Owns reading whole rows by plain SQL where the loops do it thousands of times.

Composing a wide query by the ORM costs several times what running it does; the rows come back as model instances.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from django.db import connection
from django.db.models import Model

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
