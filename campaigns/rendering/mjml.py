"""Owns MJML: the check of its structure with lines, and its compilation to mail HTML, Liquid left in place.

The compiler (mrml) knows nothing of Liquid: a `<` in a tag or a quote in an attribute stops it without a
line, and unknown `mj-*` tags vanish silently. So Liquid is hidden behind plain words while it runs, and
structure is checked here first. What would fetch anything from outside (fonts, scripts, style sheets) is
refused.
"""

from __future__ import annotations

import difflib
import re
from html.parser import HTMLParser

import mrml
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .problems import Problem, TemplateRefused, line_and_column, unfinished

LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.S)
_HIDDEN = re.compile(r"lqd(\d+)lqd")

_MASK = "\x01"
_NO_TEXT = re.compile(r"[\x01\s]|\[\[\w+\]\]")
_CHARACTER = re.compile(r"&#(\d{3,7});")

_HEAD = {"mj-title", "mj-preview", "mj-attributes", "mj-style", "mj-raw", "mj-breakpoint"}
_CONTENT = {"mj-text", "mj-button", "mj-table", "mj-image", "mj-divider", "mj-spacer", "mj-raw"}
_BLOCKS = {"mj-section", "mj-wrapper", "mj-raw"}
CHILDREN: dict[str, set[str]] = {
    "": {"mjml"},
    "mjml": {"mj-head", "mj-body"},
    "mj-head": _HEAD,
    "mj-attributes": {
        "mj-all",
        "mj-class",
        "mj-body",
        "mj-section",
        "mj-wrapper",
        "mj-column",
        "mj-group",
        *_CONTENT,
    },
    "mj-body": _BLOCKS,
    "mj-wrapper": {"mj-section", "mj-raw"},
    "mj-section": {"mj-column", "mj-group", "mj-raw"},
    "mj-group": {"mj-column", "mj-raw"},
    "mj-column": _CONTENT,
}
KNOWN = set().union(*CHILDREN.values())
_ELSEWHERE = {
    "mj-font": gettext_lazy("Mails fetch nothing from outside; set font-family on mj-all."),
    "mj-include": gettext_lazy("Put the text here; the layout around it is shared already."),
    "mj-social": gettext_lazy("Its icons come from a server that is not yours; use links in mj-text."),
}
_REFUSED_HTML = {"script", "iframe", "form", "object", "embed", "link", "base", "input", "video", "audio"}
_VOID = {"br", "hr", "img", "meta", "wbr", "col", "area", "source"}
# Comments are read once and not again in every way they could be grouped.
_DOCUMENT = re.compile(r"\s*(?:(?><!--.*?-->)\s*+)*+<mjml[\s>]", re.S)
#: Longer than any tag a mail needs; the library's parser takes minutes over a tag that goes on and on.
_MOST_TAG = 2_000
_ENDLESS_TAG = re.compile(rf"<[a-z/][^>]{{{_MOST_TAG}}}", re.I)
_OUTSIDE = re.compile(r"@import|@font-face|url\(\s*['\"]?\s*(?:https?:)?//", re.I)


def mask(source: str) -> str:
    """`source` with each Liquid tag overwritten, length and lines kept, so that places stay true."""
    return LIQUID.sub(lambda m: re.sub(r"[^\n]", _MASK, m[0]), source)


def hide(source: str) -> tuple[str, list[str]]:
    """`source` with each Liquid tag replaced by a plain word, and the tags in order, for `reveal`."""
    tags: list[str] = []

    def keep(match: re.Match[str]) -> str:
        tags.append(match[0])
        return f"lqd{len(tags) - 1}lqd"

    return LIQUID.sub(keep, _HIDDEN.sub("", source)), tags


def reveal(text: str, tags: list[str]) -> str:
    """Puts the Liquid tags back where `hide` took them from."""
    return _HIDDEN.sub(lambda m: tags[int(m[1])], text)


class _Checker(HTMLParser):
    """Walks the markup to name the line of what is unknown, misplaced or unbalanced."""

    def __init__(self, root: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = root
        self.open: list[tuple[str, int, int]] = []
        self.problems: list[Problem] = []
        self.font_set = False

    def found(self, message: str, suggestion: str = "") -> None:
        line, column = self.getpos()
        self.problems.append(Problem(line, column + 1, message, suggestion))

    def parent(self) -> str:
        return self.open[-1][0] if self.open else self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._start(tag, attrs)
        if tag not in _VOID:
            self.open.append((tag, *self.getpos()))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._start(tag, attrs)

    def _start(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        parent, values = self.parent(), dict(attrs)
        if tag in _ELSEWHERE:
            self.found(_("<%(tag)s> is not available.") % {"tag": tag}, str(_ELSEWHERE[tag]))
        elif tag.startswith("mj") and tag not in KNOWN:
            near = difflib.get_close_matches(tag, KNOWN, 1)
            hint = _("Did you mean <%(tag)s>?") % {"tag": near[0]} if near else ""
            self.found(_("<%(tag)s> is unknown.") % {"tag": tag}, hint)
        elif tag in _REFUSED_HTML:
            self.found(_("<%(tag)s> has no place in a mail.") % {"tag": tag})
        elif parent in CHILDREN and tag not in CHILDREN[parent] or tag in KNOWN and parent not in CHILDREN:
            self._misplaced(tag, parent)
        if tag == "mj-style" and "inline" in values:
            self.found(
                _("<mj-style inline> would be lost."),
                _("Use attributes, mj-class, or style='' on the element."),
            )
        if tag == "mj-all" and values.get("font-family"):
            self.font_set = True
        for name, value in attrs:
            if name.startswith("on"):
                self.found(_("Scripts (%(name)s) have no place in a mail.") % {"name": name})
            elif name in ("href", "src") and re.match(r"\s*(javascript|data|vbscript|file):", value or "", re.I):
                self.found(_("A link must start with https://, http://, mailto: or tel:."))
            elif value and _OUTSIDE.search(value):
                self.found(_("Mails fetch nothing from outside (%(name)s).") % {"name": name})

    def _misplaced(self, tag: str, parent: str) -> None:
        where = _("inside <%(tag)s>") % {"tag": parent} if parent else _("at the top")
        allowed = ", ".join(f"<{t}>" for t in sorted(CHILDREN.get(parent, ())))
        self.found(
            _("<%(tag)s> cannot stand %(where)s.") % {"tag": tag, "where": where},
            _("Allowed there: %(tags)s.") % {"tags": allowed} if allowed else "",
        )

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if self.open and self.open[-1][0] == tag:
            self.open.pop()
        elif any(name == tag for name, _line, _column in self.open):
            while self.open[-1][0] != tag:
                name, line, column = self.open.pop()
                self.problems.append(Problem(line, column + 1, _("<%(tag)s> is never closed.") % {"tag": name}))
            self.open.pop()
        else:
            self.found(_("</%(tag)s> closes nothing.") % {"tag": tag})

    def handle_data(self, data: str) -> None:
        if self.parent() in CHILDREN and _NO_TEXT.sub("", data):
            self.found(_("Text stands outside of any element."), _("Put it into <mj-text>."))
        if self.open and self.open[-1][0] in ("mj-style", "style") and _OUTSIDE.search(data):
            self.found(_("Mails fetch nothing from outside (styles)."))

    def finish(self) -> None:
        unfinished = self.rawdata.lstrip().startswith("<")
        self.close()
        if unfinished:
            self.found(_("A tag is not finished."), _("Look for a missing > or quote."))
        for name, line, column in self.open:
            self.problems.append(Problem(line, column + 1, _("<%(tag)s> is never closed.") % {"tag": name}))


def is_document(source: str) -> bool:
    """Whether `source` is a whole MJML document rather than sections for the shared layout."""
    return _DOCUMENT.match(source) is not None


def check(source: str) -> list[Problem]:
    """What is wrong with the structure of `source` (a document, or sections to be put into the layout)."""
    if (start := unfinished(source)) is not None:
        return [Problem(*line_and_column(source, start), _("A tag is not finished."))]
    document = is_document(source)
    masked = mask(source)
    if endless := _ENDLESS_TAG.search(masked):
        place = line_and_column(masked, endless.start())
        return [Problem(*place, _("A tag is not finished."), _("Look for a missing > or quote."))]
    checker = _Checker(root="" if document else "mj-body")
    checker.feed(masked)
    checker.finish()
    if document and not checker.font_set:
        checker.problems.append(
            Problem(
                1,
                1,
                _("No font is set, so the mail would fetch one from outside."),
                _("Add <mj-all font-family='Arial, sans-serif' /> to <mj-attributes> in <mj-head>."),
            )
        )
    return sorted(checker.problems)


def _character(reference: re.Match[str]) -> str:
    """The letter a numeric reference stands for; what is no letter (controls, surrogates) stays as it is."""
    number = int(reference[1])
    real = 159 < number < 0xD800 or 0xDFFF < number < 0x110000
    return chr(number) if real else reference[0]


def to_html(document: str) -> str:
    """Compiles a whole MJML document to HTML, Liquid untouched; raises TemplateRefused."""
    problems = check(document)
    if problems:
        raise TemplateRefused(problems)
    hidden, tags = hide(document)
    # The parser cuts text at byte offsets and panics within a character: it is given ASCII only.
    plain = hidden.encode("ascii", "xmlcharrefreplace").decode("ascii")
    try:
        html: str = mrml.to_html(plain, None, mrml.RenderOptions(disable_comments=True, fonts={})).content
    except OSError as error:
        raise TemplateRefused([Problem(1, 1, _("MJML: %(error)s.") % {"error": error})]) from error
    except BaseException as error:
        # A panic in the compiler is no Exception and would take the whole worker with it.
        if type(error).__name__ != "PanicException":
            raise
        raise TemplateRefused([Problem(1, 1, _("MJML cannot be read."))]) from error
    html = _CHARACTER.sub(_character, html)
    lost = [tag for number, tag in enumerate(tags) if f"lqd{number}lqd" not in html]
    if kept := [tag for tag in lost if tag.startswith("{%") and not re.match(r"\{%-?\s*(comment|#)", tag)]:
        # A lost {% endif %} would change which customers see what.
        raise TemplateRefused([Problem(1, 1, _("MJML drops %(tag)s.") % {"tag": kept[0]})])
    return reveal(html, tags)
