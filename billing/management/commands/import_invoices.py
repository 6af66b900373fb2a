"""`manage.py import_invoices`: takes in a receivables file."""

import json
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from billing.imports.presets import Preset
from billing.imports.runs import import_confirm, import_discard, import_start
from billing.imports.work import imports_run
from billing.models import ImportRow, ImportRun
from customers import clock
from customers.errors import SollecitoError
from customers.models import Brand


class Command(BaseCommand):
    """Imports invoices or payments from a CSV or XLSX file, as the admin does; the same file twice changes nothing.

    Rows that cannot be taken are told and left out; with --strict they keep the whole file out.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--preset", default="", help="kind of file; without: told by its headings")
        parser.add_argument("--as-of", type=date.fromisoformat, help="day the file is seen on, YYYY-MM-DD")
        parser.add_argument("--date-format", default="", help="%%d/%%m/%%Y of a file that can be read either way")
        parser.add_argument("--currency", default="", help="of files that do not tell theirs, like EUR")
        parser.add_argument("--brand", required=True, help="code of the brand that is owed")
        parser.add_argument("--email-domain", default="", help="gives customers made-up addresses under this domain")
        parser.add_argument("--user", default="", help="name of the user it is done for, in the log")
        parser.add_argument("--strict", action="store_true", help="writes nothing if a row is rejected")
        parser.add_argument("--dry-run", action="store_true", help="checks and counts, writes nothing")
        parser.add_argument("--json", action="store_true", help="prints the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        brand = Brand.objects.filter(code=options["brand"]).first()
        if brand is None:
            raise CommandError(f"There is no brand {options['brand']!r}.")
        user = get_user_model().objects.filter(username=options["user"]).first() if options["user"] else None
        if options["user"] and user is None:
            raise CommandError(f"There is no user {options['user']!r}.")
        now = clock.now()
        path: Path = options["file"]
        try:
            with path.open("rb") as file:
                run = import_start(
                    name=path.name,
                    chunks=iter(lambda: file.read(1024**2), b""),
                    preset=options["preset"],
                    brand_id=brand.pk,
                    as_of=options["as_of"] or now.date(),
                    now=now,
                    actor_id=user.pk if user else None,
                    email_domain=options["email_domain"],
                    date_format=options["date_format"],
                    currency=options["currency"].upper(),
                )
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error}") from error
        except SollecitoError as error:
            raise CommandError(error.message) from error
        if run.status == ImportRun.Status.MAPPING:
            import_discard(run_id=run.pk, now=now)
            raise CommandError(self._asks(Preset.from_json(run.layout)))
        run = self._work(run)
        refused = bool(options["strict"] and run.rejected)
        if options["dry_run"] or refused:
            errors = self._errors(run)
            import_discard(run_id=run.pk, now=now)
        else:
            if run.new + run.changed:
                run = self._work(import_confirm(run_id=run.pk, now=now))
            errors = self._errors(run)
        self._tell(run, errors, options["json"])
        if refused:
            raise CommandError(f"{run.rejected} rows cannot be taken; nothing was written.")

    def _asks(self, layout: Preset) -> str:
        if layout.code and not layout.date_format:
            return "Its dates can be read with the day or the month first: say --date-format, like %d/%m/%Y."
        if layout.code and not layout.tells_currency:
            return "The file does not tell its currency: say --currency."
        return "The file has not the columns of this kind of file. Name its columns in the admin."

    def _work(self, run: ImportRun) -> ImportRun:
        waits = {run.status}
        while run.status in waits:
            imports_run(now=clock.now(), run_id=run.pk)
            run.refresh_from_db()
        if run.status == ImportRun.Status.FAILED:
            raise CommandError(run.error)
        return run

    def _errors(self, run: ImportRun) -> list[str]:
        rejected = ImportRow.objects.filter(run=run, outcome=ImportRow.Outcome.REJECTED).order_by("number")
        return [
            f"Row {row.number} (line {row.line}), {column} {value!r}: {reason}. {remedy}".rstrip()
            for row in rejected.iterator()
            for column, value, reason, remedy in row.errors
        ]

    def _tell(self, run: ImportRun, errors: list[str], as_json: bool) -> None:
        written = run.status == ImportRun.Status.DONE
        if as_json:
            told = {
                "rows": run.rows,
                "created": run.new,
                "updated": run.changed,
                "unchanged": run.unchanged,
                "rejected": run.rejected,
                "customers_created": run.customers_new,
                "errors": errors,
                "written": written,
            }
            self.stdout.write(json.dumps(told))
            return
        for line in errors:
            self.stderr.write(line)
        counts = f"{run.rows} rows: {run.new} new, {run.changed} changed, {run.unchanged} as they were, "
        counts += f"{run.rejected} rejected, {run.customers_new} new customers."
        self.stdout.write(counts if written else f"{counts} Nothing was written.")
