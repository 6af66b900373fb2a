"""Owns what happens at publish (compile once) and per message (fill in); both pure, no models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from liquid.exceptions import LiquidError

from . import gsm, layout, plaintext
from .liquid import compiled as compiled_liquid
from .liquid import problem_of, render_source
from .mjml import to_html
from .problems import Part, TemplateRefused
from .variables import MailContext

#: Values of customers.models.Channel; this package knows no models.
EMAIL = "email"
SMS = "sms"


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """A published template: three Liquid sources to be stored as text and filled in per message."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished message; `subject` is one line, `html` empty for all but e-mail."""

    subject: str
    html: str
    text: str


# A publish compiles to check the size, then to keep the outcome.
@lru_cache(maxsize=64)
def compile_template(
    *, subject: str, mjml: str, text: str | None = None, language: str = "en", channel: str = EMAIL
) -> CompiledTemplate:
    """Compiles at publish: MJML to HTML with its Liquid left in place, and the plain text if none is given.

    `mjml` is a whole document, or sections that go into the shared layout with its footer in `language`. For any
    `channel` but e-mail it is plain text, and so is the outcome: `html` stays empty.
    Raises TemplateRefused with the first part that does not compile; `lint.check_template` says more.
    """
    if channel == EMAIL:
        document = layout.wrap(mjml, language)
        compiled = CompiledTemplate(
            subject=subject.strip(),
            html=to_html(document),
            text=text if text and text.strip() else plaintext.derive(document),
        )
    else:
        compiled = CompiledTemplate(subject=subject.strip(), html="", text=layout.fill_words(mjml, language).strip())
    parts: tuple[tuple[Part, str, bool], ...] = (
        ("subject", compiled.subject, False),
        ("mjml", compiled.html, True),
        ("text", compiled.text, False),
    )
    for part, source, escape in parts:
        try:
            compiled_liquid(source, escape=escape)
        except LiquidError as error:
            raise TemplateRefused([problem_of(error, source, part)]) from error
    return compiled


def render(compiled: CompiledTemplate, context: MailContext, *, channel: str = EMAIL) -> Rendered:
    """Fills in one message; raises TemplateRefused if a value is missing or a limit reached.

    An SMS is one line, spelled so that it takes as few parts as it can.
    """
    data = cast("dict[str, Any]", context)
    subject = render_source(compiled.subject, data, escape=False, part="subject")
    if channel == SMS:
        text = render_source(compiled.text, data, escape=False, part="text")
        return Rendered(subject="", html="", text=gsm.spell(" ".join(text.split())))
    return Rendered(
        subject=" ".join(subject.split()),  # one line: a name with a line break must not become a header
        html=render_source(compiled.html, data, escape=True, part="mjml"),
        text=plaintext.tidy(render_source(compiled.text, data, escape=False, part="text")),
    )
