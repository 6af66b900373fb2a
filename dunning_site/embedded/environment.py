"""The environment variables of the embedded services: joins running ones or starts the database alone."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from dunning_site.embedded import postgres
from dunning_site.embedded.postgres import ROOT


def var() -> Path:
    """Folder of all data of the embedded services; SOLLECITO_VAR moves it."""
    return Path(os.environ.get("SOLLECITO_VAR", ROOT / "var")).resolve()


def services_file() -> Path:
    """Where a running set of services has written the environment others join it with."""
    return var() / "run" / "services.json"


def secret_key() -> str:
    """A secret of this installation's own, made once."""
    path = var() / "secret_key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text()


@contextlib.contextmanager
def embedded() -> Iterator[None]:
    """Points this process's environment at the embedded services.

    If a full set is running (make demo, make run) its addresses are used; otherwise only the database
    is started, for as long as the block lasts.
    """
    os.environ.setdefault("EMBEDDED", "1")
    os.environ.setdefault("SECRET_KEY", secret_key())
    cluster = postgres.Cluster(var() / "pg")
    if cluster.is_up():
        if services_file().exists():
            for name, value in json.loads(services_file().read_text()).items():
                os.environ.setdefault(name, value)
        os.environ.setdefault("DATABASE_URL", cluster.url())
        yield
        return
    cluster = postgres.create(var() / "pg")
    cluster.start()
    os.environ["DATABASE_URL"] = cluster.url()
    try:
        yield
    finally:
        cluster.stop()
