"""Owns the locked-down Liquid: its tags, how much a template may loop, hold and write, the compile cache.

Templates are written by staff and rendered in our workers, so they are treated as hostile: plain data only,
no ranges, no file or partial tags, bounded loops, locals, filters and output. To offer a new filter add it to
`filters.FILTERS`, bounded; to offer a new tag add it to `TAGS` after reading what it can cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from io import StringIO
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from liquid import BoundTemplate, Environment, FalsyStrictUndefined, RenderContext
from liquid.ast import Node
from liquid.builtin import content, illegal, output
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags import (
    assign_tag,
    case_tag,
    comment_tag,
    for_tag,
    if_tag,
    inline_comment_tag,
    unless_tag,
)
from liquid.exceptions import LiquidError, LiquidSyntaxError, LoopIterationLimitError, OutputStreamLimitError
from liquid.expression import Expression
from liquid.token import Token

from .filters import FILTERS
from .problems import Part, Problem, TemplateRefused, line_and_column, unfinished

MAX_SOURCE = 200_000  # characters of one template part
MAX_OUTPUT = 300_000  # characters one render may write
MAX_ITERATIONS = 5_000  # of all loops of one render together

TAGS = (
    content.Literal,
    output.Output,
    illegal.Illegal,
    if_tag.IfTag,
    unless_tag.UnlessTag,
    case_tag.CaseTag,
    for_tag.ForTag,
    for_tag.BreakTag,
    for_tag.ContinueTag,
    assign_tag.AssignTag,
    comment_tag.CommentTag,
    inline_comment_tag.InlineCommentTag,
)


class _Context(RenderContext):
    """Counts loop rounds over the whole render: the engine's own limit forgets a loop once it has ended."""

    __slots__ = ("rounds",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rounds = 0

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self.rounds += length
        if self.rounds > MAX_ITERATIONS:
            raise LoopIterationLimitError(f"more than {MAX_ITERATIONS:,} loop rounds", token=None)


class _Buffer(StringIO):
    """Counts characters: the engine's own buffer encodes every piece to count bytes, a tenth of a render."""

    def __init__(self) -> None:
        super().__init__()
        self.left = MAX_OUTPUT

    def write(self, text: str, /) -> int:
        self.left -= len(text)
        if self.left < 0:
            raise OutputStreamLimitError(f"more than {MAX_OUTPUT:,} characters of output", token=None)
        return super().write(text)


class _Template(BoundTemplate):
    context_class = _Context

    def _get_buffer(self) -> StringIO:
        return _Buffer()


class LockedEnvironment(Environment):
    """Liquid with an allow-list of tags and filters and a limit on everything."""

    template_class = _Template
    block_nesting_limit: ClassVar[int] = 12
    context_depth_limit: ClassVar[int] = 20
    local_namespace_limit: ClassVar[int | None] = 100_000
    output_stream_limit: ClassVar[int | None] = MAX_OUTPUT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        for tag in TAGS:
            self.add_tag(tag)
        for name, function in FILTERS.items():
            self.add_filter(name, function)

    def from_string(self, source: str, *args: Any, **kwargs: Any) -> BoundTemplate:
        if len(source) > MAX_SOURCE:
            raise LiquidSyntaxError(f"more than {MAX_SOURCE:,} characters of source", token=None)
        if (start := unfinished(source)) is not None:
            token = Token("illegal", source[start : start + 2], start, source)
            raise LiquidSyntaxError("a tag is not finished", token=token)
        template = super().from_string(source, *args, **kwargs)
        for expression in expressions_of(template.nodes):
            if isinstance(expression, RangeLiteral):
                # Joined or looped over, (1..100000000) escapes every other limit.
                raise LiquidSyntaxError("ranges such as (1..10) are not available", token=expression.token)
        return template


def expressions_of(nodes: list[Node]) -> Iterator[Expression]:
    """Every expression of a parsed template, nested ones included."""
    static = RenderContext(BoundTemplate(HTML, []))
    pending: list[Node] = list(nodes)
    while pending:
        node = pending.pop()
        pending.extend(node.children(static))
        expressions = list(node.expressions())
        while expressions:
            expression = expressions.pop()
            yield expression
            expressions.extend(expression.children())


HTML = LockedEnvironment(undefined=FalsyStrictUndefined, strict_filters=True, autoescape=True)
TEXT = LockedEnvironment(undefined=FalsyStrictUndefined, strict_filters=True, autoescape=False)


def problem_of(error: LiquidError, source: str, part: Part) -> Problem:
    """What the engine complained about, as a Problem with its place in `source`."""
    index = error.token.start_index if error.token is not None else 0
    line, column = line_and_column(source, index)
    message = str(error.message or error).strip()
    return Problem(line, column, message[:1].upper() + message[1:] + ".", part=part)


@lru_cache(maxsize=1024)
def compiled(source: str, *, escape: bool) -> BoundTemplate:
    """`source` parsed once per process; the key is the text itself, so an edit never meets a stale copy.

    Raises liquid's LiquidError.
    """
    return (HTML if escape else TEXT).from_string(source)


def render_source(source: str, context: dict[str, Any], *, escape: bool, part: Part) -> str:
    """Renders `source`; raises TemplateRefused naming the line where rendering stopped."""
    try:
        return str(compiled(source, escape=escape).render(context))
    except LiquidError as error:
        raise TemplateRefused([problem_of(error, source, part)]) from error
    except RecursionError as error:
        raise TemplateRefused([Problem(1, 1, _("Nested too deeply."), part=part)]) from error
