"""Cards and other ways to pay a customer has stored at the processor. No card number ever comes here."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from customers.models import Customer


class PaymentMethod(models.Model):
    """A stored method, by the processor's token."""

    source = models.CharField(_("source"), max_length=50, default="manual")
    external_id = models.CharField(_("external id"), max_length=255, null=True, blank=True)
    customer = models.ForeignKey(
        Customer,
        verbose_name=_("customer"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="payment_methods",
    )
    #: As Invoice.held_as.
    held_as = models.CharField(_("held as"), max_length=255, blank=True, default="", editable=False)
    type = models.CharField(_("type"), max_length=30, default="card")
    brand = models.CharField(_("network"), max_length=30, blank=True)
    funding = models.CharField(_("funding"), max_length=20, blank=True)
    country = models.CharField(_("issued in"), max_length=2, blank=True)
    last4 = models.CharField(_("last four digits"), max_length=4, blank=True)
    exp_month = models.PositiveSmallIntegerField(_("expiry month"), null=True, blank=True)
    exp_year = models.PositiveSmallIntegerField(_("expiry year"), null=True, blank=True)
    #: Same card at the processor, whoever stored it: network limits count by it.
    fingerprint = models.CharField(_("fingerprint"), max_length=64, blank=True)
    #: The bank behind it, as one opaque word (billing.ingest.facts.banks); "" where the processor does not tell.
    issuer = models.CharField(_("bank"), max_length=80, blank=True, default="")
    is_default = models.BooleanField(_("default"), default=False)
    attached_at = models.DateTimeField(_("attached"), null=True, blank=True)
    #: New expiry or number told by the card networks or entered by hand: worth a new try.
    renewed_at = models.DateTimeField(_("new details"), null=True, blank=True)
    detached_at = models.DateTimeField(_("detached"), null=True, blank=True)
    #: A network said never to try this credential again (card stolen, mandate revoked).
    never_again_at = models.DateTimeField(_("not to be charged since"), null=True, blank=True)
    never_again_reason = models.CharField(_("reason"), max_length=255, blank=True)
    facts_as_of = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("payment method")
        verbose_name_plural = _("payment methods")
        ordering = ["-is_default", "-attached_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=Q(external_id__isnull=False),
                name="payment_method_outside_identity_unique",
            ),
        ]
        indexes = [
            # Reader: billing.retries counts attempts of one card across customers and invoices.
            models.Index(fields=["fingerprint"], name="payment_method_fingerprint", condition=~Q(fingerprint="")),
        ]

    def __str__(self) -> str:
        if self.last4:
            return f"{self.brand.title()} ···· {self.last4}"
        return self.type
