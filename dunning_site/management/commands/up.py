"""`manage.py up`: all services, on this machine's own stand-ins, without demo data."""

from typing import Any

from django.core.management.base import BaseCommand

from dunning_site.embedded import installation, serving


class Command(BaseCommand):
    help = "Serves Sollecito with embedded services (PostgreSQL, broker, SMTP sink, Stripe sandbox)."

    def handle(self, *args: Any, **options: Any) -> None:
        installation.prepare()
        password = installation.first_admin()
        with serving.serving() as children:
            self.stdout.write(installation.welcome(password=password))
            # Into a pipe or a file it would otherwise be told when all has ended.
            self.stdout.flush()
            serving.wait(children)
