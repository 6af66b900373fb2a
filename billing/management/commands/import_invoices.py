"""`manage.py import_invoices`: takes in a receivables file."""

import json
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

import tablib
from django.core.management.base import BaseCommand, CommandError

from billing.imports.presets import PRESETS
from billing.imports.resource import InvoiceResource
from customers.models import Brand


class Command(BaseCommand):
    """Imports invoices from a CSV or XLSX file, all or nothing; the same file twice changes nothing."""

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--preset", choices=sorted(PRESETS), default="standard", help="how the file is written")
        parser.add_argument("--as-of", type=date.fromisoformat, help="day the file is seen on, YYYY-MM-DD")
        parser.add_argument("--brand", required=True, help="code of the brand that is owed")
        parser.add_argument("--email-domain", default="", help="gives customers made-up addresses under this domain")
        parser.add_argument("--dry-run", action="store_true", help="checks and counts, writes nothing")
        parser.add_argument("--json", action="store_true", help="prints the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        brand = Brand.objects.filter(code=options["brand"]).first()
        if brand is None:
            raise CommandError(f"There is no brand {options['brand']!r}.")
        path: Path = options["file"]
        try:
            if path.suffix.lower() == ".xlsx":
                dataset = tablib.Dataset().load(path.read_bytes(), format="xlsx")
            else:
                dataset = tablib.Dataset().load(path.read_text(encoding="utf-8-sig"), format="csv")
        except (OSError, ValueError, tablib.exceptions.TablibException) as error:
            raise CommandError(f"{path} cannot be read: {error}") from error
        resource = InvoiceResource(
            preset=options["preset"], brand=brand, as_of=options["as_of"], email_domain=options["email_domain"]
        )
        result = resource.import_data(dataset, dry_run=options["dry_run"])
        if result.base_errors:
            raise CommandError(str(result.base_errors[0].error))
        report = resource.report
        counts = {
            "rows": report.rows,
            "created": report.created,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "customers_created": report.customers,
            "errors": [str(error) for error in report.errors],
            "written": report.written,
        }
        if options["json"]:
            self.stdout.write(json.dumps(counts))
        else:
            for line in counts["errors"]:  # type: ignore[attr-defined]
                self.stderr.write(line)
            self.stdout.write(
                f"{report.rows} rows: {report.created} new, {report.updated} changed, {report.unchanged} "
                f"as they were, {report.customers} new customers."
                + ("" if report.written else " Nothing was written.")
            )
        if report.errors:
            raise CommandError(f"{len(report.errors)} errors; nothing was written.")
