"""Files people put with a customer: a signed plan, a letter that came back, a remittance advice."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from customers.models.customer import Customer


def attachment_path(attachment: "Attachment", filename: str) -> str:
    """Where a file lies: named by its own hash, never by what whoever sent it called it."""
    return f"attachments/{attachment.sha256[:2]}/{attachment.sha256}"


class Attachment(models.Model):
    """One file. Written by customers.attachments only, never changed; no path of the web server leads to it."""

    customer = models.ForeignKey(
        Customer,
        verbose_name=_("customer"),
        on_delete=models.CASCADE,
        related_name="attachments",
        db_index=False,  # attachment_of_customer begins with it
    )
    #: What it belongs to besides, as in Interaction.subject: `case:12`; empty for the customer alone.
    subject = models.CharField(_("about"), max_length=80, blank=True)
    name = models.CharField(_("file name"), max_length=150)
    size = models.PositiveIntegerField(_("size"), help_text=_("In bytes."))
    sha256 = models.CharField(_("SHA-256"), max_length=64, editable=False)
    #: Empty once removed.
    file = models.FileField(_("file"), upload_to=attachment_path, blank=True, max_length=200)
    note = models.CharField(_("note"), max_length=500, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    at = models.DateTimeField(_("at"))
    #: The bytes are gone, the line that there was a file stays.
    removed_at = models.DateTimeField(_("removed"), null=True, blank=True)

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")
        ordering = ["-at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(size__gt=0), name="attachment_not_empty"),
        ]
        indexes = [
            # Reader: the customer page's notes and files, newest first.
            models.Index(fields=["customer", "-at", "-id"], name="attachment_of_customer"),
        ]

    def __str__(self) -> str:
        return self.name
