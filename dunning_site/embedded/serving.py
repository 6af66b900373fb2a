"""Web server, workers and beat as children of one process that stops them all."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from dunning_site.embedded import processes
from dunning_site.embedded.environment import var
from dunning_site.embedded.postgres import ROOT


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else one the system gives."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise RuntimeError("No free port.")


@contextlib.contextmanager
def serving(*, port: int, workers: int = 2) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Web on `port`, `workers` Celery worker processes and beat, until the block ends."""
    bin_dir = Path(sys.executable).parent
    logs = var() / "log"
    env = {**os.environ, "BASE_URL": f"http://127.0.0.1:{port}"}
    commands = {
        "web": [
            *(str(bin_dir / "gunicorn"), "dunning_site.wsgi", "--bind", f"127.0.0.1:{port}"),
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
            children[name] = processes.start(command, log=logs / f"{name}.log", env=env, cwd=ROOT)
        yield children
    finally:
        for name in reversed(children):
            processes.stop(children[name], seconds=15)


def wait(children: dict[str, subprocess.Popen[bytes]]) -> None:
    """Returns on Ctrl-C or SIGTERM; raises SystemExit naming the log if a child ends by itself."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        while True:
            for name, child in children.items():
                if child.poll() is not None:
                    raise SystemExit(f"{name} ended with {child.returncode}; see {var() / 'log' / (name + '.log')}")
            time.sleep(0.5)
