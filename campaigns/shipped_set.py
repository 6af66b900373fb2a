"""Owns the reading of the shipped templates and ladders (campaigns/shipped/) into checked, plain values.

It writes nothing: whoever loads them into the database takes `shipped_templates()` and `shipped_ladders()`. The
ladder files are read by campaigns.ladder_yaml, as every other ladder file is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from campaigns.ladder_yaml import LadderDoc, LadderFileError, read_ladder
from campaigns.models.template import Template
from campaigns.rendering.reasons import SHIPPED
from customers.models import Channel


@dataclass(frozen=True, slots=True)
class ShippedText:
    """One language of a template; `text` is None where the plain part is to be derived."""

    subject: str
    mjml: str
    text: str | None


@dataclass(frozen=True, slots=True)
class ShippedTemplate:
    """One template with its texts by language."""

    code: str
    name: str
    channel: str
    tone: str
    texts: Mapping[str, ShippedText]


def shipped_templates() -> list[ShippedTemplate]:
    """Every template of the shipped set, by code."""
    found = []
    for folder in sorted(path for path in (SHIPPED / "templates").iterdir() if path.is_dir()):
        meta = yaml.safe_load((folder / "meta.yaml").read_text("utf-8"))
        texts = {}
        for body in sorted(folder.glob("*.mjml")):
            language, plain = body.stem, folder / f"{body.stem}.txt"
            texts[language] = ShippedText(
                subject=(folder / f"{language}.subject.txt").read_text("utf-8").strip(),
                mjml=body.read_text("utf-8"),
                text=plain.read_text("utf-8") if plain.exists() else None,
            )
        place = f"{folder.name}/meta.yaml"
        found.append(
            ShippedTemplate(
                code=folder.name,
                name=meta["name"],
                channel=_one_of(Channel.values, meta["channel"], f"{place}: channel"),
                tone=_one_of(Template.Tone.values, meta["tone"], f"{place}: tone"),
                texts=texts,
            )
        )
    return found


def shipped_ladders() -> list[LadderDoc]:
    """Every ladder of the shipped set, by file name."""
    return [read_ladder(p.read_text("utf-8"), p.name) for p in sorted((SHIPPED / "ladders").glob("*.yaml"))]


def _one_of(choices: list[str], value: Any, place: str) -> str:
    if value not in choices:
        raise LadderFileError(place, f"{value!r} is none of {', '.join(choices)}.")
    return str(value)
