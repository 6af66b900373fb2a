"""Owns the MJML of mails that are written as plain paragraphs, by the shipped set and by people."""

import re

_AS_WRITTEN = re.compile(r"(\[\[\w+\]\]\s*)+|<mj-.*", re.S)


def mail_body(paragraphs: str) -> str:
    """MJML of a mail written as paragraphs with an empty line between them; parts and MJML stay as they are."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", paragraphs.strip()):
        text = paragraph.strip()
        if not _AS_WRITTEN.fullmatch(text):
            text = f"<mj-text>{text}</mj-text>"
        lines += [f"    {line}" for line in text.splitlines()]
    return "\n".join(["<mj-section>", "  <mj-column>", *lines, "  </mj-column>", "</mj-section>", ""])


def own_source(text: str) -> str:
    """The source of a mail from what a person wrote into a form: paragraphs, or a whole template of their own."""
    return text if text.lstrip().startswith("<mj") else mail_body(text)
