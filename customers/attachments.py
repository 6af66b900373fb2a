"""Owns the files people put with a customer or a case: taking them in, and taking them off again."""

import hashlib
from datetime import datetime

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from customers.errors import SollecitoError
from customers.files import refusal, safe_name
from customers.log import Entry, record
from customers.models import ActorKind, Attachment, Customer
from customers.models.attachment import attachment_path

#: Files of one customer that are kept; more is no file but an archive.
MOST_FILES = 500


def file_attach(
    *, customer_id: int, name: str, content: bytes, actor_id: int, now: datetime, note: str = "", subject: str = ""
) -> Attachment:
    """Keeps a file with a customer at `now` (aware UTC), and with what `subject` names besides (`case:12`).

    Raises SollecitoError for a kind that is not taken, content that is not what the name says, one that is empty or
    larger than customers.files.MOST_BYTES, and for a customer with MOST_FILES already.
    """
    shown = safe_name(name)[-150:]
    if not content:
        raise SollecitoError(_("The file is empty."), code="file_empty")
    if why := refusal(shown, content):
        raise SollecitoError(_("The file was not kept: %(why)s.") % {"why": why}, code="file_refused")
    row = Attachment(
        customer_id=customer_id,
        subject=subject,
        name=shown,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        note=note.strip()[:500],
        actor_id=actor_id,
        at=now,
    )
    with transaction.atomic():
        # Two who attach at once are counted one after the other.
        Customer.objects.select_for_update(no_key=True).get(pk=customer_id)
        if Attachment.objects.filter(customer_id=customer_id).count() >= MOST_FILES:
            raise SollecitoError(_("The customer has too many files already."), code="file_too_many")
        row.file.name = default_storage.save(attachment_path(row, shown), ContentFile(content))
        row.save(force_insert=True)
        record(
            Entry(
                customer_id=customer_id,
                at=now,
                kind="file.attached",
                summary=_("File attached: %(name)s (%(size)s).") % {"name": shown, "size": filesizeformat(row.size)},
                body=row.note,
                actor_kind=ActorKind.USER,
                actor_id=actor_id,
                subject=f"attachment:{row.pk}",
                data={"sha256": row.sha256, "about": subject},
            )
        )
    return row


def file_remove(*, attachment_id: int, reason: str, actor_id: int, now: datetime) -> None:
    """Takes a file off for good; that there was one, its hash and why it went stay in the log.

    Raises SollecitoError without a reason, or if there is no such file any more.
    """
    if not reason.strip():
        raise SollecitoError(_("Say why."), code="reason_missing")
    with transaction.atomic():
        row = Attachment.objects.select_for_update().filter(pk=attachment_id, removed_at=None).first()
        if row is None:
            raise SollecitoError(_("There is no such file."), code="file_missing")
        path = row.file.name
        row.file.name, row.removed_at = "", now
        row.save(update_fields=["file", "removed_at"])
        record(
            Entry(
                customer_id=row.customer_id,
                at=now,
                kind="file.removed",
                summary=_("File removed: %(name)s.") % {"name": row.name},
                body=reason.strip(),
                actor_kind=ActorKind.USER,
                actor_id=actor_id,
                subject=f"attachment:{row.pk}",
                data={"sha256": row.sha256},
            )
        )
        transaction.on_commit(lambda: default_storage.delete(path or ""))
