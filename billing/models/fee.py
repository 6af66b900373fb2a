"""Statutory late fees and interest: what late payment costs a business, beside the invoice and never inside it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from billing.models.attempt import AttemptStatus
from billing.models.invoice import Invoice
from billing.models.payment_method import PaymentMethod
from customers.models import Customer


class FeePayment(models.Model):
    """One charge of open fees, made because their payer pressed for it and for nothing else.

    A charge of its own: Stripe's invoice knows nothing of fees. Statuses are an attempt's, without a planned one.
    """

    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="fee_payments"
    )
    source = models.CharField(_("source"), max_length=50)
    payment_method = models.ForeignKey(
        PaymentMethod, verbose_name=_("payment method"), on_delete=models.SET_NULL, null=True, related_name="+"
    )
    #: Of the press, and sent with the call: neither a second press nor a second call can charge again.
    idempotency_key = models.CharField(max_length=150, unique=True, editable=False)
    status = models.CharField(_("status"), max_length=10, choices=AttemptStatus.choices)
    amount = models.BigIntegerField(_("amount"), help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)
    claimed_at = models.DateTimeField(_("made"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    #: An unknown outcome is asked about again at this moment.
    resolve_at = models.DateTimeField(_("asked again"), null=True, blank=True)
    external_id = models.CharField(_("charge id"), max_length=255, blank=True)
    decline_code = models.CharField(_("decline code"), max_length=60, blank=True)
    network_decline_code = models.CharField(_("network decline code"), max_length=20, blank=True)
    advice_code = models.CharField(_("advice code"), max_length=40, blank=True)
    network_advice_code = models.CharField(_("network advice code"), max_length=20, blank=True)
    decline_category = models.CharField(_("decline category"), max_length=30, blank=True)
    message = models.CharField(_("message"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("payment of fees")
        verbose_name_plural = _("payments of fees")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="fee_payment_amount_positive"),
            # Never two charges of a customer's fees at a time; an unresolved one counts as under way.
            # Reader, too: billing.fees.collecting finds what is unresolved.
            models.UniqueConstraint(
                fields=["customer"],
                condition=Q(status__in=["in_flight", "unknown"]),
                name="fee_payment_one_in_flight_per_customer",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class Fee(models.Model):
    """One late fee, or the interest so far, of one invoice. Never part of `Invoice.balance`: no charge of the invoice
    takes it, and paying the invoice does not pay it."""

    class Kind(models.TextChoices):
        LATE_FEE = "late_fee", _("Late fee")
        INTEREST = "interest", _("Interest")

    class Status(models.TextChoices):
        OPEN = "open", _("Owed")
        PAID = "paid", _("Paid")
        WAIVED = "waived", _("Waived")

    #: Paid is undone only by what took the money back: see billing.fees.reopening.
    TRANSITIONS = {
        Status.OPEN: frozenset({Status.PAID, Status.WAIVED}),
        Status.PAID: frozenset({Status.OPEN}),
    }

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
    #: The charge that takes it, or took it or failed to; while that is unresolved nothing else happens to the fee.
    payment = models.ForeignKey(
        FeePayment, verbose_name=_("payment"), on_delete=models.SET_NULL, null=True, blank=True, related_name="fees"
    )

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
