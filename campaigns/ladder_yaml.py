"""Owns ladders as files: one YAML schema for the shipped set, exports and imports, each mistake named by its line.

`read_ladder` turns text into a `LadderDoc` of plain values, `write_ladder` turns one back; what it writes it reads
to the same bytes again, with its keys in one order, so that a change of a ladder is a small change of its file. A
file knows codes only: whether a template or segment of that code exists is asked by who loads it (`LadderDoc.refuse`
names the line). The schema is described in docs/ladders.md; to add a field of a step add a line to `_STEP` and its
reading to `_step`.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from campaigns.engine.conditions import check_condition
from campaigns.models.ladder import Action, EndAction, StepAnchor, Trigger
from campaigns.yaml_reading import DAYS, Fields, Span, parse, refuse_at
from customers.errors import SollecitoError
from customers.models import Channel

#: The schema this version writes and the newest it reads.
SCHEMA = 1

_LADDER = (
    "schema", "code", "name", "description", "trigger", "brand", "segment", "priority", "min_gap", "silent",
    "pause_after_reply", "steps", "end_after", "end_actions", "end_params",
)  # fmt: skip
_STEP = (
    "key", "name", "enabled", "after", "anchor", "window", "business_days", "action", "channel", "fallback",
    "template", "params", "wait_for_retry", "condition",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StepDoc:
    """One rung as a file says it; the window is the customer's local time, its days ISO weekdays (1 is Monday)."""

    key: str
    name: str
    after: Span
    action: str
    anchor: str = StepAnchor.CASE.value
    enabled: bool = True
    channel: str = ""
    fallback_channels: tuple[str, ...] = ()
    template: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    window_days: tuple[int, ...] = ()
    window_from: datetime.time | None = None
    window_to: datetime.time | None = None
    business_days: bool = False
    wait_for_retry_hours: int = 0
    condition: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LadderDoc:
    """One ladder as a file says it, its steps in order. `brand` and `segment` are codes, empty for every one."""

    code: str
    name: str
    trigger: str
    steps: tuple[StepDoc, ...]
    description: str = ""
    brand: str = ""
    segment: str = ""
    priority: int = 100
    end_actions: tuple[str, ...] = ()
    end_params: Mapping[str, Any] = field(default_factory=dict)
    end_after_hours: int = 72
    min_gap_hours: int = 20
    silent_hours: int = 0
    pause_after_reply_days: int = 3
    #: Where it was read from, for messages; no part of what it says.
    place: str = field(default="ladder", compare=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def refuse(self, path: str, message: str) -> NoReturn:
        """Raises LadderFileError at `path`, such as "steps[2].template"."""
        refuse_at(self.place, self.lines, path, message)


# --- writing


def write_ladder(doc: LadderDoc) -> str:
    """The ladder as YAML: keys in the schema's order, what has its default left out, ending with a newline."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "code": doc.code,
        "name": doc.name,
        "description": doc.description,
        "trigger": doc.trigger,
        "brand": doc.brand,
        "segment": doc.segment,
        "priority": doc.priority if doc.priority != 100 else None,
        "min_gap": _spelled(doc.min_gap_hours),
        "silent": _spelled(doc.silent_hours) if doc.silent_hours else None,
        "pause_after_reply": f"{doc.pause_after_reply_days}d",
        "steps": [_written(step) for step in doc.steps],
        "end_after": _spelled(doc.end_after_hours),
        "end_actions": list(doc.end_actions),
        "end_params": _sorted(doc.end_params),
    }
    return yaml.dump(_said(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _written(step: StepDoc) -> dict[str, Any]:
    window = {
        "days": _days_spelled(step.window_days),
        "from": _Quoted(f"{step.window_from:%H:%M}") if step.window_from else None,
        "to": _Quoted(f"{step.window_to:%H:%M}") if step.window_to else None,
    }
    return _said(
        {
            "key": step.key,
            "name": step.name,
            "enabled": None if step.enabled else False,
            "after": str(step.after),
            "anchor": step.anchor if step.anchor != StepAnchor.CASE else None,
            "window": _said(window),
            "business_days": True if step.business_days else None,
            "action": step.action,
            "channel": step.channel,
            "fallback": list(step.fallback_channels),
            "template": step.template,
            "params": _sorted(step.params),
            "wait_for_retry": _spelled(step.wait_for_retry_hours) if step.wait_for_retry_hours else None,
            "condition": _sorted(step.condition),
        }
    )


class _Quoted(str):
    """A time of day: bare, 10:00 is a number of minutes to some readers of YAML and 09:00 is not."""


class _Dumper(yaml.SafeDumper):
    """Indents lists under their key, and keeps short lists of words on one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _list(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    flow = not any(isinstance(item, list | dict) for item in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flow)


def _quoted(dumper: yaml.SafeDumper, data: _Quoted) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style="'")


_Dumper.add_representer(list, _list)
_Dumper.add_representer(_Quoted, _quoted)


def _said(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None and value not in ("", [], {})}


def _sorted(value: Any) -> Any:
    # The database keeps no order of keys; a file needs one.
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value


def _spelled(hours: int) -> str:
    return f"{hours // 24}d" if hours and hours % 24 == 0 else f"{hours}h"


def _days_spelled(days: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for day in sorted(set(days)):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(DAYS[r[0] - 1] + (f"-{DAYS[r[-1] - 1]}" if len(r) > 1 else "") for r in runs)


# --- reading


def read_ladder(source: str, place: str = "ladder") -> LadderDoc:
    """A ladder from its YAML text. Raises LadderFileError naming `place`, the line and the field."""
    data, lines = parse(source, place)

    def refuse(path: str, message: str) -> NoReturn:
        refuse_at(place, lines, path, message)

    if not isinstance(data, dict):
        refuse("", "a ladder is a mapping that begins with schema: 1.")
    schema = data.get("schema")
    if type(schema) is int and schema > SCHEMA:
        refuse("schema", f"schema {schema} is newer than {SCHEMA}, the newest this version reads; upgrade first.")
    if schema != SCHEMA or type(schema) is not int:
        refuse("schema", f"schema: {SCHEMA} is expected.")
    at = Fields(data, "", refuse)
    at.only(_LADDER)
    raw = at.need("steps")
    if not isinstance(raw, list) or not raw:
        refuse("steps", "steps is a list of at least one.")
    steps = tuple(_step(item, f"steps[{number}]", refuse) for number, item in enumerate(raw, 1))
    keys: set[str] = set()
    for number, step in enumerate(steps, 1):
        if step.key in keys:
            refuse(f"steps[{number}].key", f"two steps have the key {step.key!r}.")
        keys.add(step.key)
    ends = at.words("end_actions", EndAction.values)
    params = at.mapping("end_params")
    for action in params:
        if action not in ends:
            refuse(f"end_params.{action}", f"{action!r} is none of the end actions.")
    return LadderDoc(
        code=at.code("code", needed=True),
        name=at.text("name", 120, needed=True),
        description=at.text("description", 4000),
        trigger=at.one_of("trigger", Trigger.values),
        brand=at.code("brand"),
        segment=at.code("segment"),
        priority=at.number("priority", 100, -32768, 32767),
        steps=steps,
        end_actions=ends,
        end_params=params,
        end_after_hours=at.span("end_after", "3d").hours,
        min_gap_hours=at.span("min_gap", "20h").hours,
        silent_hours=at.span("silent", "0h").hours,
        pause_after_reply_days=at.days("pause_after_reply", "3d"),
        place=place,
        lines=lines,
    )


def _step(raw: Any, path: str, refuse: Callable[[str, str], NoReturn]) -> StepDoc:
    if not isinstance(raw, dict):
        refuse(path, "a step is a mapping.")
    at = Fields(raw, path, refuse)
    at.only(_STEP)
    action = at.one_of("action", Action.values)
    message = action == Action.MESSAGE
    channel = at.one_of("channel", Channel.values) if message or raw.get("channel") else ""
    template = at.code("template")
    if message and not template:
        refuse(f"{path}.action", "a message needs a template.")
    fallback = at.words("fallback", Channel.values)
    if fallback and (not message or channel in fallback or len(set(fallback)) != len(fallback)):
        refuse(f"{path}.fallback", "other channels than the message's own, each once, and for messages only.")
    window = Fields(at.mapping("window"), f"{path}.window", refuse)
    window.only(("days", "from", "to"))
    condition = at.mapping("condition")
    for fact, wanted in condition.items():
        try:
            check_condition({fact: wanted})
        except SollecitoError as error:
            refuse(f"{path}.condition.{fact}", error.message)
    return StepDoc(
        key=at.code("key", needed=True),
        name=at.text("name", 120, needed=True),
        enabled=at.yes("enabled", True),
        after=at.span("after", signed=True),
        anchor=at.one_of("anchor", StepAnchor.values, StepAnchor.CASE.value),
        action=action,
        channel=channel,
        fallback_channels=fallback,
        template=template,
        params=at.mapping("params"),
        window_days=window.weekdays("days"),
        window_from=window.time("from"),
        window_to=window.time("to"),
        business_days=at.yes("business_days", False),
        wait_for_retry_hours=at.span("wait_for_retry", "0h").hours,
        condition=condition,
    )
