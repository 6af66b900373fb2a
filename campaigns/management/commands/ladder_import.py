"""`manage.py ladder_import FILE`: makes a draft of a ladder's YAML file; publishing stays a decision of its own."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from campaigns.services.ladder_files import ladder_import
from campaigns.services.versions import ladder_publish
from customers import clock
from customers.errors import SollecitoError


class Command(BaseCommand):
    help = "Makes a draft of a ladder from YAML files; `-` reads standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument(
            "--settings-too",
            action="store_true",
            help="also take over name, trigger, brand and priority of a ladder in use; they apply at once",
        )
        parser.add_argument("--publish", action="store_true", help="publish the draft as well")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                for name in options["files"]:
                    self._import(name, settings=options["settings_too"], publish=options["publish"])
        except (SollecitoError, OSError, UnicodeDecodeError) as error:
            raise CommandError(str(error)) from error

    def _import(self, name: str, *, settings: bool, publish: bool) -> None:
        source = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
        done = ladder_import(source=source, place=name, settings=settings)
        if publish:
            ladder_publish(version_id=done.version.pk, actor_id=None, now=clock.now())
        self.stdout.write(f"{name}: {done.version}, {'published' if publish else 'a draft'}.")
        if done.kept:
            self.stdout.write(f"{name}: kept the ladder's own {', '.join(done.kept)} (see --settings-too).")
