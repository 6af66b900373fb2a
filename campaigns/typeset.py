"""Owns letters on paper as PDF: the sheet with its address window, the cover list, and both in one file.

Typst sets them in this process, from fonts in its wheel (Latin with all European accents, Greek, Cyrillic),
settings.LETTER_FONTS and the system's. A letter with characters no font has is refused: boxes in place of a name
would be posted unseen.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import typst
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _
from pypdf import PdfReader, PdfWriter

from campaigns.channels.base import ChannelError, Fate, Outgoing
from customers.errors import SollecitoError

_SHEETS = Path(__file__).resolve().parent / "shipped" / "letter"
#: Countries that fold US letter into #10 envelopes; the rest of the world uses A4.
_US_PAPER = frozenset({"US", "CA", "MX", "PH", "PR"})
#: Tried in this order, then every font there is.
_FONTS = ("Libertinus Serif", "Noto Serif", "Noto Serif CJK JP", "Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic")
#: Lines of an address that fit the window.
MOST_LINES = 8


@dataclass(frozen=True, slots=True)
class Sheet:
    """A finished PDF."""

    pdf: bytes
    pages: int


@lru_cache(maxsize=4)
def _fonts(folders: tuple[str, ...], system: bool) -> typst.Fonts:
    # Reading the system's fonts takes a second; a letter takes thirty milliseconds.
    return typst.Fonts(include_system_fonts=system, font_paths=list(folders))


def _compile(sheet: str, data: dict[str, Any], at: datetime, *, check: bool = True) -> Sheet:
    fonts = _fonts(tuple(settings.LETTER_FONTS), settings.LETTER_SYSTEM_FONTS)
    have = set(fonts.families())
    wanted = [name for name in _FONTS if name in have]
    data = data | {"fonts": wanted or sorted(have)[:1]}
    compiler = typst.Compiler(root=str(_SHEETS), font_paths=fonts, ignore_system_fonts=True)
    pdf = compiler.compile(
        str(_SHEETS / sheet), sys_inputs={"data": json.dumps(data, ensure_ascii=False)}, timestamp=at
    )
    if not isinstance(pdf, bytes):
        raise SollecitoError("The typesetter gave no PDF.", code="letter_not_set")
    reader = PdfReader(io.BytesIO(pdf))
    # A character without a glyph is written as glyph 0, which reads back as NUL.
    if check and any("\x00" in (page.extract_text() or "") for page in reader.pages):
        raise SollecitoError(
            _("No font holds all characters of this letter; see LETTER_FONTS."), code="letter_glyph_missing"
        )
    return Sheet(pdf, len(reader.pages))


def address_lines(name: str, address: str) -> list[str]:
    """The lines of the window: the name, unless the address begins with it, and the address."""
    lines = [" ".join(line.split()) for line in address.splitlines()]
    lines = [line for line in lines if line]
    if name and lines and lines[0].casefold() != name.casefold():
        lines.insert(0, name)
    return lines


def letter(outgoing: Outgoing) -> Sheet:
    """Sets one letter. Raises ChannelError if it has no address, or characters no font has."""
    lines = address_lines(outgoing.recipient_name, outgoing.recipient)
    if len(lines) < 2 or len(lines) > MOST_LINES:
        raise ChannelError(
            f"A letter's address has 2 to {MOST_LINES} lines, this one {len(lines)}.",
            fate=Fate.PERMANENT,
            code="letter_address",
            dead_address=len(lines) < 2,
        )
    home = [" ".join(line.split()) for line in outgoing.from_address.splitlines() if line.strip()]
    with translation.override(outgoing.language):
        facts = [(_("Date"), outgoing.date_words), (_("To pay"), outgoing.amount)]
        data = {
            "paper": "us-letter" if outgoing.country in _US_PAPER else "a4",
            "language": outgoing.language.split("-")[0],
            "subject": outgoing.subject,
            "sender_name": outgoing.from_name,
            "color": outgoing.color,
            "return_line": " · ".join([outgoing.from_name, *home]),
            "footer": " · ".join([outgoing.from_name, *home, outgoing.from_email]),
            "address": lines,
            "facts": [(name, value) for name, value in facts if value],
            "paragraphs": [block.splitlines() for block in outgoing.text.strip().split("\n\n") if block.strip()],
        }
    try:
        return _compile("letter.typ", data, outgoing.at)
    except SollecitoError as error:
        raise ChannelError(error.message, fate=Fate.PERMANENT, code=error.code) from error
    except typst.TypstError as error:
        raise ChannelError(f"typst: {error}"[:400], fate=Fate.PERMANENT, code="letter_not_set") from error


def cover(
    *,
    title: str,
    rows: Sequence[Sequence[str]],
    left_out: Sequence[Sequence[str]],
    pages: int,
    at: datetime,
    language: str,
) -> Sheet:
    """Sets the cover list of a batch: one row per letter (place, name, address, pages, message), and those that must
    not be posted any more (name, reason, message)."""
    data = {
        "title": title,
        "language": language.split("-")[0],
        "summary": _("%(letters)s letters, %(pages)s pages.") % {"letters": len(rows), "pages": pages},
        "head": [_("No."), _("Name"), _("Address"), _("Pages"), _("Message")],
        "rows": [list(row) for row in rows],
        "left_out": {
            "title": _("Left out: not to be posted"),
            "head": [_("Name"), _("Reason"), _("Message")],
            "rows": [list(row) for row in left_out],
        },
        "signed": [_("Printed and put into envelopes by, on"), _("Posted by, on")],
    }
    return _compile("cover.typ", data, at)


#: Characters the wheel's own fonts have: European scripts, Greek, Cyrillic, punctuation, currencies, arrows.
_EVERYWHERE = ((0x20, 0x24F), (0x370, 0x52F), (0x1E00, 0x1EFF), (0x2010, 0x2027), (0x2030, 0x205E), (0x20A0, 0x20BF))
#: Those of Chinese, Japanese and Korean, where such a font is at hand.
_EASTERN = ((0x3000, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF))


def legible(text: str) -> str:
    """A text in which what no font may have (an emoji in a reply) stands as its code point: a document of hundreds
    of lines is not refused for one of them, and no box is printed unseen."""
    have = set(_fonts(tuple(settings.LETTER_FONTS), settings.LETTER_SYSTEM_FONTS).families())
    spans = _EVERYWHERE + (
        _EASTERN if any("CJK" in name or " JP" in name for name in have.intersection(_FONTS)) else ()
    )
    return "".join(
        char if char == "\n" or any(low <= ord(char) <= high for low, high in spans) else f"[U+{ord(char):04X}]"
        for char in text.replace("\r\n", "\n").replace("\t", " ")
    )


def evidence(
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    lines: Sequence[dict[str, str]],
    messages: Sequence[dict[str, str]],
    log_hash: str,
    at: datetime,
    language: str,
) -> Sheet:
    """Sets a log as evidence; see campaigns.evidence for what the lines and messages hold."""
    explained = _(
        "Under each entry stands the SHA-256 of its exact content. The SHA-256 of the log is made of all entries in"
        " their order, each with the one before. The exact contents are inside this file as “log.jsonl”."
    )
    data = {
        "title": legible(title),
        "language": language.split("-")[0],
        "facts": [(name, legible(value)) for name, value in facts],
        "explained": explained,
        "log_title": _("Entries, oldest first"),
        "messages_title": _("Messages as they were sent"),
        "footer": f"SHA-256 {log_hash}",
        "lines": [{name: legible(value) for name, value in line.items()} for line in lines],
        "messages": [{name: legible(value) for name, value in message.items()} for message in messages],
    }
    return _compile("evidence.typ", data, at.replace(microsecond=0), check=False)


def dossier(
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]],
    at: datetime,
    language: str,
) -> Sheet:
    """Sets what an agency is told of one case: facts, and tables (title, headings, rows); empty ones are left out."""
    data = {
        "title": legible(title),
        "language": language.split("-")[0],
        "facts": [(name, legible(value)) for name, value in facts],
        "tables": [
            {"title": name, "head": list(head), "rows": [[legible(cell) for cell in row] for row in rows]}
            for name, head, rows in tables
            if rows
        ],
    }
    return _compile("dossier.typ", data, at.replace(microsecond=0), check=False)


def together(sheets: Sequence[bytes]) -> bytes:
    """All PDFs in one, in their order."""
    writer = PdfWriter()
    for pdf in sheets:
        writer.append(io.BytesIO(pdf), import_outline=False)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
