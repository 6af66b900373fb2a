"""`manage.py replay_events`: proves on a recorded stream that the order of events does not matter."""

import contextlib
import json
import random
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from billing.ingest.inbox import store
from billing.ingest.process import process_inbox
from billing.ingest.state import State, canonical_state, differences
from billing.models import InboxEvent, ProcessorAccount
from customers import clock
from customers.models import Customer


class _Undo(Exception):  # noqa: N818  (rolls back, is no error)
    """Takes a played stream back."""


class Command(BaseCommand):
    """Plays a stream of Stripe events in order, then shuffled and each 1-3 times, and compares what they end in.

    Everything is rolled back. FILE holds a JSON list of events, an object with such a list under `data`, or one event
    a line; without FILE the stream is what this installation's own inbox has recorded, the demo's for example.
    STRIPE_API_BASE must lead to the Stripe (or sandbox) the events came from, for what must be re-read.

    The stream starts from empty tables. Where there are rows they are emptied for the play, under locks nobody gets
    past: on embedded services only.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?")
        parser.add_argument("--account", default="stripe", help="code of the processor account")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--rounds", type=int, default=1, help="how many shuffles")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        source = options["account"]
        if Customer.objects.exists() and not settings.EMBEDDED:
            raise CommandError("There are customers here. Play the stream on embedded services, or an empty database.")
        events = read_events(options["file"]) if options["file"] else recorded(source)
        if not ProcessorAccount.objects.filter(code=source).exists():
            raise CommandError(f"There is no processor account {source!r}.")
        in_order = played(events, source=source, batch=100)
        found: list[str] = []
        for turn in range(options["rounds"]):
            stream = shuffled(events, seed=options["seed"] + turn)
            found += differences(in_order, played(stream, source=source, batch=7 + turn))
        rows = {table: len(content) for table, content in in_order.items()}
        if options["json"]:
            self.stdout.write(json.dumps({"events": len(events), "rows": rows, "differences": found}))
        else:
            self.stdout.write(f"{len(events)} events, {rows}, {len(found)} differences.")
            for line in found:
                self.stdout.write(line)
        if found:
            raise CommandError("The order of events mattered.")


def read_events(path: Path) -> list[dict[str, Any]]:
    """Events of a file. Raises CommandError when it holds none."""
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text)
    except ValueError:
        try:
            content = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise CommandError(f"{path} is neither JSON nor one event a line: {error}") from error
    events = content.get("data", []) if isinstance(content, dict) else content
    if not events:
        raise CommandError(f"{path} holds no events.")
    return list(events)


def recorded(source: str) -> list[dict[str, Any]]:
    """Every event the inbox of an account has taken in, as they came. Raises CommandError when there is none."""
    rows = InboxEvent.objects.filter(source=source).exclude(type__startswith="sollecito.").order_by("id")
    events = list(rows.values_list("payload", flat=True))
    if not events:
        raise CommandError(f"The inbox of {source!r} has recorded nothing.")
    return events


def shuffled(events: list[dict[str, Any]], *, seed: int) -> list[dict[str, Any]]:
    """Each event one to three times, in any order."""
    chance = random.Random(seed)
    stream = [event for event in events for _time in range(chance.randint(1, 3))]
    chance.shuffle(stream)
    return stream


def played(events: list[dict[str, Any]], *, source: str, batch: int) -> State:
    """What the facts are after these events; the database is as before."""
    state: State = {}
    with contextlib.suppress(_Undo), transaction.atomic():
        _empty()
        now = clock.now()
        start = 0
        # Events arrive in small lots, worked through before the next: else batches would put them in order again.
        while start < len(events):
            for event in events[start : start + batch]:
                store(source=source, event=event, now=now)
            start += batch
            while (result := process_inbox(now=now, limit=batch)).claimed:
                if result.failed:
                    errors = InboxEvent.objects.exclude(error="").values_list("type", "error")
                    raise CommandError(f"Events failed: {list(errors[:5])}")
        state = canonical_state()
        raise _Undo
    return state


def _empty() -> None:
    """Takes all facts away, until the rollback: a stream is played from nothing."""
    if not (Customer.objects.exists() or InboxEvent.objects.exists()):
        return
    names = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in (Customer, InboxEvent))
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {names} CASCADE")
