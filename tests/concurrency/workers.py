"""Real processes over the test's own database: workers, beat and web, started to be killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from celery import Celery
from django.db import connection

from dunning_site.embedded import processes
from dunning_site.embedded.broker import Broker
from dunning_site.embedded.postgres import ROOT
from dunning_site.embedded.smtp_sink import Sink
from dunning_site.embedded.stripe_sandbox.server import SandboxServer

WEBHOOK_SECRET = "whsec_current"
#: A worker that takes no account of what others have claimed: see careless.py.
CARELESS = "tests.concurrency.careless"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Calls:
    """Counts the requests to charge an invoice as they reach the sandbox: refused and repeated ones too.

    The ledger cannot tell a lost claim: an invoice that is paid refuses the second charge.
    """

    def __init__(self, server: SandboxServer) -> None:
        self.made: list[tuple[str, str]] = []
        real = server.keys.begin

        def begin(key: str, method: str, path: str, body: str) -> dict[str, Any] | None:
            if path.endswith("/pay"):
                self.made.append((path.split("/")[-2], key))
            return real(key, method, path, body)

        server.keys.begin = begin  # type: ignore[method-assign]

    def by_invoice(self) -> Counter[str]:
        """How often each invoice was asked to be charged."""
        return Counter(invoice for invoice, _key in self.made)

    def keys_by_invoice(self) -> Counter[str]:
        """Under how many different keys: what would have been charges of their own."""
        return Counter(invoice for invoice, _key in set(self.made))


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker and the name its connections to the database bear."""

    name: str
    pid: int


class Processes:
    """Workers, beat and web of one test, each in a session of its own."""

    def __init__(self, folder: Path, *, sandbox: SandboxServer, sink: Sink, web_port: int) -> None:
        self.folder = folder
        self.broker = Broker(folder / "redis")
        self.web_port = web_port
        self.workers: list[Worker] = []
        self._started = 0
        self._nursery: subprocess.Popen[str] | None = None
        self._others: list[subprocess.Popen[bytes]] = []
        self._env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "dunning_site.settings",
            "BROKER_URL": self.broker.url,
            "EMAIL_URL": f"smtp://127.0.0.1:{sink.port}",
            "STRIPE_API_BASE": sandbox.url,
            "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET,
            "BASE_URL": f"http://127.0.0.1:{web_port}",
            "SOLLECITO_VAR": str(folder),
            "LOG_LEVEL": "WARNING",
        }

    def __enter__(self) -> "Processes":
        self.broker.start()
        return self

    def __exit__(self, *details: object) -> None:
        self.stop_workers()
        for process in reversed(self._others):
            processes.stop(process)
        self.broker.stop()

    def start_worker(self, app: str = "dunning_site.celery") -> None:
        """One more worker; all of a test are of the same app."""
        if self._nursery is None:
            log = (self.folder / "nursery.log").open("ab")
            command = [sys.executable, "-m", "tests.concurrency.nursery", app, str(self.folder)]
            self._nursery = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env=self._env, text=True
            )
            log.close()
        assert self._nursery.stdin
        assert self._nursery.stdout
        self._started += 1
        name = f"worker{self._started}"
        print(name, file=self._nursery.stdin, flush=True)
        self.workers.append(Worker(name, int(self._nursery.stdout.readline() or 0)))
        assert self.workers[-1].pid, self.logs()

    def start_beat(self) -> None:
        options = ["--loglevel", "WARNING", "--pidfile", ""]
        self._others.append(self._start("beat", "celery", "-A", "dunning_site.celery", "beat", *options))

    def start_web(self) -> None:
        options = ["--workers", "1", "--threads", "4", "--worker-tmp-dir", "/tmp", "--no-control-socket"]
        bind = f"127.0.0.1:{self.web_port}"
        self._others.append(self._start("web", "gunicorn", "dunning_site.wsgi", "--bind", bind, *options))
        assert until(lambda: answers(self.web_port), seconds=60), self.logs()

    def _start(self, name: str, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).parent / program), *arguments]
        return processes.start(command, log=self.folder / f"{name}.log", cwd=ROOT, env=self._env)

    def works(self, index: int) -> bool:
        """Whether this worker has come up and begun: it has its connection to the database."""
        with connection.cursor() as cursor:
            name = self.workers[index].name
            cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = %s)", [name])
            return bool(cursor.fetchone()[0])

    def kill(self, index: int) -> None:
        """-9 to a worker's whole group, and another worker in its place."""
        os.killpg(self.workers[index].pid, signal.SIGKILL)
        self.start_worker()
        self.workers[index] = self.workers.pop()

    def stop_workers(self) -> None:
        """Has the workers finish what they do."""
        for worker in self.workers:
            os.killpg(worker.pid, signal.SIGTERM)
        stopped = until(lambda: not any(Path(f"/proc/{w.pid}").exists() for w in self.workers), seconds=30)
        self.workers.clear()
        if self._nursery is not None:
            # Without us it ends, and with it whoever is left.
            self._nursery.communicate(timeout=10)
            self._nursery = None
        assert stopped, self.logs()

    def wake(self, *tasks: str) -> None:
        """Asks for each of these tasks once."""
        with Celery(broker=self.broker.url, set_as_current=False) as client:
            for task in tasks:
                client.send_task(task, ignore_result=True)

    def flush_broker(self) -> int:
        """Deletes everything the broker has; returns how many wake-ups were waiting."""
        with redis.Redis(unix_socket_path=str(self.broker.socket)) as client:
            waiting = int(client.llen("celery"))  # type: ignore[arg-type]
            client.flushall()
        return waiting

    def logs(self) -> str:
        """What the processes complained about."""
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-3000:]}" for path in self.folder.glob("*.log")
        )


def until(condition: Callable[[], bool], *, seconds: float, every: float = 0.05) -> bool:
    """Waits for a condition other processes bring about; False when time was over before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(every)
    return False


def mails_by_key(sink: Sink) -> Counter[str]:
    """How many mails arrived for each message, by the key it carries."""
    marker = b"\r\nX-Sollecito-Message: "
    heads = (sink.reader.content(mail).partition(b"\r\n\r\n")[0] for mail in sink.mails())
    return Counter(head.partition(marker)[2].partition(b"\r\n")[0].decode() for head in heads)
