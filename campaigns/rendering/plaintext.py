"""Owns the plain-text part: derived from MJML at publish, links kept as "label: url", tidied per message."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from .mjml import hide, reveal

_SPEAKING = {"mj-text", "mj-button", "mj-table"}
_PARAGRAPH = {"p", "h1", "h2", "h3", "h4", "ul", "ol", "div", "blockquote"}
_CELLS = {"td", "th"}
_BLANKS = re.compile(r"[ \t]{2,}")
_EMPTY_LINES = re.compile(r"\n{3,}")
_TAG_WORD = re.compile(r"lqd\d+lqd")


class _Writer(HTMLParser):
    """Writes what mj-text, mj-button and mj-table say; of everything else only the Liquid control tags."""

    def __init__(self, tags: list[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.tags = tags
        self.out: list[str] = []
        self.inside: list[str] = []
        self.links: list[tuple[str, int]] = []
        self.cells = 0

    def write(self, text: str) -> None:
        self.out.append(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._start(tag, dict(attrs))
        if tag in ("mj-head", "td", "th", *_SPEAKING):
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._start(tag, dict(attrs))
        self.handle_endtag(tag)

    def _start(self, tag: str, attrs: dict[str, str | None]) -> None:
        if tag in _SPEAKING or tag in _PARAGRAPH:
            self.write("\n\n")
        elif tag == "mj-divider":
            self.write("\n\n----\n\n")
        elif tag == "br":
            self.write(", " if "td" in self.inside else "\n")
        elif tag == "tr":
            self.write("\n")
            self.cells = 0
        elif tag in _CELLS:
            if self.cells:
                self.write(" | ")
            self.cells += 1
        elif tag == "li":
            self.write("\n- ")
        if tag in ("a", "mj-button"):
            self.links.append((attrs.get("href") or "", len(self.out)))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("a", "mj-button") and self.links:
            url, start = self.links.pop()
            label = " ".join("".join(self.out[start:]).split())
            address = url.removeprefix("mailto:").removeprefix("tel:")
            if address and reveal(label, self.tags) != reveal(address, self.tags):
                # A full stop or blank after the label stays with the label, never with the address.
                self.out[start:] = [f"{label}: {address}" if label else address]
        if tag in _SPEAKING or tag in _PARAGRAPH:
            self.write("\n\n")
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if "mj-head" in self.inside:
            return
        if self.inside and not (self.inside[-1] == "mj-table" and not data.strip()):
            self.write(re.sub(r"\s+", " ", data.replace("\xa0", " ")))
            return
        for word in _TAG_WORD.findall(data):
            if self.tags[int(word[3:-3])].startswith("{%"):
                self.write(word)


def derive(document: str) -> str:
    """The Liquid source of the plain-text part of a whole MJML document."""
    hidden, tags = hide(document)
    writer = _Writer(tags)
    writer.feed(hidden)
    writer.close()
    return reveal(tidy("".join(writer.out)), tags)


def tidy(text: str) -> str:
    """Without blanks at line ends and without more than one empty line in a row."""
    lines = [line.strip() for line in _BLANKS.sub(" ", text).splitlines()]
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip() + "\n"
