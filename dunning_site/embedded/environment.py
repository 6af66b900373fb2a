"""Starts embedded services, or joins running ones, and tells their addresses by environment variables."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dunning_site.embedded import postgres, processes, twilio_sink
from dunning_site.embedded.postgres import ROOT

#: Keys of the Stripe sandbox: right in form, worth nothing anywhere else.
SANDBOX_KEYS = {
    "STRIPE_SECRET_KEY": "sk_test_sollecitosandbox0000000000",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_sollecitosandbox0000000000",
    "STRIPE_WEBHOOK_SECRETS": "whsec_sollecitosandbox",
}

#: What comes back from customers: the webhooks' proof of origin and where replies go.
REPLIES = {
    "INBOUND_ADDRESS": "reply@in.nuvola.example",
    "ANYMAIL_WEBHOOK_SECRET": "sollecito:sandbox",
    "TWILIO_ACCOUNT_SID": twilio_sink.ACCOUNT_SID,
    "TWILIO_AUTH_TOKENS": twilio_sink.AUTH_TOKEN,
    "TWILIO_SMS_FROM": twilio_sink.SMS_FROM,
}


def var() -> Path:
    """Folder of all data of the embedded services; SOLLECITO_VAR moves it."""
    return Path(os.environ.get("SOLLECITO_VAR", ROOT / "var")).resolve()


def _services_file() -> Path:
    return var() / "run" / "services.json"


def _secret_key() -> str:
    path = var() / "secret_key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text()


@contextlib.contextmanager
def database_only() -> Iterator[None]:
    """Points this process at the embedded database, started for as long as the block lasts.

    If a full set of services is running already (make demo, make run), all its addresses are used.
    """
    os.environ["EMBEDDED"] = "1"
    os.environ.setdefault("SECRET_KEY", _secret_key())
    cluster = postgres.Cluster(var() / "pg")
    if cluster.is_up():
        if _services_file().exists():
            os.environ.update(json.loads(_services_file().read_text()))
        os.environ["DATABASE_URL"] = cluster.url()
        yield
        return
    cluster = postgres.create(var() / "pg")
    cluster.start()
    os.environ["DATABASE_URL"] = cluster.url()
    try:
        yield
    finally:
        cluster.stop()


@contextlib.contextmanager
def throw_away_database() -> Iterator[None]:
    """Points this process at a database of its own, gone afterwards: measurements touch nobody's data."""
    os.environ["EMBEDDED"] = "1"
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(50))
    os.environ["BROKER_URL"] = "memory://"
    with postgres.throw_away() as cluster:
        os.environ["DATABASE_URL"] = cluster.url()
        yield


@contextlib.contextmanager
def kept_database(folder: Path) -> Iterator[None]:
    """Points this process at a database of its own in `folder` that is there again next time: what takes minutes to
    fill is filled once, and again when the schema is another: no figure is of indexes that are gone."""
    os.environ["EMBEDDED"] = "1"
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(50))
    os.environ["BROKER_URL"] = "memory://"
    data = folder / postgres.template().name
    for old in folder.glob("pg*/"):
        if old != data:
            shutil.rmtree(old)
    cluster = postgres.create(data, durable=False)
    cluster.start()
    os.environ["DATABASE_URL"] = cluster.url()
    try:
        yield
    finally:
        cluster.stop()


@contextlib.contextmanager
def all_services(*, throw_away: bool = False) -> Iterator[None]:
    """Starts database, broker, the sink of mails and texts and the Stripe sandbox and points this process at them.

    With `throw_away` they keep nothing. Raises SystemExit when another set runs on the same folder: two
    would write the same files.
    """
    base = Path(tempfile.mkdtemp(prefix="sollecito-")) if throw_away else var()
    cluster = postgres.Cluster(base / "pg", durable=not throw_away)
    if cluster.is_up():
        raise SystemExit(f"Sollecito is running already on {base}. Stop it first (Ctrl-C there).")
    # Imported here: the broker's client is not needed by commands that only want the database.
    from dunning_site.embedded.broker import Broker

    forget_unfinished(base)
    # Static files are served from where the packages have them; WhiteNoise warns if the folder is missing.
    (ROOT / "staticfiles").mkdir(exist_ok=True)
    cluster = postgres.create(base / "pg", durable=not throw_away)
    broker = Broker(base / "redis")
    base_url = f"http://127.0.0.1:{_free_port(0 if throw_away else int(os.environ.get('PORT', '8000')))}"
    children: list[subprocess.Popen[bytes]] = []
    try:
        cluster.start()
        broker.start()
        twilio_port = _free_port(0)
        smtp_port = _start_with_port(
            children,
            base,
            "smtp_sink",
            [
                *("dunning_site.embedded.smtp_sink", "--dir", str(base / "mail")),
                *("--twilio-port", str(twilio_port)),
            ],
        )
        stripe_port = _start_with_port(
            children,
            base,
            "stripe_sandbox",
            [
                *("dunning_site.embedded.stripe_sandbox", "--state", str(base / "stripe.json")),
                *("--webhook-url", f"{base_url}/webhooks/stripe/"),
                *("--webhook-secret", SANDBOX_KEYS["STRIPE_WEBHOOK_SECRETS"]),
            ],
        )
        stripe = f"http://127.0.0.1:{stripe_port}"
        address = {
            "EMBEDDED": "1",
            "SECRET_KEY": secrets.token_urlsafe(50) if throw_away else _secret_key(),
            "SOLLECITO_VAR": str(base),
            "BASE_URL": base_url,
            "DATABASE_URL": cluster.url(),
            "BROKER_URL": broker.url,
            "EMAIL_URL": f"smtp://127.0.0.1:{smtp_port}",
            "TWILIO_API_BASE": f"http://127.0.0.1:{twilio_port}",
            **REPLIES,
            "STRIPE_API_BASE": stripe,
            "STRIPE_JS_URL": f"{stripe}/v3/",
            # The sandbox refuses nobody for asking too often: Stripe's own pace would be waiting for nothing.
            "STRIPE_READS_PER_SECOND": "0",
            "STRIPE_WRITES_PER_SECOND": "0",
            **SANDBOX_KEYS,
        }
        os.environ.update(address)
        (base / "run").mkdir(exist_ok=True)
        (base / "run" / "services.json").write_text(json.dumps(address))
        yield
    finally:
        for child in reversed(children):
            processes.stop(child)
        broker.stop()
        cluster.stop()
        (base / "run" / "services.json").unlink(missing_ok=True)
        if throw_away:
            shutil.rmtree(base, ignore_errors=True)


def unfinished_mark(base: Path) -> Path:
    """A file that is there while data is being made that is of no use half-made (the demo)."""
    return base / "unfinished"


def forget_unfinished(base: Path) -> None:
    """Removes what an interrupted demo has left, so that the next start begins anew instead of failing."""
    if unfinished_mark(base).exists():
        for name in ("pg", "redis", "mail", "run"):
            shutil.rmtree(base / name, ignore_errors=True)
        (base / "stripe.json").unlink(missing_ok=True)
        unfinished_mark(base).unlink()


def _free_port(wanted: int) -> int:
    # `wanted` if nobody listens there, else one the system gives.
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise RuntimeError("No free port on loopback.")


def _start_with_port(
    children: list[subprocess.Popen[bytes]], base: Path, name: str, module: list[str], *, seconds: float = 20
) -> int:
    # The service writes the port down once it listens.
    port_file = base / "run" / f"{name}.port"
    port_file.parent.mkdir(parents=True, exist_ok=True)
    # The same port as last time where it is free: links in stored mail and invoices lead there.
    before = port_file.read_text().strip() if port_file.exists() else ""
    port = _free_port(int(before or 0))
    port_file.unlink(missing_ok=True)
    log = base / "log" / f"{name}.log"
    child = processes.start(
        [sys.executable, "-m", *module, "--port", str(port), "--port-file", str(port_file)], log=log, cwd=ROOT
    )
    children.append(child)
    deadline = time.monotonic() + seconds
    while not (port_file.exists() and port_file.read_text().strip()):
        if child.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{name} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
    return int(port_file.read_text())
