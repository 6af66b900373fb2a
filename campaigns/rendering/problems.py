"""Owns the shape of what is wrong with a template: a Problem with its line, and the error carrying them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from customers.errors import SollecitoError

Severity = Literal["error", "warning"]
Part = Literal["subject", "mjml", "text"]

_LIQUID_BEGINS = re.compile(r"\{\{|\{%")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One finding in a template's source; `line` and `column` are counted from 1."""

    line: int
    column: int
    message: str
    suggestion: str = ""
    severity: Severity = "error"
    part: Part = "mjml"

    def __str__(self) -> str:
        text = f"{self.part}, line {self.line}: {self.message}"
        return f"{text} {self.suggestion}" if self.suggestion else text


class TemplateRefused(SollecitoError):
    """A template that cannot be saved, published or rendered; `problems` says where and why."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems), code="template_refused")


def line_and_column(source: str, index: int) -> tuple[int, int]:
    """The place of a character in `source`, both counted from 1; an index past the end means the end."""
    before = source[: max(index, 0)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def unfinished(source: str) -> int | None:
    """Where a Liquid tag begins that is never closed; None if all are.

    Asked before anything else reads the source: parsers look for the end of each such tag to the end of the text,
    and some thousand of them hold up the process for minutes.
    """
    read = 0
    while (found := _LIQUID_BEGINS.search(source, read)) is not None:
        end = source.find("}}" if found[0] == "{{" else "%}", found.end())
        if end < 0:
            return found.start()
        read = end + 2
    return None
