"""Owns the check of names in a template: variables (through loops, assignments), filters, tags."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import replace

from django.utils.translation import gettext as _
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.context import RenderContext
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.template import BoundTemplate

from .filters import FILTERS
from .liquid import HTML, TAGS, TEXT, problem_of
from .problems import Part, Problem, line_and_column
from .variables import Shape, root_shape

_ANY = Shape("any", {})
_NUMBER = Shape("number", {})
_FORLOOP = Shape(
    "object",
    dict.fromkeys(("first", "last", "index", "index0", "rindex", "rindex0", "length", "parentloop"), _NUMBER),
)
_LIST_WORDS = {"size", "first", "last"}
_TAG_NAMES = sorted(
    {str(tag.name) for tag in TAGS if str(tag.name).isalpha()} - {"content", "literal", "output", "illegal"}
    | {"else", "elsif", "when", "endif", "endfor", "endunless", "endcase"}
)
_INSTEAD = {
    "date": "local_date",
    "escape": "",
    "currency": "money",
    "money_with_currency": "money",
    "capitalise": "capitalize",
    "safe": "",
}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A suggestion for a mistyped name, or nothing."""
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    return _("Did you mean %(name)s?") % {"name": near[0]} if near else ""


def check_names(source: str, part: Part) -> list[Problem]:
    """What `source` names that does not exist, or its first syntax error."""
    environment = HTML if part == "mjml" else TEXT
    try:
        template = environment.from_string(source)
    except LiquidError as error:
        return [_syntax_problem(error, source, part)]
    walk = _Walk(source, part)
    walk.nodes(template.nodes, dict(root_shape().fields))
    return walk.problems


def _syntax_problem(error: LiquidError, source: str, part: Part) -> Problem:
    problem = problem_of(error, source, part)
    if unknown := re.match(r"unexpected tag '(\w+)'", str(error.message)):
        name = unknown[1]
        if name in _TAG_NAMES:
            hint = _("It belongs to a block that is not open here.")
        else:
            hint = did_you_mean(name, _TAG_NAMES) or _("Available: %(names)s.") % {"names": ", ".join(_TAG_NAMES)}
        return replace(problem, message=_("Unexpected tag {%% %(name)s %%}.") % {"name": name}, suggestion=hint)
    return _unclosed(source, part) or problem


def _unclosed(source: str, part: Part) -> Problem | None:
    """The block left open: the engine only names the end of the text, which helps nobody find it."""
    open_blocks: list[tuple[str, int]] = []
    for match in re.finditer(r"\{%-?\s*(end)?(if|unless|for|case)\b", source):
        if not match[1]:
            open_blocks.append((match[2], match.start()))
        elif open_blocks and open_blocks[-1][0] == match[2]:
            open_blocks.pop()
        else:
            break
    if not open_blocks:
        return None
    name, index = open_blocks[-1]
    hint = _("Add {%% end%(name)s %%}.") % {"name": name}
    message = _("{%% %(name)s %%} is never closed.") % {"name": name}
    return Problem(*line_and_column(source, index), message, hint, part=part)


class _Walk:
    """Follows a parsed template with what each name means at that point."""

    def __init__(self, source: str, part: Part) -> None:
        self.source, self.part = source, part
        self.problems: list[Problem] = []
        self.static = RenderContext(BoundTemplate(HTML, []))

    def found(self, index: int, message: str, suggestion: str = "") -> None:
        line, column = line_and_column(self.source, index)
        self.problems.append(Problem(line, column, message, suggestion, part=self.part))

    def nodes(self, nodes: Iterable[Node], scope: dict[str, Shape]) -> None:
        for node in nodes:
            if isinstance(node, ForNode):
                self.loop(node, scope)
                continue
            for expression in node.expressions():
                self.expression(expression, scope)
            if isinstance(node, AssignNode):
                scope[str(node.name)] = self.assigned(node.expression, scope)
            self.nodes(node.children(self.static), scope)

    def loop(self, node: ForNode, scope: dict[str, Shape]) -> None:
        for expression in node.expressions():
            self.expression(expression, scope)
        shape = self.shape_of(node.expression.iterable, scope)
        if shape.kind not in ("list", "any"):
            self.found(node.token.start_index, _("A loop needs a list, such as invoices or balances."))
        inner = dict(scope)
        inner[str(node.expression.identifier)] = shape.item or _ANY
        inner["forloop"] = _FORLOOP
        self.nodes([node.block], inner)
        # What a loop assigns lives on after it; its own variable does not.
        own = {str(node.expression.identifier), "forloop"}
        scope.update({name: shape for name, shape in inner.items() if name not in own})
        if node.default is not None:
            self.nodes([node.default], scope)

    def assigned(self, expression: Expression, scope: dict[str, Shape]) -> Shape:
        if isinstance(expression, FilteredExpression) and not expression.filters:
            return self.shape_of(expression.left, scope)
        return _ANY

    def expression(self, expression: Expression, scope: dict[str, Shape]) -> None:
        if isinstance(expression, FilteredExpression):
            for used in expression.filters or ():
                if used.name not in FILTERS:
                    self.unknown_filter(used.name, used.token.start_index)
        if isinstance(expression, Path):
            self.shape_of(expression, scope, report=True)
        for child in expression.children():
            self.expression(child, scope)

    def unknown_filter(self, name: str, index: int) -> None:
        if name in _INSTEAD:
            better = _INSTEAD[name]
            hint = (
                _("Use %(name)s.") % {"name": better}
                if better
                else _("Leave it out: values are always escaped, once, where that is needed.")
            )
        else:
            hint = did_you_mean(name, FILTERS)
        self.found(index, _("Unknown filter %(name)s.") % {"name": name}, hint)

    def shape_of(self, path: object, scope: dict[str, Shape], *, report: bool = False) -> Shape:
        """What a path leads to; `report` its first segment that leads nowhere."""
        if not isinstance(path, Path):
            return _ANY
        shape: Shape = Shape("object", scope)
        walked: list[str] = []
        for segment in path.path:
            step = self.step(shape, segment)
            if step is None:
                if report:
                    self.unknown(path, walked, str(segment), shape)
                return _ANY
            walked.append(f".{segment}" if walked and isinstance(segment, str) else str(segment))
            shape = step
        return shape

    @staticmethod
    def step(shape: Shape, segment: object) -> Shape | None:
        if shape.kind == "any" or isinstance(segment, Path):
            return _ANY if shape.kind != "list" else shape.item
        if isinstance(segment, int):
            return shape.item if shape.kind == "list" else None
        if isinstance(segment, str):
            if segment in shape.fields:
                return shape.fields[segment]
            if shape.kind == "list" and segment in _LIST_WORDS:
                return _NUMBER if segment == "size" else shape.item
            if shape.kind == "text" and segment == "size":
                return _NUMBER
        return None

    def unknown(self, path: Path, walked: list[str], segment: str, shape: Shape) -> None:
        before = "".join(walked)
        name = f"{before}.{segment}" if before else segment
        hint = ""
        if shape.kind == "list":
            hint = _("%(name)s is a list: {%% for item in %(name)s %%}…{%% endfor %%}.") % {"name": before}
        elif shape.fields:
            hint = did_you_mean(name, [f"{before}.{f}" if before else f for f in shape.fields])
            if not hint and before:
                hint = _("Available: %(names)s.") % {"names": ", ".join(f"{before}.{f}" for f in shape.fields)}
        if not hint:
            full = [f"{part}.{field}" for part, s in root_shape().fields.items() for field in s.fields]
            hint = did_you_mean(name, full)
        self.found(path.token.start_index, _("Unknown variable %(name)s.") % {"name": name}, hint)
