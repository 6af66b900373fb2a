"""Reads settings from the environment and refuses what it cannot understand, naming variable and remedy."""

import os
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """The variable's value; raises ImproperlyConfigured if it is unset and has no default."""
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"{name} is not set. See docs/operations.md, 'Settings'.")
    return value


def flag(name: str, default: bool = False) -> bool:
    """1/true/yes/on or 0/false/no/off; anything else is refused rather than guessed."""
    value = os.environ.get(name, "").strip().lower()
    if value == "":
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither true nor false.")


def number(name: str, default: int) -> int:
    """A whole number."""
    value = os.environ.get(name, "")
    try:
        return int(value) if value else default
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number.") from error


def items(name: str, default: str = "") -> list[str]:
    """A comma-separated list; empty parts are dropped."""
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def prices(name: str, default: str = "") -> dict[str, int]:
    """`email=10,sms=830`: whole numbers by name, none below zero."""
    found: dict[str, int] = {}
    for item in items(name, default):
        key, sign, value = item.partition("=")
        if not sign or not value.strip().isdecimal():
            raise ImproperlyConfigured(f"{name}: {item!r} is not written as name=whole number.")
        found[key.strip()] = int(value)
    return found


def pairs(name: str, default: str = "") -> dict[str, str]:
    """A comma-separated list of `key=value`; a part without `=` is refused."""
    found = {}
    for part in items(name, default):
        key, equals, value = part.partition("=")
        if not (equals and key.strip() and value.strip()):
            raise ImproperlyConfigured(f"{name}: {part!r} is not of the form key=value.")
        found[key.strip()] = value.strip()
    return found


def database(name: str) -> dict[str, object]:
    """A PostgreSQL URL as Django's DATABASES entry. `?host=/dir` is a unix socket directory."""
    url = urlsplit(text(name))
    if url.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"{name}: PostgreSQL is the only database; got {url.scheme!r}.")
    query = {key: values[-1] for key, values in parse_qs(url.query).items()}
    options: dict[str, object] = {
        key: value for key, value in query.items() if key in {"sslmode", "sslrootcert", "application_name"}
    }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.lstrip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": query.get("host") or url.hostname or "",
        "PORT": query.get("port") or str(url.port or ""),
        "OPTIONS": options,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": False,
    }


def mail(name: str) -> dict[str, object]:
    """`smtp://user:password@host:port?tls=1` (or ssl=1) as Django's e-mail settings; no host where it is not set."""
    given = text(name, "")
    if not given:
        return {"EMAIL_HOST": ""}
    url = urlsplit(given)
    if url.scheme != "smtp":
        raise ImproperlyConfigured(
            f"{name}: expected smtp://…; for an e-mail provider set EMAIL_BACKEND and ANYMAIL_* instead."
        )
    query = parse_qs(url.query)
    return {
        "EMAIL_HOST": url.hostname or "localhost",
        "EMAIL_PORT": url.port or 25,
        "EMAIL_HOST_USER": unquote(url.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(url.password or ""),
        "EMAIL_USE_TLS": query.get("tls", ["0"])[-1] == "1",
        "EMAIL_USE_SSL": query.get("ssl", ["0"])[-1] == "1",
        "EMAIL_TIMEOUT": 20,
    }
