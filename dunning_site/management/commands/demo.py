"""`manage.py demo`: a believable company, sixty days of its life, and then the back office to look at it."""

import json
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from billing.models import Invoice
from customers import clock
from dunning_site.demo import play, summary
from dunning_site.demo.mailbox import Mailbox
from dunning_site.embedded import installation, serving
from dunning_site.embedded.environment import unfinished_mark, var


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
            serving.wait(children)

    def _until(self, given: str | None) -> datetime:
        if given is None:
            return play.midnight(clock.now())
        try:
            return datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError as error:
            raise CommandError(f"--until {given!r}: expected a date as YYYY-MM-DD.") from error

    def _play(self, options: dict[str, Any], until: datetime) -> dict[str, Any]:
        with tqdm(total=options["days"], unit="day", desc="Playing", disable=None) as bar:

            def progress(at: datetime) -> None:
                if at.hour == 0:
                    bar.update()

            ledger = play.play(
                seed=options["seed"],
                until=until,
                customers=options["customers"],
                days=options["days"],
                progress=progress,
            )
        return summary.summary(
            seed=options["seed"],
            until=until.date().isoformat(),
            ledger=ledger,
            mails=Mailbox().count(),
        )
