"""Loads the shipped segments, templates and ladders; safe to repeat."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from campaigns.services.shipped import shipped_load
from customers.clock import now
from customers.errors import SollecitoError
from customers.models import Brand


class Command(BaseCommand):
    help = "Publishes the segments, templates and ladders that come with Sollecito; a second run changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--brand", help="Code of the brand the ladders are for; default: every brand.")

    def handle(self, *args: Any, **options: Any) -> None:
        brand_id = None
        if options["brand"]:
            brand_id = Brand.objects.filter(code=options["brand"]).values_list("id", flat=True).first()
            if brand_id is None:
                raise CommandError(f"There is no brand {options['brand']!r}.")
        try:
            result = shipped_load(now=now(), brand_id=brand_id)
        except SollecitoError as error:
            raise CommandError(str(error)) from error
        for name in ("segments", "templates", "ladders", "unchanged", "kept"):
            if (codes := getattr(result, name)) and options["verbosity"]:
                self.stdout.write(f"{name}: {', '.join(codes)}")
