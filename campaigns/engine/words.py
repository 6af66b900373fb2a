"""The engine's phrases in the active language, each looked up once per batch instead of once per case."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.utils.translation import gettext

_known: ContextVar[dict[str, str] | None] = ContextVar("engine_phrases", default=None)


@contextmanager
def one_language() -> Iterator[None]:
    """For a block in which the active language does not change: phrases are remembered until its end."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def phrase(text: str) -> str:
    """`gettext`, remembered within `one_language`. Imported as `_`, so that makemessages finds the phrases."""
    known = _known.get()
    if known is None:
        return gettext(text)
    translated = known.get(text)
    if translated is None:
        translated = known[text] = gettext(text)
    return translated
