"""`manage.py up` as a person has it: it serves, it stops whole, and nothing outlives it, whatever ends it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from dunning_site.embedded.postgres import ROOT

pytestmark = pytest.mark.slow

#: What a test run or its machine tells its own processes and a fresh shell would not: `up` has to find it out for
#: itself, and unbuffered output would hide that what it says does not come out.
OWN = ("DATABASE_URL", "SECRET_KEY", "EMBEDDED", "BROKER_URL", "STRIPE_", "DJANGO_SETTINGS_MODULE", "PYTHONUNBUFFERED")


class Up:
    """One `manage.py up` on a folder and a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "up.log"
        env = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=env | {"SOLLECITO_VAR": str(folder / "var"), "PORT": str(port)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_served(self) -> None:
        assert until(self._serves, seconds=150), self.words()

    def _serves(self) -> bool:
        assert self.process.poll() is None, self.words()
        try:
            return requests.get(f"{self.url}/admin/login/", timeout=20).status_code == 200
        except requests.RequestException:
            return False

    def words(self) -> str:
        logs = sorted((self.folder / "var" / "log").glob("*.log"))
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-2000:]}" for path in (self.log, *logs))

    def left(self) -> dict[int, str]:
        """Processes whose command line, environment or place is our folder; servers overwrite the first two."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
                known = command + (entry / "environ").read_bytes() + os.fsencode((entry / "cwd").readlink())
            except OSError:
                continue
            if str(self.folder / "var").encode() in known and int(entry.name) != os.getpid():
                found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")[:120]
        return found


def until(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path)
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGINT)
        running.process.wait(90)
    for pid in running.left():
        os.kill(pid, signal.SIGKILL)


def test_it_serves_and_stops_on_ctrl_c_leaving_nobody(up: Up) -> None:
    up.wait_until_served()
    assert requests.post(f"{up.url}/webhooks/stripe/", data=b"{}", timeout=20).status_code == 400
    assert until(lambda: "Ctrl-C" in up.log.read_text(), seconds=20), up.words()
    commands = " ".join(up.left().values())
    for part in (
        "manage.py up",
        "postgres",
        "redis-server",
        "smtp_sink",
        "stripe_sandbox",
        "gunicorn",
        "worker",
        "beat",
    ):
        assert part in commands
    up.process.send_signal(signal.SIGINT)
    up.process.wait(90)
    assert up.process.returncode == 0, up.words()
    assert up.left() == {}
    assert "Traceback" not in up.words()


def test_killed_with_9_it_takes_everybody_along(up: Up) -> None:
    up.wait_until_served()
    up.process.kill()
    up.process.wait(5)
    assert until(lambda: not up.left(), seconds=30), up.left()
