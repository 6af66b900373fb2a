"""The inbox of outside events (stored first, once, and worked through afterwards) and what ingest remembers."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class InboxEvent(models.Model):
    """One event as it was received; processed at least once, its effects idempotent."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        DONE = "done", _("Done")
        IGNORED = "ignored", _("Ignored")
        FAILED = "failed", _("Failed")

    source = models.CharField(_("source"), max_length=50)
    event_id = models.CharField(_("event id"), max_length=255)
    type = models.CharField(_("type"), max_length=100)
    object_id = models.CharField(_("object"), max_length=255, blank=True)
    #: The sender's own stamp: whole seconds at Stripe, and no order among equals.
    occurred_at = models.DateTimeField(_("occurred"))
    payload = models.JSONField(_("payload"))
    received_at = models.DateTimeField(_("received"))
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    attempts = models.PositiveSmallIntegerField(_("tries"), default=0)
    retry_at = models.DateTimeField(_("next try"), null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, editable=False)
    processed_at = models.DateTimeField(_("processed"), null=True, blank=True)
    #: dj-stripe's mirror is brought up to date after our own facts, at lower urgency.
    mirrored_at = models.DateTimeField(_("mirrored"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("inbox event")
        verbose_name_plural = _("inbox")
        ordering = ["-received_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["source", "event_id"], name="inbox_event_once"),
        ]
        indexes = [
            # Reader: billing.ingest.process claims what waits, oldest first.
            models.Index(fields=["retry_at", "id"], name="inbox_waiting", condition=Q(status="pending")),
            # Readers: how far ingest is behind, and the list of what went wrong.
            models.Index(
                fields=["-received_at", "-id"], name="inbox_unsettled", condition=Q(status__in=["pending", "failed"])
            ),
            # Reader: billing.ingest.mirror.
            models.Index(fields=["id"], name="inbox_unmirrored", condition=Q(mirrored_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class InvoicePaymentLink(models.Model):
    """Which invoice a payment (intent) at the processor pays: charges do not tell, and asking costs a call."""

    source = models.CharField(max_length=50)
    payment_id = models.CharField(max_length=255)
    #: Empty: asked, and it pays no invoice.
    invoice_id = models.CharField(max_length=255, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "payment_id"], name="payment_link_once"),
        ]


class BackfillCursor(models.Model):
    """How far a back-fill of one kind of object has come, so that a broken one goes on where it stopped."""

    source = models.CharField(max_length=50)
    #: Kind of object and filter, e.g. `invoice?status=open`.
    scope = models.CharField(max_length=200)
    cursor = models.CharField(max_length=255, blank=True)
    seen = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "scope"], name="backfill_cursor_once"),
        ]
