"""`python -m tests.concurrency.nursery <app> <folder>`: forks a Celery worker for each name it reads.

What a worker imports takes four seconds of processor time; forked from a process that has it all, it is up at once,
and ten of them can die within a test. From there on it is Celery's own command, in a session of its own.
"""

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import django

from dunning_site.embedded.processes import die_with_parent


def main() -> None:
    """Reads names from stdin and answers each with the worker's process id."""
    app_name, folder = sys.argv[1:]
    django.setup()
    app = import_module(app_name).app
    app.finalize()
    app.loader.import_default_modules()
    # Nobody waits for the dead.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        name = line.strip()
        pid = os.fork()
        if pid == 0:
            _work(app, name, Path(folder) / f"{name}.log")
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _work(app: Any, name: str, log: Path) -> None:
    os.setsid()
    die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    os.environ["PGAPPNAME"] = name
    options = ["--pool", "solo", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
    app.worker_main(["worker", *options, "--hostname", f"{name}@test"])
    os._exit(0)


if __name__ == "__main__":
    main()
