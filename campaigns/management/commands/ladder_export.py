"""`manage.py ladder_export CODE`: writes a ladder as YAML, its published version unless another is asked for."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns.models import LadderVersion, VersionStatus
from campaigns.services.ladder_files import ladder_export
from customers.errors import SollecitoError


class Command(BaseCommand):
    help = "Writes a ladder as YAML to standard output, for review and keeping in version control."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("code", help="code of the ladder")
        parser.add_argument("--number", type=int, help="number of a version; without it the published one")
        parser.add_argument("--draft", action="store_true", help="the draft")

    def handle(self, *args: Any, **options: Any) -> None:
        versions = LadderVersion.objects.filter(ladder__code=options["code"])
        if options["number"] is not None:
            versions = versions.filter(number=options["number"])
        else:
            versions = versions.filter(status=VersionStatus.DRAFT if options["draft"] else VersionStatus.PUBLISHED)
        version = versions.first()
        if version is None:
            raise CommandError(f"No such version of a ladder {options['code']!r}.")
        try:
            self.stdout.write(ladder_export(version_id=version.pk), ending="")
        except SollecitoError as error:
            raise CommandError(error.message) from error
