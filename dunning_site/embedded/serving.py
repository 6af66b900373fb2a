"""Web server, workers and beat as children of one process that stops them all."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from dunning_site.embedded import processes
from dunning_site.embedded.environment import var
from dunning_site.embedded.postgres import ROOT


@contextlib.contextmanager
def serving(*, workers: int = 2) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Web on BASE_URL, `workers` Celery worker processes and beat, until the block ends."""
    bin_dir = Path(sys.executable).parent
    logs = var() / "log"
    commands = {
        "web": [
            *(str(bin_dir / "gunicorn"), "dunning_site.wsgi", "--bind", urlsplit(settings.BASE_URL).netloc),
            *("--workers", "2", "--threads", "4", "--worker-tmp-dir", "/tmp", "--no-control-socket"),
        ],
        "worker": [
            *(str(bin_dir / "celery"), "-A", "dunning_site.celery", "worker", "--concurrency", str(workers)),
            *("--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
        ],
        "beat": [
            *(str(bin_dir / "celery"), "-A", "dunning_site.celery", "beat", "--loglevel", "WARNING"),
            *("--pidfile", ""),
        ],
    }
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            children[name] = processes.start(command, log=logs / f"{name}.log", cwd=ROOT)
        yield children
    finally:
        for name in reversed(children):
            processes.stop(children[name], seconds=15)


def wait(children: dict[str, subprocess.Popen[bytes]]) -> None:
    """Returns on Ctrl-C or SIGTERM; raises SystemExit naming the log if a child ends by itself."""
    with contextlib.suppress(KeyboardInterrupt):
        # A shell that starts us in the background has SIGINT ignored, and children inherit that.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        while True:
            for name, child in children.items():
                if child.poll() is not None:
                    raise SystemExit(f"{name} ended with {child.returncode}; see {var() / 'log' / (name + '.log')}")
            time.sleep(0.5)
