"""Owns which lists go out and with which columns: one django-import-export resource per model, kept by the apps."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from django.db.models import Model, QuerySet
from import_export import resources

#: Rows fetched at a time; the cursor stays on the server.
_CHUNK = 2000


class ListResource(resources.ModelResource):
    """Columns of a list that may be exported. Declaring one is what makes a list exportable: nothing goes out because
    somebody added a column to a table."""


@cache
def lists() -> dict[type[Model], type[ListResource]]:
    """Every list that goes out, by its model. Asked for once all apps have started."""
    return {resource._meta.model: resource for resource in ListResource.__subclasses__()}


def resource_of(model: type[Model]) -> type[ListResource] | None:
    """The columns of a model's list; None where it does not go out."""
    return lists().get(model)


def column_names(model: type[Model]) -> list[str]:
    """What the columns of a list are called, in their order."""
    resource = lists()[model]()
    return [field.column_name for field in resource.get_export_fields()]


def list_rows(queryset: QuerySet[Any], columns: Sequence[str]) -> Iterator[list[Any]]:
    """The rows of a list, with these columns (none: all of them), in constant memory and one query."""
    found = lists()[queryset.model]().get_export_fields()
    chosen = [field for field in found if not columns or field.column_name in columns]
    paths = {field.attribute.rpartition("__")[0] for field in chosen if "__" in (field.attribute or "")}
    # A foreign key goes out as the key: the row behind it would cost a query each.
    keys = {f.name: f.attname for f in queryset.model._meta.concrete_fields if f.is_relation}
    rows = queryset.select_related(None).prefetch_related(None).select_related(*sorted(paths))
    for row in rows.iterator(chunk_size=_CHUNK):
        yield [
            getattr(row, keys[field.attribute]) if field.attribute in keys else field.get_value(row)
            for field in chosen
        ]
