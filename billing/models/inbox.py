"""The inbox of outside events: stored first, once, and worked through afterwards."""

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
            models.Index(
                fields=["retry_at", "id"], name="inbox_waiting", condition=Q(status__in=["pending", "failed"])
            ),
            # Reader: billing.ingest.mirror.
            models.Index(fields=["id"], name="inbox_unmirrored", condition=Q(mirrored_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
