"""People at a customer's, and the addresses that must not be written to any more."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Upper
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from customers.models.customer import PHONE_TAIL, Customer


class Channel(models.TextChoices):
    EMAIL = "email", _("E-mail")
    SMS = "sms", _("SMS")
    WHATSAPP = "whatsapp", _("WhatsApp")
    CALL = "call", _("Telephone")
    LETTER = "letter", _("Letter")
    IN_APP = "in_app", _("In-app notice")
    WEBHOOK = "webhook", _("Webhook")


class Contact(models.Model):
    """A person at a customer's whom messages are addressed to."""

    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="contacts"
    )
    name = models.CharField(_("name"), max_length=255, blank=True)
    email = models.EmailField(_("e-mail"), max_length=320, blank=True)
    phone = models.CharField(_("telephone"), max_length=32, blank=True, help_text=_("In E.164 form."))
    role = models.CharField(_("role"), max_length=50, blank=True, help_text=_("For example: accounts payable."))
    language = models.CharField(_("language"), max_length=8, blank=True)
    is_primary = models.BooleanField(_("primary"), default=False)
    active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ["-is_primary", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["customer"], condition=Q(is_primary=True), name="contact_one_primary_per_customer"
            ),
            models.UniqueConstraint(
                "customer", Lower("email"), condition=~Q(email=""), name="contact_email_once_per_customer"
            ),
        ]
        indexes = [
            # Reader: campaigns.inbound.match finds whose an incoming message is, by number and by address.
            models.Index(PHONE_TAIL, name="contact_by_phone", condition=~Q(phone="")),
            models.Index(Upper("email"), name="contact_by_email", condition=~Q(email="")),
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.phone or f"#{self.pk}"


class Suppression(models.Model):
    """An address that may not be used on a channel: it bounced, complained or asked to be left alone."""

    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard_bounce", _("Hard bounce")
        COMPLAINT = "complaint", _("Spam complaint")
        OPT_OUT = "opt_out", _("Asked not to be contacted")
        MANUAL = "manual", _("Set by staff")
        WRONG_NUMBER = "wrong_number", _("Somebody else's")

    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    #: Normalised by customers.addresses.normalise: lower-case e-mail, E.164 telephone.
    address = models.CharField(_("address"), max_length=320)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason.choices)
    evidence = models.TextField(_("evidence"), blank=True)
    created_at = models.DateTimeField(_("since"))
    lifted_at = models.DateTimeField(_("lifted"), null=True, blank=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("suppression")
        verbose_name_plural = _("suppressions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "address"],
                condition=Q(lifted_at__isnull=True),
                name="suppression_one_in_force_per_address",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.address} ({self.get_channel_display()})"
