"""Owns the reading of the shipped templates and ladders (campaigns/shipped/) into checked, plain values.

It writes nothing: whoever loads them into the database takes `shipped_templates()` and `shipped_ladders()`. The
ladder schema is described in docs/ladders.md; a file that does not follow it is refused with the place.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from campaigns.models.ladder import Action, EndAction, StepAnchor, Trigger
from campaigns.models.template import Template
from campaigns.rendering.reasons import SHIPPED
from customers.errors import SollecitoError
from customers.models import Channel

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(\d{1,4})([hd])")


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


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time as it was written: `unit` is "hours" or "days"."""

    amount: int
    unit: str

    @property
    def hours(self) -> int:
        """The length in hours."""
        return self.amount * (24 if self.unit == "days" else 1)


@dataclass(frozen=True, slots=True)
class ShippedStep:
    """One rung; the window is in the customer's local time, its days ISO weekdays (1 is Monday)."""

    key: str
    name: str
    after: Span
    anchor: str
    action: str
    channel: str
    template: str
    window_days: tuple[int, ...]
    window_from: datetime.time | None
    window_to: datetime.time | None
    business_days: bool
    wait_for_retry_hours: int
    condition: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShippedLadder:
    """One ladder, its steps in order."""

    code: str
    name: str
    trigger: str
    description: str
    steps: tuple[ShippedStep, ...]
    end_actions: tuple[str, ...]
    end_after_hours: int
    min_gap_hours: int


class LadderFileError(SollecitoError):
    """A ladder file that does not follow the schema; the message names the place."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}", code="ladder_file")


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


def shipped_ladders() -> list[ShippedLadder]:
    """Every ladder of the shipped set, by file name."""
    return [read_ladder(p.read_text("utf-8"), p.name) for p in sorted((SHIPPED / "ladders").glob("*.yaml"))]


def read_ladder(source: str, place: str = "ladder") -> ShippedLadder:
    """A ladder from its YAML text; raises LadderFileError naming `place` and the step."""
    try:
        data = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise LadderFileError(place, str(error)) from error
    if not isinstance(data, dict) or data.get("schema") != 1:
        raise LadderFileError(place, "schema: 1 is expected.")
    _only(
        data,
        {"schema", "code", "name", "trigger", "description", "min_gap", "steps", "end_after", "end_actions"},
        place,
    )
    raw_steps = _need(data, "steps", place)
    if not isinstance(raw_steps, list) or not raw_steps:
        raise LadderFileError(place, "steps is a list of at least one.")
    steps = tuple(_step(raw, f"{place}: step {number}") for number, raw in enumerate(raw_steps, 1))
    if len({step.key for step in steps}) != len(steps):
        raise LadderFileError(place, "two steps have the same key.")
    return ShippedLadder(
        code=str(_need(data, "code", place)),
        name=str(_need(data, "name", place)),
        trigger=_one_of(Trigger.values, _need(data, "trigger", place), f"{place}: trigger"),
        description=str(data.get("description", "")),
        steps=steps,
        end_actions=tuple(
            _one_of(EndAction.values, action, f"{place}: end_actions") for action in data.get("end_actions", [])
        ),
        end_after_hours=_span(data.get("end_after", "3d"), f"{place}: end_after").hours,
        min_gap_hours=_span(data.get("min_gap", "20h"), f"{place}: min_gap").hours,
    )


def _step(raw: Any, place: str) -> ShippedStep:
    if not isinstance(raw, dict):
        raise LadderFileError(place, "a step is a mapping.")
    _only(
        raw,
        {"key", "name", "after", "anchor", "window", "business_days", "action", "channel", "template"}
        | {"wait_for_retry", "condition"},
        place,
    )
    action = _one_of(Action.values, _need(raw, "action", place), f"{place}: action")
    channel, template = str(raw.get("channel", "")), str(raw.get("template", ""))
    if action == Action.MESSAGE:
        _one_of(Channel.values, channel, f"{place}: channel")
        if not template:
            raise LadderFileError(place, "a message needs a template.")
    window = raw.get("window") or {}
    _only(window, {"days", "from", "to"}, f"{place}: window")
    return ShippedStep(
        key=str(_need(raw, "key", place)),
        name=str(_need(raw, "name", place)),
        after=_span(_need(raw, "after", place), f"{place}: after"),
        anchor=_one_of(StepAnchor.values, raw.get("anchor", "case"), f"{place}: anchor"),
        action=action,
        channel=channel,
        template=template,
        window_days=_weekdays(window["days"], f"{place}: window") if "days" in window else (),
        window_from=_time(window.get("from"), f"{place}: window"),
        window_to=_time(window.get("to"), f"{place}: window"),
        business_days=raw.get("business_days", False) is True,
        wait_for_retry_hours=_span(raw.get("wait_for_retry", "0h"), f"{place}: wait_for_retry").hours,
        condition=raw.get("condition") or {},
    )


def _need(data: Mapping[str, Any], name: str, place: str) -> Any:
    if data.get(name) in (None, ""):
        raise LadderFileError(place, f"{name} is missing.")
    return data[name]


def _only(data: Mapping[str, Any], names: set[str], place: str) -> None:
    if unknown := sorted(set(data) - names):
        raise LadderFileError(place, f"unknown: {', '.join(unknown)}.")


def _one_of(choices: list[str], value: Any, place: str) -> str:
    if value not in choices:
        raise LadderFileError(place, f"{value!r} is none of {', '.join(choices)}.")
    return str(value)


def _span(value: Any, place: str) -> Span:
    match = _SPAN.fullmatch(str(value))
    if not match:
        raise LadderFileError(place, f"{value!r} is not a time such as 4h or 3d.")
    return Span(int(match[1]), "days" if match[2] == "d" else "hours")


def _weekdays(value: Any, place: str) -> tuple[int, ...]:
    first, _dash, last = str(value).partition("-")
    if first not in _DAYS or (last or first) not in _DAYS or _DAYS.index(last or first) < _DAYS.index(first):
        raise LadderFileError(place, f"{value!r} is not a range of days such as mon-fri.")
    return tuple(range(_DAYS.index(first) + 1, _DAYS.index(last or first) + 2))


def _time(value: Any, place: str) -> datetime.time | None:
    if value is None:
        return None
    try:
        return datetime.time.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise LadderFileError(place, f'{value!r} is not a time such as "09:00".') from error
