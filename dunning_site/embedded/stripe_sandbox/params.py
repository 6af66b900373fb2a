"""Owns reading of Stripe's form-encoded, bracketed parameters."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from .errors import bad_request, missing_param

_KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")


def decode(text: str) -> dict[str, Any]:
    """Return nested dictionaries for ``a[b][0][c]=1``; lists stay dictionaries keyed by index."""
    root: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        match = _KEY.match(key)
        if match is None:
            raise bad_request(f"Invalid parameter name: {key}", param=key)
        path = [match[1], *_PART.findall(match[2])]
        here = root
        for part, following in zip(path, [*path[1:], None], strict=True):
            part = part or str(len(here))
            if following is None:
                here[part] = value
            else:
                below = here.setdefault(part, {})
                if not isinstance(below, dict):
                    raise bad_request(f"Invalid {match[1]}: mixed kinds of values", param=match[1])
                here = below
    return root


class Params:
    """Typed access to the parameters of one request; every error names the parameter."""

    def __init__(self, data: dict[str, Any], prefix: str = "") -> None:
        self.data = data
        self.prefix = prefix

    def path(self, name: str) -> str:
        """Name of a parameter as Stripe writes it in errors."""
        return f"{self.prefix}[{name}]" if self.prefix else name

    def __contains__(self, name: str) -> bool:
        return name in self.data

    def text(self, name: str, default: str | None = None) -> str | None:
        """A string; the empty string means null, as in Stripe's API."""
        if name not in self.data:
            return default
        value = self.data[name]
        if isinstance(value, dict):
            raise bad_request(f"Invalid string: {value}", param=self.path(name))
        return None if value is None or value == "" else str(value)

    def need(self, name: str) -> str:
        """A string that must be there."""
        value = self.text(name)
        if value is None:
            raise missing_param(self.path(name))
        return value

    def integer(self, name: str, default: int | None = None) -> int | None:
        """An integer (minor units, seconds, counts)."""
        value = self.text(name)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            raise bad_request(
                f"Invalid integer: {value}", param=self.path(name), code="parameter_invalid_integer"
            ) from None

    def need_integer(self, name: str) -> int:
        """An integer that must be there."""
        value = self.integer(name)
        if value is None:
            raise missing_param(self.path(name))
        return value

    def boolean(self, name: str, default: bool | None = None) -> bool | None:
        """``true`` or ``false``."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() in {"true", "1"}:
            return True
        if value.lower() in {"false", "0"}:
            return False
        raise bad_request(f"Invalid boolean: {value}", param=self.path(name))

    def child(self, name: str) -> Params:
        """The parameters under one name; empty when absent."""
        value = self.data.get(name)
        if value is None or value == "":
            value = {}
        if not isinstance(value, dict):
            raise bad_request("Invalid object", param=self.path(name))
        return Params(value, self.path(name))

    def mapping(self, name: str) -> dict[str, str]:
        """Flat names and strings, such as metadata."""
        return {key: str(value) for key, value in self.child(name).data.items()}

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        value = self.data.get(name)
        if isinstance(value, str):
            return [value] if value else []
        if isinstance(value, list):
            return [str(entry) for entry in value]
        return [str(entry) for _, entry in _in_order(self.child(name).data)]

    def children(self, name: str) -> list[Params]:
        """A list of objects."""
        value = self.data.get(name)
        pairs = list(enumerate(value)) if isinstance(value, list) else _in_order(self.child(name).data)
        out = []
        for index, entry in pairs:
            if not isinstance(entry, dict):
                raise bad_request("Invalid object", param=self.path(f"{name}[{index}]"))
            out.append(Params(entry, f"{self.path(name)}[{index}]"))
        return out


def _in_order(data: dict[str, Any]) -> list[tuple[Any, Any]]:
    return sorted(data.items(), key=lambda pair: int(pair[0]) if pair[0].isdigit() else 0)


def merge_metadata(current: dict[str, str], params: Params) -> dict[str, str]:
    """Apply Stripe's rule: given keys are set, empty ones removed, an empty parameter clears all."""
    if "metadata" not in params:
        return current
    if params.data["metadata"] in ("", None):
        return {}
    merged = {**current, **params.mapping("metadata")}
    return {key: value for key, value in merged.items() if value != ""}
