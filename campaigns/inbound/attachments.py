"""Owns attachments of incoming mail: which are kept, how large, and where they lie. Nothing of them is executed,
shown inline or named by its sender."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from campaigns.models.inbound import InboundAttachment, InboundMessage, attachment_path

#: Bytes of one attachment and of all of a mail together, and how many are looked at.
MOST_BYTES = 5 * 1024 * 1024
MOST_BYTES_TOGETHER = 15 * 1024 * 1024
MOST_FILES = 20
#: Extension → how such a file begins. What people attach to talk about a bill; nothing that runs.
_KINDS: dict[str, tuple[bytes, ...]] = {
    ".pdf": (b"%PDF-",),
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".webp": (b"RIFF",),
    ".docx": (b"PK\x03\x04",),
    ".xlsx": (b"PK\x03\x04",),
    ".odt": (b"PK\x03\x04",),
    ".ods": (b"PK\x03\x04",),
}
#: Text has no beginning of its own: kept if it is text.
_TEXT = frozenset({".txt", ".csv"})


@dataclass(frozen=True, slots=True)
class Attached:
    """One attachment as it came."""

    name: str
    content_type: str
    content: bytes


def keep(inbound: InboundMessage, files: Iterable[Attached]) -> list[str]:
    """Stores what may be kept and notes what may not; returns a line for each, for the log."""
    lines: list[str] = []
    together = 0
    for number, attached in enumerate(files):
        if number >= MOST_FILES:
            lines.append(_("Further attachments were not looked at."))
            break
        name = safe_name(attached.name)
        size = len(attached.content)
        why = refusal(name, attached.content)
        if not why and together + size > MOST_BYTES_TOGETHER:
            why = _("the mail's attachments are too large together")
        row = InboundAttachment(
            inbound=inbound, name=name, content_type=attached.content_type[:100], size=size, refused=why[:255]
        )
        if not why:
            together += size
            row.sha256 = hashlib.sha256(attached.content).hexdigest()
            path = attachment_path(row, name)
            # The same file again (a signature's logo) is the same file.
            row.file.name = (
                path if default_storage.exists(path) else default_storage.save(path, ContentFile(attached.content))
            )
        row.save()
        values = {"name": name, "size": filesizeformat(size), "why": why}
        words = (
            _("Attachment not kept: %(name)s (%(size)s), %(why)s.") if why else _("Attachment: %(name)s (%(size)s).")
        )
        lines.append(words % values)
    return lines


def safe_name(name: str) -> str:
    """A file name without directories and control characters, for people to read only."""
    last = PurePosixPath(name.replace("\\", "/")).name
    shown = "".join(char for char in last if char.isprintable()).strip(". ")
    return shown[-255:] or "attachment"


def refusal(name: str, content: bytes) -> str:
    """Why an attachment is not kept, in words; empty if it is."""
    if len(content) > MOST_BYTES:
        return _("it is larger than %(size)s") % {"size": filesizeformat(MOST_BYTES)}
    extension = PurePosixPath(name.lower()).suffix
    if extension in _TEXT:
        return "" if b"\x00" not in content else _("it is no text")
    begins = _KINDS.get(extension)
    if begins is None:
        return _("files of this kind are not taken")
    if not content.startswith(begins):
        return _("its content is not what its name says")
    return ""
