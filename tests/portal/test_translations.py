"""The Italian texts: complete, with the same placeholders, and compiled from what is in the repository."""

import re
from typing import Any

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings

FOLDER = settings.LOCALE_PATHS[0] / "it" / "LC_MESSAGES"


def forms(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def texts(catalog: Any) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {forms(message.id): forms(message.string) for message in catalog if message.id}


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)s", text))


@pytest.fixture(scope="module")
def source() -> Any:
    with (FOLDER / "django.po").open("rb") as file:
        return read_po(file, locale="it")


def test_the_compiled_texts_are_those_of_the_source(source: Any) -> None:
    with (FOLDER / "django.mo").open("rb") as file:
        assert texts(read_mo(file)) == texts(source), "Run `make messages`."


def test_every_text_is_translated_with_its_placeholders(source: Any) -> None:
    for message in source:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        for original, translated in zip(forms(message.id), forms(message.string), strict=True):
            assert translated, original
            assert placeholders(translated) == placeholders(original)


def test_every_text_of_the_portals_pages_is_in_the_source(source: Any) -> None:
    known = {forms(m.id)[0] for m in source if m.id}
    used = set()
    for path in (settings.BASE_DIR / "templates" / "portal").iterdir():
        page = path.read_text("utf-8")
        used |= {a or b for a, b in re.findall(r"""\{% translate (?:"([^"]+)"|'([^']+)')""", page)}
        for block in re.findall(r"\{% blocktranslate[^%]*%\}(.*?)\{% (?:plural|endblocktranslate) %\}", page, re.S):
            used.add(re.sub(r"\{\{ (\w+) \}\}", r"%(\1)s", block))
    assert len(used) > 80
    assert used - known == set()
