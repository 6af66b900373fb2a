"""Statutory late fees and interest: what late payment costs a business, beside the invoice and never inside it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from billing.models.invoice import Invoice
from customers.models import Customer


class Fee(models.Model):
    """One late fee, or the interest so far, of one invoice. Never part of `Invoice.balance`: no charge takes it,
    and paying the invoice does not pay it."""

    class Kind(models.TextChoices):
        LATE_FEE = "late_fee", _("Late fee")
        INTEREST = "interest", _("Interest")

    class Status(models.TextChoices):
        OPEN = "open", _("Owed")
        PAID = "paid", _("Paid")
        WAIVED = "waived", _("Waived")

    TRANSITIONS = {Status.OPEN: frozenset({Status.PAID, Status.WAIVED})}

    class OnPayment(models.TextChoices):
        """What becomes of it when the invoice is paid."""

        KEEP = "keep", _("stays owed")
        FORGIVE = "forgive", _("is forgiven")

    customer = models.ForeignKey(Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="fees")
    invoice = models.ForeignKey(
        Invoice,
        verbose_name=_("invoice"),
        on_delete=models.CASCADE,
        related_name="fees",
        db_index=False,  # fee_once_per_invoice_and_kind begins with it
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    amount = models.BigIntegerField(_("amount"), help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.OPEN)
    on_payment = models.CharField(
        _("when the invoice is paid it"), max_length=10, choices=OnPayment.choices, default=OnPayment.KEEP
    )
    #: Which table row it was computed by (billing.fees), and how, in words staff read.
    rule = models.CharField(_("rule"), max_length=60)
    basis = models.TextField(_("how it was computed"), blank=True)
    #: Interest: the last day counted, in the customer's zone.
    accrued_until = models.DateField(_("counted until"), null=True, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    at = models.DateTimeField(_("at"))
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("late fee or interest")
        verbose_name_plural = _("late fees and interest")
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "kind"], name="fee_once_per_invoice_and_kind"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="fee_amount_positive"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
