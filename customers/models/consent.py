"""The register of consent: every time someone allowed a channel or refused it, with the evidence. Append-only."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from customers.errors import SollecitoError
from customers.models.contact import Channel, Contact
from customers.models.customer import Customer
from customers.models.interaction import ActorKind


class ConsentEvent(models.Model):
    """One decision about one address on one channel. Written by customers.consent only.

    What holds now is the newest decision about the address (customers.consent.states). An address, not a customer,
    decides: whoever reads it may be in our books twice.
    """

    class Decision(models.TextChoices):
        GRANTED = "granted", _("Allowed")
        WITHDRAWN = "withdrawn", _("Refused")

    class Source(models.TextChoices):
        REPLY = "reply", _("Reply to a message")
        ONE_CLICK = "one_click", _("One click in the mail program")
        PORTAL = "portal", _("Payment page")
        PROVIDER = "provider", _("Told by the sending service")
        STAFF = "staff", _("Noted by staff")
        IMPORT = "import", _("Imported")

    customer = models.ForeignKey(
        Customer,
        verbose_name=_("customer"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="consent_events",
        db_index=False,  # consent_of_customer begins with it
    )
    contact = models.ForeignKey(
        Contact, verbose_name=_("contact"), on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    #: Normalised by customers.addresses.normalise.
    address = models.CharField(_("address"), max_length=320)
    decision = models.CharField(_("decision"), max_length=10, choices=Decision.choices)
    source = models.CharField(_("how"), max_length=10, choices=Source.choices)
    at = models.DateTimeField(_("when"))
    recorded_at = models.DateTimeField(_("recorded"))
    actor_kind = models.CharField(_("by"), max_length=10, choices=ActorKind.choices, default=ActorKind.CUSTOMER)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("member of staff"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    evidence = models.TextField(_("evidence"), blank=True, help_text=_("The words of the reply, or what was ticked."))
    keyword = models.CharField(_("decisive words"), max_length=80, blank=True)
    #: The message replied to or clicked in (its key), or the provider's id of the reply.
    message_ref = models.CharField(_("message"), max_length=255, blank=True)
    ip = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    wording_version = models.CharField(
        _("wording"), max_length=60, blank=True, help_text=_("Which wording the person had before them.")
    )
    language = models.CharField(_("language"), max_length=8, blank=True)
    #: Makes a fact told twice (a webhook repeated, a second click) one event.
    key = models.CharField(max_length=200, null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("consent or refusal")
        verbose_name_plural = _("consent register")
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(key__isnull=False), name="consent_key_unique"),
        ]
        indexes = [
            # Reader: customers.consent.states and the guard's snapshot: the newest decision about an address.
            models.Index(fields=["address", "channel", "-at", "-id"], name="consent_newest_of_address"),
            # Reader: the customer page's consent section.
            models.Index(fields=["customer", "-at", "-id"], name="consent_of_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.get_decision_display()}: {self.address} ({self.get_channel_display()})"

    def save(self, *args: object, **kwargs: object) -> None:
        """Inserts; refuses to change an event that was written."""
        if self.pk is not None:
            raise SollecitoError("The consent register is append-only.", code="consent_append_only")
        super().save(*args, **kwargs)

    def delete(self, *args: object, **kwargs: object) -> tuple[int, dict[str, int]]:
        """Refuses: an event is evidence."""
        raise SollecitoError("The consent register is append-only.", code="consent_append_only")
