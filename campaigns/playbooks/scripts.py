"""Owns which scripts a call is shown and their text: chosen by how particular they are, filled in, made safe HTML.

Values are escaped for Markdown before they are filled in and raw HTML is never taken for any: a customer's name can
neither add a link nor an element to what staff read.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt

from campaigns.models import Playbook, Segment, Step, TemplateText, TemplateVersion
from campaigns.rendering.examples import example_context
from campaigns.rendering.liquid import render_source
from campaigns.rendering.problems import Problem, TemplateRefused
from campaigns.rendering.scope import check_names
from campaigns.segments.evaluate import segments_of
from customers.models import Channel

#: Read where nobody speaks the language asked for.
FALLBACK = "en"
#: Made when something is sent, for the customer alone; nothing a person reads out.
WITHOUT = frozenset({"links"})
#: The form of a language that no country has to itself.
_ANYWHERE = "001"
_SPECIAL = re.compile(r"([\\`*\[\]<>!#|~&()])")


@dataclass(frozen=True, slots=True)
class Script:
    """One script as it is shown: `model` and `pk` name the row it comes from, for a link."""

    name: str
    language: str
    html: SafeString
    model: str
    pk: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What a script is wanted for. `categories` are the reasons of the open invoices, newest refusal first."""

    customer_id: int
    languages: Sequence[str]
    ladder_id: int | None = None
    step: Step | None = None
    categories: Sequence[str] = ()


def scripts_for(asked: Asked, context_in: Callable[[str], Mapping[str, Any]], now: datetime) -> list[Script]:
    """The step's script and the guidance for the reason, each filled in with `context_in` its own language: sums and
    dates read as the sentence around them does. Four queries at most, besides those of the contexts."""
    context = cache(context_in)
    rows = list(Playbook.objects.filter(active=True, language__in={*asked.languages, FALLBACK}))
    segments = {row.segment_id for row in rows if row.segment_id is not None}
    inside = _segments(segments, asked.customer_id, now)
    fitting = [row for row in rows if _fits(row, asked, inside)]
    found: list[Script] = []
    own = _best([row for row in fitting if row.step_key], asked)
    if own is not None:
        found.append(_filled(own, context(own.language)))
    elif asked.step is not None and (text := _step_text(asked.step, asked.languages)) is not None:
        found.append(
            Script(
                str(asked.step.name), text.language, _shown(text.compiled_text, context(text.language)),
                "campaigns_templateversion", text.version_id,
            )
        )  # fmt: skip
    guidance = _best([row for row in fitting if not row.step_key], asked)
    if guidance is not None:
        found.append(_filled(guidance, context(guidance.language)))
    return found


def _fits(row: Playbook, asked: Asked, inside: frozenset[int]) -> bool:
    if row.step_key and (asked.step is None or row.step_key != asked.step.key):
        return False
    if row.ladder_id is not None and row.ladder_id != asked.ladder_id:
        return False
    if row.segment_id is not None and row.segment_id not in inside:
        return False
    return not row.decline_category or row.decline_category in asked.categories


def _best(rows: Sequence[Playbook], asked: Asked) -> Playbook | None:
    """The most particular one in the first language there is one in: a step says more than a segment, that more than a
    reason, that more than a ladder; of the same the newer one."""
    order = list(dict.fromkeys([*asked.languages, FALLBACK]))

    def weight(row: Playbook) -> tuple[int, int, int]:
        particular = 8 * bool(row.step_key) + 4 * bool(row.segment_id) + 2 * bool(row.decline_category)
        return -order.index(row.language), particular + bool(row.ladder_id), row.pk

    return max(rows, key=weight, default=None)


def _segments(ids: set[int], customer_id: int, now: datetime) -> frozenset[int]:
    if not ids:
        return frozenset()
    queries = dict(Segment.objects.filter(pk__in=ids).values_list("pk", "query"))
    return frozenset(segments_of(queries, [customer_id], now).get(customer_id, ()))


def _step_text(step: Step, languages: Sequence[str]) -> TemplateText | None:
    """What the step's own template says for a call, in the first of the languages it has."""
    rows = {
        row.language: row
        for row in TemplateText.objects.filter(
            version__template=step.template_id,
            version__status=TemplateVersion.Status.PUBLISHED,
            channel=Channel.CALL,
        )
    }
    return next((rows[code] for code in (*languages, FALLBACK, *sorted(rows)) if code in rows), None)


def _filled(row: Playbook, context: Mapping[str, Any]) -> Script:
    return Script(row.name, row.language, _shown(row.body, context), "campaigns_playbook", row.pk)


def _shown(body: str, context: Mapping[str, Any]) -> SafeString:
    """The text, or a word in its place: a script that lacks a value must not keep the call from being made."""
    try:
        return script_html(body, context)
    except TemplateRefused as error:
        words = _("This script cannot be filled in for this customer: %(why)s")
        return format_html("<p>{}</p>", words % {"why": error.problems[0].message})


def script_html(body: str, context: Mapping[str, Any]) -> SafeString:
    """Markdown with Liquid as HTML, its values escaped. Raises TemplateRefused where a value is missing."""
    values = {name: _escaped(value) for name, value in context.items() if name not in WITHOUT}
    # Read by staff: a sum in an English sentence is not written as the customer's country writes sums.
    values["reader_country"] = _ANYWHERE
    text = render_source(body, values, escape=False, part="text")
    # Raw HTML is off, links are checked by the library: nothing a person typed becomes code.
    return mark_safe(str(_markdown().render(text)))  # noqa: S308


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")

    def link_open(renderer: Any, tokens: Any, place: int, options: Any, env: Any) -> str:
        # The form beside it must not be lost.
        tokens[place].attrSet("target", "_blank")
        tokens[place].attrSet("rel", "noopener noreferrer")
        return str(renderer.renderToken(tokens, place, options, env))

    made.add_render_rule("link_open", link_open)
    return made


def _escaped(value: Any) -> Any:
    """Values as they may stand in Markdown: on one line, without anything it would take for a sign of its own."""
    if isinstance(value, str):
        return _SPECIAL.sub(r"\\\1", " ".join(value.split()))
    if isinstance(value, dict):
        return {name: _escaped(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return value


def playbook_problems(body: str) -> list[Problem]:
    """What is wrong with a playbook's text: names that do not exist, personal links, what does not render."""
    problems = check_names(body, "text")
    if problems:
        return problems
    try:
        script_html(body, dict(example_context(FALLBACK)))
    except TemplateRefused as error:
        return [
            Problem(p.line, p.column, p.message, _("Personal links are made when something is sent: leave them out."))
            if "links" in p.message
            else p
            for p in error.problems
        ]
    return []
