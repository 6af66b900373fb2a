"""Links into the portal, what customers asked for there, and how often; only hashes of secrets are stored."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from customers.models import Brand, Customer


class PortalLink(models.Model):
    """A customer's way in: signed by its secrecy, expiring, revocable."""

    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="portal_links"
    )
    brand = models.ForeignKey(Brand, verbose_name=_("brand"), on_delete=models.PROTECT, related_name="+")
    #: SHA-256 of the token, hex. A stolen database opens no portal.
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    use_count = models.PositiveIntegerField(_("uses"), default=0)

    class Meta:
        verbose_name = _("portal link")
        verbose_name_plural = _("portal links")
        ordering = ["-created_at", "-id"]
        permissions = [("view_as_customer", "Can look at the payment page as the customer sees it")]
        indexes = [
            # Reader: portal.links.links_purge drops what expired long ago.
            models.Index(fields=["expires_at"], name="portal_link_expiring"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class Checkout(models.Model):
    """One press of "pay" or one new card. Its key is unique, so pressing twice, reloading or going back
    finds the first press instead of charging again. What came of it is read from invoices and attempts."""

    class Kind(models.TextChoices):
        STORED = "stored", _("Stored payment method")
        NEW_METHOD = "new_method", _("New payment method")

    link = models.ForeignKey(PortalLink, verbose_name=_("link"), on_delete=models.CASCADE, related_name="checkouts")
    #: The form's own random value, or the setup intent of a new card.
    key = models.CharField(max_length=255, editable=False)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    #: Ids of the invoices to be paid, in the order they are charged.
    invoice_ids = models.JSONField(default=list)
    #: Invoice id → code of the reason for which no charge was made (see billing.charging.charge_now).
    refusals = models.JSONField(default=dict)
    started_at = models.DateTimeField(_("started"))
    #: A press whose process died may be taken up again after a while; see portal.checkout.
    claimed_at = models.DateTimeField(editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("portal payment")
        verbose_name_plural = _("portal payments")
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["link", "key"], name="checkout_once_per_press"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class NewLinkRequest(models.Model):
    """Somebody without a working link typed an address. Stored for every address alike, so that neither
    the answer nor its speed tells who is a customer; a task sends the link where there is one to send."""

    email = models.EmailField(_("e-mail"), max_length=320)
    language = models.CharField(_("language"), max_length=8)
    requested_at = models.DateTimeField(_("requested"))
    #: Queue of record; set before the mail is handed over, so a crash sends none rather than two.
    claimed_at = models.DateTimeField(null=True, editable=False)
    sent = models.PositiveSmallIntegerField(_("mails sent"), default=0)

    class Meta:
        verbose_name = _("request for a new link")
        verbose_name_plural = _("requests for a new link")
        ordering = ["-requested_at", "-id"]
        indexes = [
            # Reader: portal.reissue.send_requested_links claims what waits.
            models.Index(fields=["id"], name="new_link_waiting", condition=Q(claimed_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class RateWindow(models.Model):
    """How often something was done in one fixed window, counted in the database so that every web process
    sees the same number. Keys are hashes: no address of a visitor is kept."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField()

    class Meta:
        indexes = [
            # Reader: portal.limits.windows_purge.
            models.Index(fields=["ends_at"], name="rate_window_ending"),
        ]
