"""Owns the tables of the sandbox: objects by id, ordered by creation, indexed by their parents."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Any

Obj = dict[str, Any]
Key = tuple[int, int, str]


class Table:
    """Objects of one kind; indexed fields must not change after insertion except through ``reindex``."""

    def __init__(self, kind: str, indexed: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.indexed = indexed
        self.objects: dict[str, Obj] = {}
        self._keys: dict[str, Key] = {}
        self._order: list[Key] = []
        self._index: dict[tuple[str, Any], list[Key]] = {}
        self._where: dict[str, dict[str, Any]] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return len(self.objects)

    def add(self, obj: Obj) -> Obj:
        """Insert a new object."""
        self._sequence += 1
        key = (int(obj.get("created") or obj.get("date") or 0), self._sequence, str(obj["id"]))
        self.objects[obj["id"]] = obj
        self._keys[obj["id"]] = key
        insort(self._order, key)
        self._where[obj["id"]] = {}
        self.reindex(obj)
        return obj

    def reindex(self, obj: Obj) -> None:
        """Bring the indexes up to date after an indexed field changed."""
        key, where = self._keys[obj["id"]], self._where[obj["id"]]
        for field in self.indexed:
            value = obj.get(field)
            if field in where and where[field] == value:
                continue
            if where.get(field) is not None:
                _remove(self._index[(field, where[field])], key)
            where[field] = value
            if value is not None:
                insort(self._index.setdefault((field, value), []), key)

    def remove(self, object_id: str) -> None:
        """Forget an object."""
        key = self._keys.pop(object_id)
        _remove(self._order, key)
        for field, value in self._where.pop(object_id).items():
            if value is not None:
                _remove(self._index[(field, value)], key)
        del self.objects[object_id]

    def key(self, object_id: str) -> Key | None:
        """Sort key of an object, for cursors."""
        return self._keys.get(object_id)

    def newest(self, filters: dict[str, Any], before: Key | None = None) -> Iterator[Obj]:
        """Yield objects that match, newest first, starting after ``before``."""
        keys = self._narrowest(filters)
        start = len(keys) if before is None else bisect_left(keys, before)
        for position in range(start - 1, -1, -1):
            obj = self.objects[keys[position][2]]
            if all(obj.get(field) == value for field, value in filters.items()):
                yield obj

    def oldest(self, filters: dict[str, Any], after: Key | None = None) -> Iterator[Obj]:
        """Yield objects that match, oldest first, starting after ``after``."""
        keys = self._narrowest(filters)
        start = 0 if after is None else bisect_right(keys, after)
        for position in range(start, len(keys)):
            obj = self.objects[keys[position][2]]
            if all(obj.get(field) == value for field, value in filters.items()):
                yield obj

    def all(self, **filters: Any) -> list[Obj]:
        """Objects that match, oldest first."""
        return list(self.oldest(filters))

    def _narrowest(self, filters: dict[str, Any]) -> list[Key]:
        candidates = [self._index.get((field, filters[field]), []) for field in self.indexed if field in filters]
        return min(candidates, key=len) if candidates else self._order


def _remove(keys: list[Key], key: Key) -> None:
    position = bisect_left(keys, key)
    if position < len(keys) and keys[position] == key:
        del keys[position]
