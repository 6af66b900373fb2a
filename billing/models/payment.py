"""Payments received and which invoices they settle."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.invoice import Invoice
from customers.models import Customer


class Payment(models.Model):
    """Money that arrived, in minor units. `allocated` is kept with the allocations in one transaction,
    so that the database itself refuses to give out more than came in."""

    source = models.CharField(_("source"), max_length=50, default="manual")
    external_id = models.CharField(_("external id"), max_length=255, null=True, blank=True)
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="payments"
    )
    amount = models.BigIntegerField(_("amount"), help_text=_("In minor units."))
    allocated = models.BigIntegerField(_("allocated"), default=0, help_text=_("In minor units."))
    refunded = models.BigIntegerField(_("refunded"), default=0, help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)
    received_at = models.DateTimeField(_("received"))
    method = models.CharField(_("method"), max_length=30, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        ordering = ["-received_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=Q(external_id__isnull=False),
                name="payment_outside_identity_unique",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_amount_positive"),
            models.CheckConstraint(
                condition=Q(allocated__gte=0, allocated__lte=F("amount")), name="payment_not_overallocated"
            ),
            models.CheckConstraint(
                condition=Q(refunded__gte=0, refunded__lte=F("amount")), name="payment_not_overrefunded"
            ),
        ]

    def __str__(self) -> str:
        return self.external_id or f"#{self.pk}"


class Allocation(models.Model):
    """The part of a payment that settles one invoice, in minor units of their common currency."""

    payment = models.ForeignKey(
        Payment, verbose_name=_("payment"), on_delete=models.CASCADE, related_name="allocations"
    )
    invoice = models.ForeignKey(
        Invoice, verbose_name=_("invoice"), on_delete=models.CASCADE, related_name="allocations"
    )
    amount = models.BigIntegerField(_("amount"), help_text=_("In minor units."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("allocation")
        verbose_name_plural = _("allocations")
        constraints = [
            models.UniqueConstraint(fields=["payment", "invoice"], name="allocation_once_per_pair"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="allocation_amount_positive"),
        ]
