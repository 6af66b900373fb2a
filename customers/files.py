"""Owns which files of strangers and of staff are taken, how large, and how they are handed out again. Nothing of them
is executed, shown inline or named by whoever sent it."""

from pathlib import PurePosixPath

from django.db.models.fields.files import FieldFile
from django.http import FileResponse
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

#: Bytes of one file.
MOST_BYTES = 5 * 1024 * 1024
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
#: What people may choose from.
ENDINGS = (*_KINDS, *sorted(_TEXT))


def safe_name(name: str) -> str:
    """A file name without directories and control characters, for people to read only."""
    last = PurePosixPath(name.replace("\\", "/")).name
    shown = "".join(char for char in last if char.isprintable()).strip(". ")
    return shown[-255:] or "attachment"


def refusal(name: str, content: bytes) -> str:
    """Why a file is not kept, in words; empty if it is."""
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


def handed_out(file: FieldFile, name: str) -> FileResponse:
    """A stored file as a download: never shown in the page, never run, never cached. Whether the reader may have it
    is the caller's to check."""
    response = FileResponse(
        file.open("rb"), as_attachment=True, filename=name, content_type="application/octet-stream"
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cache-Control"] = "no-store"
    return response
