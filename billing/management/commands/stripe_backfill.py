"""`manage.py stripe_backfill`: brings in an account that already has history."""

import json
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from billing.gateways import GatewayError
from billing.ingest.backfill import backfill
from billing.models import ProcessorAccount
from customers import clock


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Command(BaseCommand):
    """Brings in customers, subscriptions and unpaid invoices from Stripe; broken off, it goes on where it stopped."""

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", default="stripe", help="code of the processor account")
        parser.add_argument("--since", type=_day, help="also settled invoices and disputes since this day, YYYY-MM-DD")
        parser.add_argument("--mirror", action="store_true", help="also fill dj-stripe's copy")
        parser.add_argument("--restart", action="store_true", help="forget how far an earlier run came")
        parser.add_argument("--json", action="store_true", help="prints the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        account = ProcessorAccount.objects.filter(code=options["account"]).first()
        if account is None:
            raise CommandError(f"There is no processor account {options['account']!r}.")
        with tqdm(unit=" objects", file=sys.stderr, disable=options["json"] or not sys.stderr.isatty()) as bar:

            def progress(scope: str, count: int) -> None:
                bar.set_description(scope, refresh=False)
                bar.update(count)

            try:
                report = backfill(
                    account=account,
                    now=clock.now(),
                    since=options["since"],
                    mirror=options["mirror"],
                    restart=options["restart"],
                    progress=progress,
                )
            except GatewayError as error:
                raise CommandError(f"{error.message} Run the command again to go on.") from error
        if options["json"]:
            counts = {"seen": report.seen, "mirrored": report.mirrored, "errors": report.errors}
            self.stdout.write(json.dumps(counts))
            return
        for scope, count in report.seen.items():
            self.stdout.write(f"{count:>8}  {scope}")
        for line in report.errors:
            self.stderr.write(line)
