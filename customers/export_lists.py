"""Owns which lists go out and with which columns: one django-import-export resource per model, kept by the apps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateTimeField, Model, QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext as _
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


def column_titles(model: type[Model], *, words: bool, naive: bool) -> list[str]:
    """The headings of a list's columns: fields by their names, or in `words` of the active language. Moments say which
    zone they are in, where their cells do not: in words, and in a format without offsets (`naive`)."""
    titles = []
    for column in _columns(model):
        title = column.title if words else column.field.column_name
        zoned = isinstance(column.last, DateTimeField) and (words or naive)
        titles.append(f"{title} ({settings.TIME_ZONE})" if zoned else title)
    return titles


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: its resource field, the model's field it ends at (None for a computed one), its name and values in
    words. They are put into words once: rows are streamed when the reader's language is not active any more."""

    field: Any
    last: Any
    title: str
    words: Mapping[Any, str]

    def in_words(self, value: Any) -> Any:
        """A value as people read it."""
        return self.words.get(value, value) if isinstance(value, bool | str) else value


def _columns(model: type[Model]) -> list[_Column]:
    return [_column(model, field) for field in lists()[model]().get_export_fields()]


def _column(model: type[Model], field: Any) -> _Column:
    at: type[Model] | None = model
    last, names = None, []
    for part in (field.attribute or "").split("__"):
        try:
            last = at._meta.get_field(part) if at is not None else None
        except FieldDoesNotExist:
            last = None
        if last is None:
            return _Column(field, None, capfirst(field.column_name.replace("_", " ")), {})
        names.append(str(getattr(last, "verbose_name", part)))
        at = last.related_model if isinstance(last.related_model, type) else None
    words: dict[Any, str] = {True: _("yes"), False: _("no")}
    words |= {value: str(label) for value, label in getattr(last, "flatchoices", None) or ()}
    return _Column(field, last, capfirst(": ".join(names)), words)


def list_rows(queryset: QuerySet[Any], columns: Sequence[str], *, words: bool = False) -> Iterator[list[Any]]:
    """The rows of a list, with these columns (none: all of them), in constant memory and one query; in `words` of the
    active language, or as programs read them."""
    found = _columns(queryset.model)
    chosen = [column for column in found if not columns or column.field.column_name in columns]
    attributes = [column.field.attribute or "" for column in chosen]
    paths = {attribute.rpartition("__")[0] for attribute in attributes if "__" in attribute}
    # A foreign key goes out as the key: the row behind it would cost a query each.
    keys = {f.name: f.attname for f in queryset.model._meta.concrete_fields if f.is_relation}
    rows = queryset.select_related(None).prefetch_related(None).select_related(*sorted(paths))

    def told() -> Iterator[list[Any]]:
        for row in rows.iterator(chunk_size=_CHUNK):
            values = [
                getattr(row, keys[attribute]) if attribute in keys else column.field.get_value(row)
                for column, attribute in zip(chosen, attributes, strict=True)
            ]
            yield [c.in_words(value) for c, value in zip(chosen, values, strict=True)] if words else values

    return told()
