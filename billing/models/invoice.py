"""Invoices: what is owed, since when it has been failing, and how it was recovered."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from billing.models.payment_method import PaymentMethod
from billing.models.subscription import Subscription
from customers.models import Brand, Customer


class InvoiceStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    OPEN = "open", _("Open")
    PAID = "paid", _("Paid")
    VOID = "void", _("Void")
    UNCOLLECTIBLE = "uncollectible", _("Uncollectible")


#: Same lattice as the processor's: an uncollectible invoice can still be paid or voided; nothing reopens.
TRANSITIONS: dict[str, frozenset[str]] = {
    InvoiceStatus.DRAFT: frozenset(
        {InvoiceStatus.OPEN, InvoiceStatus.PAID, InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE}
    ),
    InvoiceStatus.OPEN: frozenset({InvoiceStatus.PAID, InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE}),
    InvoiceStatus.UNCOLLECTIBLE: frozenset({InvoiceStatus.PAID, InvoiceStatus.VOID}),
    InvoiceStatus.PAID: frozenset(),
    InvoiceStatus.VOID: frozenset(),
}


class CollectionMethod(models.TextChoices):
    AUTOMATIC = "automatic", _("Charged automatically")
    MANUAL = "manual", _("Sent for payment")


class RetryState(models.TextChoices):
    """Where the retry loop stands with an invoice; the loop's own queue of record."""

    NONE = "none", _("Nothing to retry")
    NEEDS_PLAN = "needs_plan", _("To be planned")
    PLANNED = "planned", _("Planned")
    STOPPED = "stopped", _("No further try")


class RecoverySource(models.TextChoices):
    """What came last before the money: insights attribute recovery by it."""

    SILENT_RETRY = "silent_retry", _("Silent retry")
    EMAIL = "email", _("E-mail")
    PORTAL = "portal", _("Portal")
    CALL = "call", _("Call")
    STAFF = "staff", _("Staff")
    UNPROMPTED = "unprompted", _("Unprompted")


class Invoice(models.Model):
    """What is owed. Amounts in minor units of `currency`; `balance` is computed by the database."""

    source = models.CharField(_("source"), max_length=50, default="manual")
    external_id = models.CharField(_("external id"), max_length=255, null=True, blank=True)
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="invoices"
    )
    #: The processor's customer it belongs to, where that is not its customer's own identity but that of a duplicate
    #: merged into them: only methods held under the same name can pay it.
    held_as = models.CharField(_("held as"), max_length=255, blank=True, default="", editable=False)
    brand = models.ForeignKey(Brand, verbose_name=_("brand"), on_delete=models.PROTECT, related_name="+")
    subscription = models.ForeignKey(
        Subscription,
        verbose_name=_("subscription"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="invoices",
    )
    number = models.CharField(_("number"), max_length=100, blank=True)
    description = models.CharField(_("description"), max_length=500, blank=True)
    currency = models.CharField(_("currency"), max_length=3)
    amount_due = models.BigIntegerField(_("amount due"), help_text=_("In minor units."))
    amount_paid = models.BigIntegerField(_("amount paid"), default=0, help_text=_("In minor units."))
    amount_credited = models.BigIntegerField(_("amount credited"), default=0, help_text=_("In minor units."))
    balance = models.GeneratedField(
        verbose_name=_("balance"),
        expression=F("amount_due") - F("amount_paid") - F("amount_credited"),
        output_field=models.BigIntegerField(),
        db_persist=True,
    )
    status = models.CharField(_("status"), max_length=15, choices=InvoiceStatus.choices, default=InvoiceStatus.OPEN)
    collection_method = models.CharField(
        _("collection"), max_length=10, choices=CollectionMethod.choices, default=CollectionMethod.AUTOMATIC
    )
    issued_at = models.DateTimeField(_("issued"), null=True, blank=True)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    first_failed_at = models.DateTimeField(_("first failed"), null=True, blank=True)
    paid_at = models.DateTimeField(_("paid"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    #: An open dispute takes this invoice out of dunning; the customer's others go on.
    disputed_at = models.DateTimeField(_("disputed since"), null=True, blank=True)
    #: In an active payment plan: the instalments are collected instead.
    in_plan = models.BooleanField(_("in a payment plan"), default=False)
    #: An agency collects it: we charge nothing by ourselves. The customer may pay as ever.
    at_agency = models.BooleanField(_("at an agency"), default=False, db_default=False)
    default_payment_method = models.ForeignKey(
        PaymentMethod,
        verbose_name=_("payment method"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    #: The processor's own count of tries and its own next one, if it retries.
    processor_attempts = models.PositiveIntegerField(_("tries counted by the processor"), default=0)
    processor_next_attempt_at = models.DateTimeField(_("the processor's next try"), null=True, blank=True)
    hosted_url = models.URLField(_("hosted page"), max_length=1000, blank=True)
    pdf_url = models.URLField(_("PDF"), max_length=1000, blank=True)
    #: Of the newest declined attempt, kept here because ladders and lists filter by it.
    last_decline_code = models.CharField(_("last decline code"), max_length=60, blank=True)
    last_decline_category = models.CharField(_("last decline"), max_length=30, blank=True)
    retry_state = models.CharField(_("retries"), max_length=12, choices=RetryState.choices, default=RetryState.NONE)
    retry_reason = models.CharField(_("why"), max_length=255, blank=True)
    #: The campaign side asks the retry loop to wait, e.g. after a mail that asks for a new card.
    retry_not_before = models.DateTimeField(_("no retry before"), null=True, blank=True)
    #: Staff's choice for the retries of this invoice; it goes before every default.
    retry_method = models.ForeignKey(
        PaymentMethod,
        verbose_name=_("method chosen for retries"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    recovered_by = models.CharField(_("recovered by"), max_length=15, choices=RecoverySource.choices, blank=True)
    facts_as_of = models.DateTimeField(null=True, editable=False)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
        ordering = ["-issued_at", "-id"]
        permissions = [("write_off_invoice", _("Can write off invoices"))]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=Q(external_id__isnull=False),
                name="invoice_outside_identity_unique",
            ),
            models.CheckConstraint(
                condition=Q(amount_due__gte=0, amount_paid__gte=0, amount_credited__gte=0),
                name="invoice_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(amount_paid__lte=F("amount_due") - F("amount_credited")),
                name="invoice_balance_not_negative",
            ),
        ]
        indexes = [
            # Reader: assess and escalate load a customer's open invoices with their amounts in one index scan.
            models.Index(
                fields=["customer", "brand"],
                include=["id", "currency", "balance", "due_at", "first_failed_at"],
                name="invoice_open_by_customer",
                condition=Q(status="open"),
            ),
            # Reader: billing.retries.loop claims invoices whose next try must be planned.
            models.Index(fields=["id"], name="invoice_needs_plan", condition=Q(retry_state="needs_plan")),
            # Reader: ageing, overdue lists and the due-date half of assess.
            models.Index(fields=["due_at", "id"], name="invoice_open_due", condition=Q(status="open")),
            # Reader: cohorts by month of first failure.
            models.Index(
                fields=["first_failed_at"], name="invoice_failed", condition=Q(first_failed_at__isnull=False)
            ),
            # Reader: what came home in a month or day, on the dashboard.
            models.Index(fields=["paid_at"], name="invoice_recovered", condition=~Q(recovered_by="")),
            # Readers: the list narrowed to what there may be few of.
            models.Index(fields=["id"], name="invoice_in_plan", condition=Q(in_plan=True)),
            models.Index(fields=["currency", "id"], name="invoice_by_currency"),
            models.Index(fields=["collection_method", "id"], name="invoice_by_collection"),
            models.Index(fields=["recovered_by", "id"], name="invoice_by_recovery", condition=~Q(recovered_by="")),
            # Readers: the list in the order of what is owed, or of the due day.
            models.Index(fields=["balance", "id"], name="invoice_by_balance"),
            models.Index(fields=["due_at", "id"], name="invoice_by_due_day"),
            # Reader: admin search by number or its beginning.
            models.Index(fields=["number"], name="invoice_number", opclasses=["varchar_pattern_ops"]),
        ]

    def __str__(self) -> str:
        return self.number or self.external_id or f"#{self.pk}"


class Adjustment(models.Model):
    """A credit, fee or write-off put on an invoice by us; amounts in minor units of the invoice's currency."""

    class Kind(models.TextChoices):
        CREDIT = "credit", _("Credit")
        LATE_FEE = "late_fee", _("Late fee")
        INTEREST = "interest", _("Interest")
        WAIVER = "waiver", _("Waived fee")
        WRITE_OFF = "write_off", _("Write-off")

    invoice = models.ForeignKey(
        Invoice, verbose_name=_("invoice"), on_delete=models.CASCADE, related_name="adjustments"
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    amount = models.BigIntegerField(_("amount"), help_text=_("In minor units."))
    reason = models.CharField(_("reason"), max_length=255)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    at = models.DateTimeField(_("at"))

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("adjustment")
        verbose_name_plural = _("adjustments")
        ordering = ["-at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="adjustment_amount_positive"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
