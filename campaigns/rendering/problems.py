"""Owns the shape of what is wrong with a template: a Problem with its line, and the error carrying them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from customers.errors import SollecitoError

Severity = Literal["error", "warning"]
Part = Literal["subject", "mjml", "text"]


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
