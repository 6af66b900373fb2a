"""Owns the shared frame around a mail's own sections, and its fragments and words.

A template writes `[[name]]` for a fragment (`campaigns/shipped/layout/<name>.mjml`, or `.txt` where it is plain
text and of use in letters and messages too) or a word of its language (`words.yaml`); both are put in at publish,
so the stored mail depends on nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

import yaml
from django.utils.translation import gettext as _

from .mjml import is_document
from .problems import Problem, line_and_column
from .reasons import FALLBACK_LANGUAGE, SHIPPED

_SLOT = re.compile(r"\[\[(\w+)\]\]")
_FRAME = "layout"


@lru_cache(maxsize=1)
def _fragments() -> dict[str, str]:
    return {path.stem: path.read_text("utf-8").strip() for path in sorted((SHIPPED / "layout").glob("*.mjml"))}


@lru_cache(maxsize=1)
def _plain_fragments() -> dict[str, str]:
    return {path.stem: path.read_text("utf-8").strip() for path in sorted((SHIPPED / "layout").glob("*.txt"))}


@lru_cache(maxsize=32)
def _words(language: str) -> Mapping[str, str]:
    words: dict[str, dict[str, str]] = yaml.safe_load((SHIPPED / "layout" / "words.yaml").read_text("utf-8"))
    return {**words[FALLBACK_LANGUAGE], **words.get(language, {}), "language": language}


def slot_names() -> list[str]:
    """What a template may write between [[ and ]]: the fragments first, then the words."""
    fragments = [name for name in (*_fragments(), *_plain_fragments()) if name != _FRAME]
    return fragments + [name for name in _words(FALLBACK_LANGUAGE) if name != "language"]


def wrap(source: str, language: str) -> str:
    """`source` as a whole MJML document with its slots filled; sections are put into the shared frame."""
    short = language.replace("_", "-").split("-")[0].lower()
    slots = {**_fragments(), **_plain_fragments(), **_words(short)}

    def fill(match: re.Match[str]) -> str:
        return slots.get(match[1], match[0])

    if not is_document(source):
        slots["content"] = source
        source = slots[_FRAME]
    for _level in range(3):  # frame, content, fragment: what is nested deeper stays as written
        source = _SLOT.sub(fill, source)
    return source


def fill_words(source: str, language: str) -> str:
    """`source` of a plain text with the words and plain fragments (`<name>.txt`) it names by [[name]]."""
    words = {**_plain_fragments(), **_words(language.replace("_", "-").split("-")[0].lower())}
    for _level in range(2):
        source = _SLOT.sub(lambda match: words.get(match[1], match[0]), source)
    return source


def check_slots(
    source: str, did_you_mean: Callable[[str, list[str]], str], *, words_only: bool = False
) -> list[Problem]:
    """Names between [[ and ]] that stand for nothing, with their lines; plain texts know the words only."""
    known = slot_names()
    if words_only:
        known = [name for name in known if name not in _fragments()]
    return [
        Problem(
            *line_and_column(source, m.start()),
            _("Unknown part [[%(name)s]].") % {"name": m[1]},
            did_you_mean(m[1], known),
        )
        for m in _SLOT.finditer(source)
        if m[1] not in known
    ]
