"""The portal's texts in each language: complete, with the same placeholders, compiled from the repository's source."""

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings

from customers.models.customer import LANGUAGES as CUSTOMER_LANGUAGES

#: Number of plural forms by language.
LANGUAGES = {"it": 2, "fr": 2, "pl": 3, "de": 2, "es": 2}


def folder(language: str) -> Path:
    return Path(settings.LOCALE_PATHS[0]) / language / "LC_MESSAGES"


def forms(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def texts(catalog: Any) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {forms(message.id): forms(message.string) for message in catalog if message.id}


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)s", text))


@pytest.fixture(scope="module", params=list(LANGUAGES))
def source(request: pytest.FixtureRequest) -> Any:
    with (folder(request.param) / "django.po").open("rb") as file:
        return read_po(file, locale=request.param)


def test_every_language_of_mails_has_its_portal() -> None:
    assert {code for code, _name in CUSTOMER_LANGUAGES} == {"en", *LANGUAGES}
    assert {code for code, _name in settings.LANGUAGES} == {"en", *LANGUAGES}


def test_the_compiled_texts_are_those_of_the_source(source: Any) -> None:
    with (folder(str(source.locale)) / "django.mo").open("rb") as file:
        assert texts(read_mo(file)) == texts(source), "Run `make messages`."


def test_every_text_is_translated_with_its_placeholders(source: Any) -> None:
    for message in source:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        originals, translated = forms(message.id), forms(message.string)
        if len(originals) > 1:
            assert len(translated) == LANGUAGES[str(source.locale)], message.id
        for number, words in enumerate(translated):
            original = originals[min(number, len(originals) - 1)]
            assert words, original
            assert placeholders(words) == placeholders(original)


def test_no_language_is_another_ones_copy(source: Any) -> None:
    """A sentence of four words and more that is as English as the original was forgotten."""
    for message in source:
        for original, translated in zip(forms(message.id), forms(message.string), strict=False):
            if len(original.split()) >= 4:
                assert original != translated


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
