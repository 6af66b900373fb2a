#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL the embedded services are used."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dunning_site.settings")
    from django.core.management import execute_from_command_line

    if "DATABASE_URL" in os.environ:
        execute_from_command_line(sys.argv)
        return
    from dunning_site.embedded.environment import embedded

    with embedded():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
