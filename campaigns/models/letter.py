"""Letters on paper: the PDF as it is posted, and the batches people print."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models.message import Message


class PrintBatch(models.Model):
    """Letters printed together, with a cover list. Made at one press; marked as printed by a person."""

    created_at = models.DateTimeField(_("created"))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("created by"), on_delete=models.PROTECT, related_name="+"
    )
    printed_at = models.DateTimeField(_("printed"), null=True, blank=True)
    printed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("printed by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    #: How often the batch was handed out as PDF, the first time included.
    copies = models.PositiveSmallIntegerField(_("times printed"), default=0)

    class Meta:
        verbose_name = _("print batch")
        verbose_name_plural = _("print batches")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"#{self.pk}"


class Letter(models.Model):
    """The PDF of one message on channel letter, exactly as it is posted. It may hold the customer's secret link,
    so only who may print sees it."""

    message = models.OneToOneField(
        Message, verbose_name=_("message"), on_delete=models.CASCADE, related_name="letter_sheet"
    )
    pdf = models.BinaryField(editable=False)
    pages = models.PositiveSmallIntegerField(_("pages"))
    created_at = models.DateTimeField(_("created"))
    batch = models.ForeignKey(
        PrintBatch,
        verbose_name=_("print batch"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="letters",
    )

    class Meta:
        verbose_name = _("letter")
        verbose_name_plural = _("letters")
        ordering = ["id"]
        indexes = [
            # Reader: campaigns.services.prints takes what waits for the printer.
            models.Index(fields=["id"], name="letter_waiting", condition=Q(batch__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"
