"""Owns the reading of the shipped templates and ladders (campaigns/shipped/) into checked, plain values.

It writes nothing: whoever loads them into the database takes `shipped_templates()` and `shipped_ladders()`. The
ladder files are read by campaigns.ladder_yaml, as every other ladder file is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from campaigns.ladder_yaml import LadderDoc, read_ladder
from campaigns.models.template import Template
from campaigns.rendering.paragraphs import mail_body
from campaigns.rendering.reasons import SHIPPED
from campaigns.yaml_reading import LadderFileError
from customers.models import Channel


@dataclass(frozen=True, slots=True)
class ShippedText:
    """A template in one language over one channel: MJML for e-mail, plain text for all others."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class ShippedTemplate:
    """One template; `texts` by channel, then by language."""

    code: str
    name: str
    channel: str
    tone: str
    texts: Mapping[str, Mapping[str, ShippedText]]


#: Key of a language's entry → channel; `body` is the e-mail's.
_CHANNEL_OF = {
    "body": Channel.EMAIL.value,
    "sms": Channel.SMS.value,
    "in_app": Channel.IN_APP.value,
    "letter": Channel.LETTER.value,
    "call": Channel.CALL.value,
}
#: Channels whose message has a heading: they share the subject.
_HEADED = frozenset({Channel.EMAIL.value, Channel.IN_APP.value, Channel.LETTER.value})


def shipped_templates() -> list[ShippedTemplate]:
    """Every template of the shipped set, by code."""
    return [_template(path) for path in sorted((SHIPPED / "templates").glob("*.yaml"))]


def _template(path: Path) -> ShippedTemplate:
    data = yaml.safe_load(path.read_text("utf-8"))
    texts: dict[str, dict[str, ShippedText]] = {}
    for language, entry in data["texts"].items():
        for key, source in entry.items():
            if key == "subject":
                continue
            channel = _CHANNEL_OF[_one_of(list(_CHANNEL_OF), key, f"{path.name}: {language}")]
            texts.setdefault(channel, {})[language] = ShippedText(
                subject=entry["subject"] if channel in _HEADED else "",
                body=mail_body(source) if channel == Channel.EMAIL else source.strip(),
            )
    return ShippedTemplate(
        code=path.stem,
        name=data["name"],
        channel=_one_of(Channel.values, data.get("channel", "email"), f"{path.name}: channel"),
        tone=_one_of(Template.Tone.values, data["tone"], f"{path.name}: tone"),
        texts=texts,
    )


def shipped_ladders() -> list[LadderDoc]:
    """Every ladder of the shipped set, by file name."""
    return [read_ladder(p.read_text("utf-8"), p.name) for p in sorted((SHIPPED / "ladders").glob("*.yaml"))]


def _one_of(choices: list[str], value: Any, place: str) -> str:
    if value not in choices:
        raise LadderFileError(place, f"{value!r} is none of {', '.join(choices)}.")
    return str(value)
