"""Orders to the processor other than charges (cancel a subscription, mark uncollectible), as an outbox."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.invoice import Adjustment, Invoice
from billing.models.subscription import Subscription


class ProcessorCommand(models.Model):
    """One idempotent write at the processor; repeated under the same key until it is answered."""

    class Kind(models.TextChoices):
        CANCEL_SUBSCRIPTION = "cancel_subscription", _("Cancel the subscription")
        MARK_UNCOLLECTIBLE = "mark_uncollectible", _("Mark the invoice uncollectible")
        CREDIT_NOTE = "credit_note", _("Issue a credit note")

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    kind = models.CharField(_("kind"), max_length=30, choices=Kind.choices)
    invoice = models.ForeignKey(
        Invoice, verbose_name=_("invoice"), on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    subscription = models.ForeignKey(
        Subscription,
        verbose_name=_("subscription"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
    )
    #: Of a credit note.
    adjustment = models.ForeignKey(
        Adjustment, verbose_name=_("adjustment"), on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    #: Sent as the idempotency key; also what makes asking for the same act twice one act.
    key = models.CharField(max_length=100, unique=True, editable=False)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    attempts = models.PositiveSmallIntegerField(_("tries"), default=0)
    due_at = models.DateTimeField(_("due"))
    claimed_at = models.DateTimeField(null=True, editable=False)
    done_at = models.DateTimeField(_("done"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("order to the processor")
        verbose_name_plural = _("orders to the processor")
        ordering = ["-created_at", "-id"]
        indexes = [
            # Reader: billing.commands claims what is due.
            models.Index(fields=["due_at", "id"], name="command_due", condition=Q(status="pending")),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
