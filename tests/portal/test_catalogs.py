"""What customers read is there in every language the portal offers, in what was last compiled."""

from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.mofile import read_mo
from django.utils.translation.template import templatize

ROOT = Path(__file__).parents[2]
#: Labels of the admin, and words for staff's log.
_FOR_STAFF = {"admin.py", "models.py", "apps.py", "notices.py"}
_KEYWORDS = {"_": None, "gettext": None, "gettext_lazy": None, "ngettext": (1, 2)}


def asked_for() -> set[str]:
    """Every text of the customers' pages, as its catalog has it."""
    sources = [
        path.read_text("utf-8")
        for path in (ROOT / "portal").rglob("*.py")
        if path.name not in _FOR_STAFF and "migrations" not in path.parts
    ]
    pages = (ROOT / "templates" / "portal").rglob("*.html")
    # One line each: what is left of a page has no indentation Python could follow.
    sources += [" ".join(templatize(path.read_text("utf-8"), origin=str(path)).split()) for path in pages]
    found = set()
    for source in sources:
        for _line, text, _comments, _context in extract("python", BytesIO(source.encode()), keywords=_KEYWORDS):
            found.add(text if isinstance(text, str) else str(text[0]))
    return found


@pytest.mark.parametrize("language", ["it", "fr", "de", "es", "pl"])
def test_every_text_of_the_customers_pages_is_translated(language: str) -> None:
    with (ROOT / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as compiled:
        catalog = read_mo(compiled)
    wanted = asked_for()
    assert len(wanted) > 100
    missing = {
        text
        for text in wanted
        if (entry := catalog.get(text)) is None
        or not all([entry.string] if isinstance(entry.string, str) else entry.string)
    }
    assert missing == set()
