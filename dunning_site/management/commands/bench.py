"""`manage.py bench`: reproducible measurements on a database of their own; see benchmarks/."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Measures a loop on a throw-away database and prints the figures."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["engine", "retries", "simulator", "admin_pages", "imports"])
        parser.add_argument(
            "--cases", type=int, nargs="+", default=[10_000, 100_000], help="Sizes, one after the other."
        )
        parser.add_argument("--batch", type=int, default=1000, help="Cases per batch.")
        parser.add_argument("--naive", type=int, default=500, help="Cases for the naive loop.")
        parser.add_argument("--workers", type=int, default=1, help="Processes for one more run beside each other.")
        parser.add_argument("--keep", metavar="DIR", help="Folder of a database that is kept for the next time.")
        parser.add_argument("--only", default="", help="Of admin_pages: those with this in their name.")
        parser.add_argument("--asked", type=int, default=30, help="Of admin_pages: times each page is asked for.")
        parser.add_argument("--json", action="store_true", help="JSON only.")

    def handle(self, *args: Any, **options: Any) -> None:
        from benchmarks import admin_pages, engine, imports, simulator
        from benchmarks.retries import speed

        progress = (lambda _text: None) if options["json"] else self._progress
        loops: dict[str, Callable[..., dict[str, Any]]] = {
            "simulator": simulator.run,
            "retries": speed.run,
            "admin_pages": partial(admin_pages.run, only=options["only"], asked=options["asked"]),
            "imports": imports.run,
        }
        if options["what"] in loops:
            self._print(loops[options["what"]](options["cases"], progress=progress), options)
            return
        figures = engine.run(
            options["cases"],
            batch_size=options["batch"],
            naive_sample=options["naive"],
            workers=options["workers"],
            progress=progress,
        )
        self._print(figures, options)

    def _print(self, figures: dict[str, Any], options: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(figures, indent=None if options["json"] else 2))

    def _progress(self, text: str) -> None:
        sys.stderr.write(f"… {text}\n")
