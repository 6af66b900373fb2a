"""Collection agencies: whom cases are handed to, what is handed over, and what comes back."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from billing.models import Allocation, Invoice
from campaigns.models.case import Case


class Agency(models.Model):
    """An agency and what was agreed with it: its share, which data it needs, and what we go on doing."""

    code = models.SlugField(_("code"), unique=True, max_length=60)
    name = models.CharField(_("name"), max_length=120)
    email = models.EmailField(_("e-mail"), blank=True)
    agreement = models.CharField(_("agreement"), max_length=255, blank=True, help_text=_("Its number or where it is."))
    commission_bps = models.PositiveIntegerField(
        _("commission"), default=0, help_text=_("In basis points of what comes in: 2500 is 25 %.")
    )
    tail_days = models.PositiveSmallIntegerField(
        _("counted after a recall"),
        default=0,
        help_text=_("Days after a recall in which what comes in is still the agency's."),
    )
    #: What leaves the house, by need; the customer's name, country and invoices always do.
    share_email = models.BooleanField(_("gets the e-mail address"), default=True)
    share_phone = models.BooleanField(_("gets the telephone number"), default=True)
    share_address = models.BooleanField(_("gets the postal address"), default=True)
    share_log = models.BooleanField(_("gets the log of contacts"), default=True)
    share_consents = models.BooleanField(_("gets consents and objections"), default=True)
    we_charge = models.BooleanField(
        _("we go on charging"),
        default=False,
        help_text=_("Stored payment methods are charged as before while the agency collects."),
    )
    active = models.BooleanField(_("in use"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("agency")
        verbose_name_plural = _("agencies")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(commission_bps__lte=10_000), name="agency_commission_at_most_all"),
        ]

    def __str__(self) -> str:
        return self.name


class HandoverStatus(models.TextChoices):
    OPEN = "open", _("At the agency")
    RECALLED = "recalled", _("Recalled")
    ENDED = "ended", _("Ended")


TRANSITIONS: dict[str, frozenset[str]] = {
    HandoverStatus.OPEN: frozenset({HandoverStatus.RECALLED, HandoverStatus.ENDED}),
    HandoverStatus.RECALLED: frozenset(),
    HandoverStatus.ENDED: frozenset(),
}


class Handover(models.Model):
    """A case at an agency. One whose agency is empty was handed over by a ladder that names none we know."""

    case = models.ForeignKey(Case, verbose_name=_("case"), on_delete=models.CASCADE, related_name="handovers")
    agency = models.ForeignKey(
        Agency,
        verbose_name=_("agency"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="handovers",
    )
    #: As the ladder called it.
    agency_named = models.CharField(_("named"), max_length=120, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=HandoverStatus.choices, default=HandoverStatus.OPEN)
    handed_at = models.DateTimeField(_("handed over"))
    #: Empty: by the ladder.
    handed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    #: As agreed on that day, in basis points.
    commission_bps = models.PositiveIntegerField(_("commission"), default=0)
    tail_days = models.PositiveSmallIntegerField(_("counted after a recall"), default=0)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    end_reason = models.CharField(_("why"), max_length=255, blank=True)
    exported_at = models.DateTimeField(_("package made"), null=True, blank=True)

    class Meta:
        verbose_name = _("hand-over")
        verbose_name_plural = _("hand-overs")
        ordering = ["-handed_at", "-id"]
        permissions = [("export_handover", "Can make the package for an agency")]
        constraints = [
            models.UniqueConstraint(fields=["case"], condition=Q(status="open"), name="handover_one_open_per_case"),
            models.CheckConstraint(
                condition=Q(status="open") | Q(ended_at__isnull=False), name="handover_ended_has_its_day"
            ),
        ]
        indexes = [
            # Reader: campaigns.agencies.recoveries looks for what came in.
            models.Index(fields=["id"], name="handover_open", condition=Q(status="open")),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class HandoverInvoice(models.Model):
    """An invoice as it was handed over, in minor units of its currency."""

    handover = models.ForeignKey(
        Handover,
        verbose_name=_("hand-over"),
        on_delete=models.CASCADE,
        related_name="handover_invoices",
        db_index=False,  # handover_invoice_once begins with it
    )
    invoice = models.ForeignKey(
        Invoice, verbose_name=_("invoice"), on_delete=models.CASCADE, related_name="handover_invoices"
    )
    balance = models.BigIntegerField(_("balance"), help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)

    class Meta:
        verbose_name = _("invoice handed over")
        verbose_name_plural = _("invoices handed over")
        constraints = [
            models.UniqueConstraint(fields=["handover", "invoice"], name="handover_invoice_once"),
        ]


class AgencyRecovery(models.Model):
    """Money that came in on an invoice while it was an agency's, and the agency's share of it; minor units."""

    handover = models.ForeignKey(
        Handover, verbose_name=_("hand-over"), on_delete=models.CASCADE, related_name="recoveries"
    )
    #: Counted once, whatever is told twice.
    allocation = models.OneToOneField(
        Allocation, verbose_name=_("payment"), on_delete=models.CASCADE, related_name="agency_recovery"
    )
    amount = models.BigIntegerField(_("amount"), help_text=_("In minor units."))
    commission = models.BigIntegerField(_("commission"), help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)
    at = models.DateTimeField(_("received"))

    class Meta:
        verbose_name = _("recovery by an agency")
        verbose_name_plural = _("recoveries by agencies")
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"#{self.pk}"
