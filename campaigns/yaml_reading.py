"""Reads YAML as plain values whose every mistake is named by its line; ladder files are read with it.

`parse` takes no tags, anchors or aliases and nothing that is not JSON; `Fields` takes checked fields out of a mapping.
"""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from customers.errors import SollecitoError

#: A ladder of sixty rungs takes about 20,000 characters.
MOST_CHARACTERS = 200_000
#: What the columns of hours hold: three years and a half.
_LONGEST_HOURS = 32_767
_SPAN = re.compile(r"(-?\d{1,4})([hd])")
#: NUL, and halves of characters: PostgreSQL holds neither.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_CODE = re.compile(r"[a-z0-9_-]{1,60}", re.ASCII)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class LadderFileError(SollecitoError):
    """A ladder file that does not follow the schema; the message names the place."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}", code="ladder_file")


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
class Fields:
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
        if not isinstance(value, str) or len(value) > most:
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
            if first not in DAYS or (last or first) not in DAYS or DAYS.index(last or first) < DAYS.index(first):
                self.refuse(name, f"{value!r} is not a range of days such as mon-fri or mon-wed,sat.")
            found.update(range(DAYS.index(first) + 1, DAYS.index(last or first) + 2))
        return tuple(sorted(found))

    def time(self, name: str) -> datetime.time | None:
        value = self.data.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            self.refuse(name, f'{value!r} is not a time such as "09:00" (in quotes).')
        return datetime.time.fromisoformat(value)


def refuse_at(place: str, lines: Mapping[str, int], path: str, message: str) -> NoReturn:
    line = lines.get(path)
    if line is None:  # the field is absent: its parent's line is the nearest place
        line = lines.get(path.rpartition(".")[0], 1)
    words = ": ".join(part for part in (re.sub(r"steps\[(\d+)\]\.?", r"step \1.", path).strip(".").split(".")) if part)
    raise LadderFileError(f"{place}, line {line}", f"{words}: {message}" if words else message)


def parse(source: str, place: str) -> tuple[Any, dict[str, int]]:
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
                if _UNSTORABLE.search(name):
                    refuse(key_node, "it holds a character that cannot be stored.")
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
        except (ValueError, LookupError, AttributeError, TypeError):
            # What looks like a date, a number or a tagged value and is none: the library says so in many ways.
            refuse(node, f"{node.value[:60]!r} is not what it looks like; put it in quotes.")
        if isinstance(value, str) and _UNSTORABLE.search(value):
            refuse(node, "it holds a character that cannot be stored.")
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
