"""Owns keeping the world on disk: one JSON file, replaced atomically."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .clock import rebuild
from .idempotency import IdempotencyKeys
from .world import DEFAULT_SETTINGS, World

VERSION = 1
EVENTS_SAVED = 2_000


def save(world: World, keys: IdempotencyKeys, path: Path) -> None:
    """Write the world; a crash in the middle leaves the previous file."""
    with world.lock:
        # The stream of events is many times the size of everything else, and hardly ever asked for after a restart.
        recent = list(world.event_order)[-EVENTS_SAVED:]
        data: dict[str, Any] = {
            "version": VERSION,
            "seed": world.seed,
            "base_url": world.base_url,
            "virtual_now": world.virtual_now,
            "settings": world.settings,
            "counters": world.counters,
            "tables": {kind: table.all() for kind, table in world.tables.items()},
            "private": world.private,
            "deleted": world.deleted,
            "cards": world.cards,
            "ledger": world.ledger,
            "events": [[event_id, world.events[event_id]] for event_id in recent],
            "outbox": list(world.outbox),
        }
        with keys.lock:
            data["idempotency"] = dict(keys.answers)
        text = json.dumps(data, separators=(",", ":"))
        world.dirty = False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def load(world: World, keys: IdempotencyKeys, path: Path) -> bool:
    """Read the world back; returns whether there was one. Raises ValueError for a file of another version."""
    if not path.exists():
        return False
    text = path.read_text(encoding="utf-8")
    data = json.loads(text)
    if data.get("version") != VERSION:
        raise ValueError(f"{path} was written by another version of the sandbox; remove it to start afresh.")
    if data["base_url"] != world.base_url:
        # Links inside objects name the address the sandbox had; it may listen elsewhere now.
        data = json.loads(text.replace(data["base_url"], world.base_url))
    with world.lock:
        world.clear()
        world.seed, world.virtual_now = data["seed"], data["virtual_now"]
        world.settings = {**DEFAULT_SETTINGS, **data["settings"]}
        world.counters, world.private = data["counters"], data["private"]
        world.deleted, world.cards, world.ledger = data["deleted"], data["cards"], data["ledger"]
        for kind, objects in data["tables"].items():
            for obj in objects:
                world.tables[kind].add(obj)
        world.events = dict(data["events"])
        world.event_order.extend(world.events)
        world.outbox.extend(data["outbox"])
        keys.answers.update(data["idempotency"])
        rebuild(world)
        world.dirty = False
    return True
