"""`manage.py demo`: a believable company, sixty days of its life, and then the back office to look at it."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from billing.models import Invoice
from customers import clock
from dunning_site.demo import play, summary
from dunning_site.embedded import installation, serving
from dunning_site.embedded.environment import unfinished_mark, var

#: Where there is no terminal for a bar, a line every so many days.
_DAYS_A_LINE = 10


class Command(BaseCommand):
    help = "Plays sixty days of a demo company through the real loops, prints what came of it and serves it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, default=7, help="another seed, another company")
        parser.add_argument("--customers", type=int, default=play.CUSTOMERS)
        parser.add_argument("--days", type=int, default=play.DAYS)
        parser.add_argument("--until", help="last day, YYYY-MM-DD (default: today)")
        parser.add_argument("--json", action="store_true", help="print the summary as JSON")
        parser.add_argument("--no-serve", action="store_true", help="keep nothing, serve nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.EMBEDDED:
            raise CommandError("The demo runs on embedded services only: unset DATABASE_URL.")
        installation.prepare()
        until = self._until(options["until"])
        kept = var() / "demo.json"
        if Invoice.objects.exists():
            if not kept.exists():
                raise CommandError("There is data already that is not the demo's. make clean removes it.")
            result = json.loads(kept.read_text())
        else:
            unfinished_mark(var()).touch()
            result = self._play(options, until)
            kept.write_text(json.dumps(result))
            unfinished_mark(var()).unlink()
        self.stdout.write(json.dumps(result, indent=2) if options["json"] else summary.in_words(result))
        if options["no_serve"]:
            return
        installation.demo_users()
        with serving.serving() as children:
            self.stdout.write(installation.demo_welcome())
            # Into a pipe or a file it would otherwise be told when all has ended.
            self.stdout.flush()
            serving.wait(children)

    def _until(self, given: str | None) -> datetime:
        if given is None:
            return play.midnight(clock.now())
        try:
            return datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError as error:
            raise CommandError(f"--until {given!r}: expected a date as YYYY-MM-DD.") from error

    def _play(self, options: dict[str, Any], until: datetime) -> dict[str, Any]:
        told = Progress(days=options["days"], until=until)
        result = play.play(
            seed=options["seed"], until=until, customers=options["customers"], days=options["days"], told=told
        )
        told.finished()
        return result


class Progress(play.Told):
    """Says on stderr what is being done and how long it took; on a terminal the days are a bar."""

    def __init__(self, *, days: int, until: datetime) -> None:
        self._days = days
        self._start = until - timedelta(days=days)
        self._began = self._stage_began = time.monotonic()
        self._stage = ""
        self._bar: tqdm[Any] | None = None

    def stage(self, words: str) -> None:
        """Another part begins; says how long the one before took."""
        self._end()
        self._stage, self._stage_began = words, time.monotonic()
        tqdm.write(f"{words} …", file=sys.stderr)

    def until(self, at: datetime) -> None:
        """The demo's clock shows `at` (aware UTC)."""
        if self._bar is None:
            self._bar = tqdm(total=self._days, unit="day", leave=False, disable=None)
        day = (at - self._start).days
        if day > self._bar.n:
            self._bar.update(day - self._bar.n)
        if self._bar.disable and at.hour == 0 and day % _DAYS_A_LINE == 0:
            seconds = time.monotonic() - self._stage_began
            tqdm.write(f"  day {day} of {self._days}, {seconds:.0f} s", file=sys.stderr)

    def finished(self) -> None:
        """Says how long all of it took."""
        self._end()
        tqdm.write(f"Played in {time.monotonic() - self._began:.0f} s.", file=sys.stderr)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self._stage:
            tqdm.write(f"  {time.monotonic() - self._stage_began:.1f} s", file=sys.stderr)
            self._stage = ""
