"""Owns attachments of incoming mail: which are kept, how large, and where they lie. Nothing of them is executed,
shown inline or named by its sender."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from campaigns.models.inbound import InboundAttachment, InboundMessage, attachment_path
from customers.files import refusal, safe_name

#: Bytes of all attachments of a mail together, and how many are looked at.
MOST_BYTES_TOGETHER = 15 * 1024 * 1024
MOST_FILES = 20


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
