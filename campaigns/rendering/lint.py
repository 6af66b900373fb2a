"""Owns the check of a template at save: every finding with its line and, where there is one, a suggestion."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, cast

from django.utils.translation import gettext as _

from . import gsm
from . import mjml as markup
from .examples import Variant, example_context
from .layout import check_slots, wrap
from .liquid import MAX_SOURCE, render_source
from .problems import Part, Problem, TemplateRefused
from .render import EMAIL, SMS, CompiledTemplate, compile_template, render
from .scope import check_names, did_you_mean
from .spam import subject_problems

MAX_SUBJECT = 60  # characters; phones cut what is longer
MAX_HTML = 100_000  # bytes; Gmail cuts a mail at 102 kB, footer and all
VARIANTS: tuple[Variant, ...] = ("usual", "bare", "many")


def check(source: str, *, part: Part = "mjml") -> list[Problem]:
    """What is wrong with one part by itself: syntax, unknown tags, filters and variables, and MJML structure.

    Places are those of `source` as its author sees it.
    """
    if len(source) > MAX_SOURCE:
        return [Problem(1, 1, _("More than %(count)s characters.") % {"count": MAX_SOURCE}, part=part)]
    problems = [*markup.check(source), *check_slots(source, did_you_mean)] if part == "mjml" else []
    problems += check_names(source, part)
    return sorted(set(problems))


def check_template(
    *, subject: str, mjml: str, text: str | None = None, language: str = "en", channel: str = EMAIL
) -> list[Problem]:
    """What is wrong with a whole template; it may be saved when no finding is an error.

    `mjml` is the body: MJML for e-mail, plain text for every other channel.

    Besides `check` of each part, it is rendered with example data: usual, bare (all that may be absent is
    absent) and many (several invoices, long names), which finds values used without a guard.
    """
    if channel != EMAIL:
        return _check_plain(subject, mjml, language, channel)
    parts: list[tuple[Part, str]] = [("subject", subject), ("mjml", mjml)]
    if text and text.strip():
        parts.append(("text", text))
    problems = [problem for part, source in parts for problem in check(source, part=part)]
    if "\n" in subject.strip():
        problems.append(Problem(2, 1, _("A subject is one line."), part="subject"))
    if not re.search(r"links\.(portal|pay|update_card)|pay_url", wrap(mjml, language)):
        problems.append(
            Problem(
                1,
                1,
                _("There is no link to pay or to the customer's page."),
                _("Add a button with href='{{ links.pay }}' or href='{{ links.portal }}'."),
                severity="warning",
            )
        )
    if any(p.severity == "error" for p in problems):
        return _in_order(problems)
    for variant in VARIANTS:
        found = _render_problems(parts, language, variant)
        problems += [p for p in found if p not in problems]
        if any(p.severity == "error" for p in found):
            return _in_order(problems)
    return _in_order([*problems, *subject_problems(subject, language), *_size_problems(subject, mjml, text, language)])


def _check_plain(subject: str, body: str, language: str, channel: str) -> list[Problem]:
    """The same for a text that is not MJML; what it would print is tried with the same example data."""
    if len(body) > MAX_SOURCE:
        return [Problem(1, 1, _("More than %(count)s characters.") % {"count": MAX_SOURCE})]
    problems = [*check_slots(body, did_you_mean, words_only=True), *check_names(body, "mjml")]
    problems += check(subject, part="subject")
    if not any(p.severity == "error" for p in problems):
        for variant in VARIANTS:
            problems += _render_problems([("subject", subject), ("text", body)], language, variant)
    # A body has one name in the editor, whatever it is written in.
    problems = [replace(p, part="mjml") if p.part == "text" else p for p in dict.fromkeys(problems)]
    if channel == SMS and not any(p.severity == "error" for p in problems):
        ready = compile_template(subject="", mjml=body, language=language, channel=channel)
        longest = render(ready, example_context(language), channel=channel).text
        if (length := gsm.septets(longest)) is None or length > gsm.ONE_PART:
            message = _("With the example data this text message takes more than one part, and is billed so.")
            problems.append(Problem(1, 1, message, severity="warning"))
    return _in_order(problems)


def _in_order(problems: list[Problem]) -> list[Problem]:
    order = {"subject": 0, "mjml": 1, "text": 2}
    return sorted(problems, key=lambda p: (order[p.part], p.line, p.column))


def _render_problems(parts: list[tuple[Part, str]], language: str, variant: Variant) -> list[Problem]:
    """Renders each part as it was written: what stops has the author's line, not the compiled one."""
    data = cast("dict[str, Any]", example_context(language, variant=variant))
    problems: list[Problem] = []
    for part, source in parts:
        try:
            render_source(source, data, escape=part == "mjml", part=part)
        except TemplateRefused as error:
            hint = _("Some customers lack it; guard it with {% if %}.") if variant == "bare" else ""
            problems += [replace(p, suggestion=p.suggestion or hint) for p in error.problems]
    return problems


def _size_problems(subject: str, source: str, text: str | None, language: str) -> list[Problem]:
    try:
        ready: CompiledTemplate = compile_template(subject=subject, mjml=source, text=text, language=language)
        usual, many = (render(ready, example_context(language, variant=v)) for v in ("usual", "many"))
    except TemplateRefused as error:
        return list(error.problems)
    problems = []
    if not usual.subject:
        problems.append(Problem(1, 1, _("The subject is empty."), part="subject"))
    elif (length := len(usual.subject)) > MAX_SUBJECT:
        message = _("The subject is %(length)s characters long with the example data; phones show %(most)s.")
        problems.append(
            Problem(1, 1, message % {"length": length, "most": MAX_SUBJECT}, severity="warning", part="subject")
        )
    if (length := len(many.html.encode())) > MAX_HTML:
        message = _("The mail is %(size)s kB large; Gmail cuts it at 102 kB.")
        problems.append(Problem(1, 1, message % {"size": length // 1000}, severity="warning"))
    return problems
