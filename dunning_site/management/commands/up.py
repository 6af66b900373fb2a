"""`manage.py up`: all services, on this machine's own stand-ins, without demo data."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from dunning_site.embedded import installation, serving


class Command(BaseCommand):
    help = "Serves Sollecito with embedded services (PostgreSQL, broker, SMTP sink, Stripe sandbox)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        port = serving.free_port(options["port"])
        base_url = f"http://127.0.0.1:{port}"
        installation.prepare(base_url=base_url)
        with serving.serving(port=port) as children:
            self.stdout.write(installation.welcome(base_url=base_url))
            serving.wait(children)
