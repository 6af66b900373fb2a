#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL the embedded services are used."""

import contextlib
import os
import signal
import sys
from pathlib import Path

#: Commands that want every service, not the database alone.
WANT_ALL = {"demo", "up"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dunning_site.settings")
    try:
        with services(sys.argv):
            from django.core.management import execute_from_command_line

            execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)


def services(argv: list[str]) -> contextlib.AbstractContextManager[None]:
    """What the command needs besides the environment it was given."""
    command = argv[1] if len(argv) > 1 else "help"
    # The simulator is measured in memory.
    if command == "bench" and not {"--help", "simulator"} & set(argv):
        from dunning_site.embedded.environment import kept_database, throw_away_database

        kept = argv[argv.index("--keep") + 1 :][:1] if "--keep" in argv else []
        return kept_database(Path(kept[0])) if kept else throw_away_database()
    if "DATABASE_URL" in os.environ or command in {"help", "--help", "-h", "bench"} or "--help" in argv:
        os.environ.setdefault("SECRET_KEY", "help")
        os.environ.setdefault("DATABASE_URL", "postgresql:///none")
        return contextlib.nullcontext()
    from dunning_site.embedded.environment import all_services, database_only

    # So that a plain kill stops the services as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if command in WANT_ALL:
        return all_services(throw_away="--no-serve" in argv)
    return database_only()


if __name__ == "__main__":
    main()
