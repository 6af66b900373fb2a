"""Owns reading whole rows by plain SQL where the loops do it thousands of times.

Composing a wide query by the ORM costs several times what running it does; the rows come back as model instances.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db.models import Model

M = TypeVar("M", bound=Model)


def rows(model: type[M], where: str, params: Sequence[Any]) -> list[M]:
    """Instances of `model` by an SQL condition (and ordering, lock …) with its parameters; nothing is joined."""
    found: list[M] = list(model._default_manager.raw(f"SELECT * FROM {model._meta.db_table} WHERE {where}", params))
    return found


def row(model: type[M], where: str, params: Sequence[Any]) -> M | None:
    """The one instance that fits, or None; see `rows`."""
    return next(iter(rows(model, where, params)), None)
