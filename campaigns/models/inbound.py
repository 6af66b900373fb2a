"""What customers (and their machines) send back: replies, automatic answers, bounce reports."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models.case import Case
from campaigns.models.message import Message
from customers.models import Channel, Customer


class InboundKind(models.TextChoices):
    HUMAN = "human", _("Reply")
    AUTO_REPLY = "auto_reply", _("Automatic reply")
    OUT_OF_OFFICE = "out_of_office", _("Out of office")
    OPT_OUT = "opt_out", _("Asked to be left alone")
    OPT_IN = "opt_in", _("Asked to be written to again")
    BOUNCE = "bounce", _("Delivery report")


class InboundMessage(models.Model):
    """One message that came in; told twice, stored once. Only its plain text is kept: HTML from outside is never
    shown to anybody."""

    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    #: The provider's event id or the mail's Message-ID.
    external_id = models.CharField(_("outside id"), max_length=255)
    kind = models.CharField(_("kind"), max_length=15, choices=InboundKind.choices)
    received_at = models.DateTimeField(_("received"))
    sender = models.CharField(_("from"), max_length=320)
    recipient = models.CharField(_("to"), max_length=320, blank=True)
    subject = models.CharField(_("subject"), max_length=500, blank=True)
    text = models.TextField(_("text"), blank=True)
    #: Null: nobody we know; staff say who it is.
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, null=True, blank=True, related_name="inbound"
    )
    message = models.ForeignKey(
        Message,
        verbose_name=_("answers"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="replies",
        db_index=False,
    )
    case = models.ForeignKey(
        Case, verbose_name=_("case"), on_delete=models.SET_NULL, null=True, blank=True, related_name="inbound"
    )
    #: How the customer was found: token, thread, address; empty if not found.
    matched_by = models.CharField(_("known by"), max_length=10, blank=True)

    class Meta:
        verbose_name = _("incoming message")
        verbose_name_plural = _("incoming messages")
        ordering = ["-received_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["channel", "external_id"], name="inbound_once"),
        ]
        indexes = [
            # Reader: the list of what nobody could be found for.
            models.Index(fields=["-received_at"], name="inbound_unmatched", condition=Q(customer__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.subject or f"#{self.pk}"


def attachment_path(attachment: "InboundAttachment", filename: str) -> str:
    """Where an attachment lies: named by its own hash, never by what the sender called it."""
    return f"inbound/{attachment.sha256[:2]}/{attachment.sha256}"


class InboundAttachment(models.Model):
    """One attachment of an incoming mail: stored as it came under a name of ours, or refused with the reason."""

    inbound = models.ForeignKey(
        InboundMessage, verbose_name=_("incoming message"), on_delete=models.CASCADE, related_name="attachments"
    )
    name = models.CharField(_("name"), max_length=255)
    content_type = models.CharField(_("type"), max_length=100)
    size = models.PositiveBigIntegerField(_("size in bytes"))
    sha256 = models.CharField(max_length=64, editable=False, blank=True)
    file = models.FileField(_("file"), upload_to=attachment_path, blank=True, max_length=200)
    refused = models.CharField(_("not kept because"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name
