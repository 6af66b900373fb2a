"""Subscriptions: what a customer loses when an invoice stays unpaid."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from customers.models import Customer


class SubscriptionStatus(models.TextChoices):
    """Stripe's own words, kept as they are."""

    INCOMPLETE = "incomplete", _("Incomplete")
    INCOMPLETE_EXPIRED = "incomplete_expired", _("Incomplete, expired")
    TRIALING = "trialing", _("Trialing")
    ACTIVE = "active", _("Active")
    PAST_DUE = "past_due", _("Past due")
    UNPAID = "unpaid", _("Unpaid")
    PAUSED = "paused", _("Paused")
    CANCELED = "canceled", _("Cancelled")


class Subscription(models.Model):
    """A recurring agreement, mirrored from the processor."""

    source = models.CharField(_("source"), max_length=50, default="manual")
    external_id = models.CharField(_("external id"), max_length=255, null=True, blank=True)
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="subscriptions"
    )
    #: As Invoice.held_as.
    held_as = models.CharField(_("held as"), max_length=255, blank=True, default="", editable=False)
    status = models.CharField(_("status"), max_length=20, choices=SubscriptionStatus.choices)
    plan_name = models.CharField(_("plan"), max_length=255, blank=True)
    amount = models.BigIntegerField(_("amount per period"), default=0, help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)
    interval = models.CharField(_("interval"), max_length=10, blank=True)
    default_payment_method = models.ForeignKey(
        "billing.PaymentMethod",
        verbose_name=_("payment method"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    current_period_end = models.DateTimeField(_("period ends"), null=True, blank=True)
    cancel_at_period_end = models.BooleanField(_("cancels at period end"), default=False)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    #: Why it ended: the processor's reason, `payment_failed` being involuntary churn.
    ended_reason = models.CharField(_("reason of the end"), max_length=50, blank=True)
    facts_as_of = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=Q(external_id__isnull=False),
                name="subscription_outside_identity_unique",
            ),
        ]
        indexes = [
            # Reader: dashboard and churn figures count by status.
            models.Index(fields=["status", "ended_at"], name="subscription_status"),
        ]

    def __str__(self) -> str:
        return self.plan_name or self.external_id or f"#{self.pk}"
