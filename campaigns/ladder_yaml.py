"""Owns ladders as files: one YAML schema for the shipped set, exports and imports, each mistake named by its line.

`read_ladder` turns text into a `LadderDoc` of plain values, `write_ladder` turns one back; what it writes it reads
to the same bytes again, with its keys in one order, so that a change of a ladder is a small change of its file. A
file knows codes only: whether a template or segment of that code exists is asked by who loads it (`LadderDoc.refuse`
names the line). The schema is described in docs/ladders.md; to add a field of a step add a line to `_STEP` and its
reading to `_step`.
"""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from campaigns.engine.conditions import check_condition
from campaigns.models.ladder import Action, EndAction, StepAnchor, Trigger
from customers.errors import SollecitoError
from customers.models import Channel

#: The schema this version writes and the newest it reads.
SCHEMA = 1
#: A ladder of sixty rungs takes about 20,000 characters.
MOST_CHARACTERS = 200_000

#: What the columns of hours hold: three years and a half.
_LONGEST_HOURS = 32_767
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(-?\d{1,4})([hd])")
_CODE = re.compile(r"[a-z0-9_-]{1,60}", re.ASCII)
_LADDER = (
    "schema", "code", "name", "description", "trigger", "brand", "segment", "priority", "min_gap", "silent",
    "pause_after_reply", "steps", "end_after", "end_actions", "end_params",
)  # fmt: skip
_STEP = (
    "key", "name", "enabled", "after", "anchor", "window", "business_days", "action", "channel", "fallback",
    "template", "params", "wait_for_retry", "condition",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time as it was written: `unit` is "hours" or "days"; a negative amount counts back."""

    amount: int
    unit: str

    @property
    def hours(self) -> int:
        """The length in hours."""
        return self.amount * (24 if self.unit == "days" else 1)

    def __str__(self) -> str:
        return f"{self.amount}{self.unit[0]}"


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
        _refuse(self.place, self.lines, path, message)


class LadderFileError(SollecitoError):
    """A ladder file that does not follow the schema; the message names the place."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}", code="ladder_file")


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
    return ",".join(_DAYS[r[0] - 1] + (f"-{_DAYS[r[-1] - 1]}" if len(r) > 1 else "") for r in runs)


# --- reading


def read_ladder(source: str, place: str = "ladder") -> LadderDoc:
    """A ladder from its YAML text. Raises LadderFileError naming `place`, the line and the field."""
    data, lines = _parse(source, place)

    def refuse(path: str, message: str) -> NoReturn:
        _refuse(place, lines, path, message)

    if not isinstance(data, dict):
        refuse("", "a ladder is a mapping that begins with schema: 1.")
    schema = data.get("schema")
    if type(schema) is int and schema > SCHEMA:
        refuse("schema", f"schema {schema} is newer than {SCHEMA}, the newest this version reads; upgrade first.")
    if schema != SCHEMA or type(schema) is not int:
        refuse("schema", f"schema: {SCHEMA} is expected.")
    at = _Mapping(data, "", refuse)
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
    at = _Mapping(raw, path, refuse)
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
    window = _Mapping(at.mapping("window"), f"{path}.window", refuse)
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


@dataclass(frozen=True, slots=True)
class _Mapping:
    """Takes fields out of a mapping, each checked, refusing with its path."""

    data: Mapping[str, Any]
    path: str
    refuse_: Callable[[str, str], NoReturn]

    def refuse(self, name: str, message: str) -> NoReturn:
        self.refuse_(f"{self.path}.{name}" if self.path else name, message)

    def only(self, names: Sequence[str]) -> None:
        for unknown in (name for name in self.data if name not in names):
            self.refuse(unknown, f"unknown: {unknown}. There are {', '.join(names)}.")

    def need(self, name: str) -> Any:
        if self.data.get(name) in (None, ""):
            self.refuse_(self.path, f"{name} is missing.")
        return self.data[name]

    def text(self, name: str, most: int, *, needed: bool = False) -> str:
        value = self.need(name) if needed else self.data.get(name, "")
        if not isinstance(value, str) or len(value) > most or "\0" in value:
            self.refuse(name, f"{name} is a text of at most {most} characters.")
        return value

    def code(self, name: str, *, needed: bool = False) -> str:
        value = self.need(name) if needed else self.data.get(name, "")
        if not isinstance(value, str) or (value and not _CODE.fullmatch(value)):
            self.refuse(name, f"{value!r} is not a code: lower case, digits, _ and -, at most 60 characters.")
        return value

    def one_of(self, name: str, choices: Sequence[str], default: str = "") -> str:
        value = self.data.get(name, default) if default else self.need(name)
        if value not in choices:
            self.refuse(name, f"{value!r} is none of {', '.join(choices)}.")
        return str(value)

    def words(self, name: str, choices: Sequence[str]) -> tuple[str, ...]:
        value = self.data.get(name, [])
        if not isinstance(value, list):
            self.refuse(name, f"{name} is a list.")
        for item in value:
            if item not in choices:
                self.refuse(name, f"{item!r} is none of {', '.join(choices)}.")
        return tuple(value)

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.data.get(name) or {}
        if not isinstance(value, dict):
            self.refuse(name, f"{name} is a mapping.")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        value = self.data.get(name, default)
        if type(value) is not int or not least <= value <= most:
            self.refuse(name, f"{value!r} is not a whole number from {least} to {most}.")
        return value

    def yes(self, name: str, default: bool) -> bool:
        value = self.data.get(name, default)
        if not isinstance(value, bool):
            self.refuse(name, f"{value!r} is neither true nor false.")
        return value

    def span(self, name: str, default: str = "", *, signed: bool = False) -> Span:
        value = self.data.get(name, default) if default else self.need(name)
        match = _SPAN.fullmatch(str(value))
        if not match or (not signed and match[1].startswith("-")):
            self.refuse(name, f"{value!r} is not a time such as 4h or 3d.")
        span = Span(int(match[1]), "days" if match[2] == "d" else "hours")
        if not signed and span.hours > _LONGEST_HOURS:
            self.refuse(name, f"{value} is longer than {_LONGEST_HOURS} hours.")
        return span

    def days(self, name: str, default: str) -> int:
        span = self.span(name, default)
        if span.unit != "days":
            self.refuse(name, f"{span} is not a number of days such as 3d.")
        return span.amount

    def weekdays(self, name: str) -> tuple[int, ...]:
        value = self.data.get(name)
        found: set[int] = set()
        for part in str(value).replace(" ", "").split(",") if value is not None else ():
            first, _dash, last = part.partition("-")
            if first not in _DAYS or (last or first) not in _DAYS or _DAYS.index(last or first) < _DAYS.index(first):
                self.refuse(name, f"{value!r} is not a range of days such as mon-fri or mon-wed,sat.")
            found.update(range(_DAYS.index(first) + 1, _DAYS.index(last or first) + 2))
        return tuple(sorted(found))

    def time(self, name: str) -> datetime.time | None:
        value = self.data.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            self.refuse(name, f'{value!r} is not a time such as "09:00" (in quotes).')
        return datetime.time.fromisoformat(value)


def _refuse(place: str, lines: Mapping[str, int], path: str, message: str) -> NoReturn:
    line = lines.get(path)
    if line is None:  # the field is absent: its parent's line is the nearest place
        line = lines.get(path.rpartition(".")[0], 1)
    words = ": ".join(part for part in (re.sub(r"steps\[(\d+)\]\.?", r"step \1.", path).strip(".").split(".")) if part)
    raise LadderFileError(f"{place}, line {line}", f"{words}: {message}" if words else message)


def _parse(source: str, place: str) -> tuple[Any, dict[str, int]]:
    """The plain values of a YAML text and the line each path stands on, counted from 1."""
    if len(source) > MOST_CHARACTERS:
        raise LadderFileError(place, f"longer than {MOST_CHARACTERS} characters.")
    lines: dict[str, int] = {}
    seen: set[int] = set()
    scalars = yaml.constructor.SafeConstructor()

    def refuse(node: yaml.Node, message: str) -> NoReturn:
        raise LadderFileError(f"{place}, line {node.start_mark.line + 1}", message)

    def plain(node: yaml.Node, path: str) -> Any:
        lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in seen:  # an alias could unfold to any size
            refuse(node, "anchors and aliases are not taken.")
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key_node, value_node in node.value:
                name = key_node.value
                if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                    refuse(key_node, f"the key {name!r} is not a word; put it in quotes.")
                if name in found:
                    refuse(key_node, f"{name} is given twice.")
                below = f"{path}.{name}" if path else name
                lines[below] = key_node.start_mark.line + 1
                found[name] = plain(value_node, below)
            return found
        if isinstance(node, yaml.SequenceNode):
            return [plain(item, f"{path}[{number}]") for number, item in enumerate(node.value, 1)]
        try:
            value = scalars.construct_object(node)
        except yaml.YAMLError as error:
            refuse(node, str(error).splitlines()[0])
        if not isinstance(value, str | int | float | bool | None) or value in (float("inf"), float("-inf")):
            refuse(node, f"{node.value!r} is neither a text, a number nor true or false; put it in quotes.")
        if isinstance(value, float) and value != value:
            refuse(node, "not a number.")
        return value

    try:
        node = yaml.compose(source, Loader=yaml.SafeLoader)
        return (None if node is None else plain(node, "")), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{place}, line {mark.line + 1}" if mark else place
        raise LadderFileError(where, f"not YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise LadderFileError(place, f"not YAML: {error}") from error
    except RecursionError as error:
        raise LadderFileError(place, "nested too deeply.") from error
