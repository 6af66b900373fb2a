"""Ways a debt rests: promises to pay, payment plans, disputes."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from billing.models.invoice import Invoice
from billing.models.payment_method import PaymentMethod
from customers.models import Brand, Customer


class Promise(models.Model):
    """A promise to pay by a date; while it stands, nobody writes and nothing is charged."""

    class Status(models.TextChoices):
        OPEN = "open", _("Open")
        KEPT = "kept", _("Kept")
        BROKEN = "broken", _("Broken")
        CANCELLED = "cancelled", _("Cancelled")

    TRANSITIONS = {
        Status.OPEN: frozenset({Status.KEPT, Status.BROKEN, Status.CANCELLED}),
        # A bulk act that took it back was itself taken back.
        Status.CANCELLED: frozenset({Status.OPEN}),
    }

    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="promises"
    )
    brand = models.ForeignKey(Brand, verbose_name=_("brand"), on_delete=models.PROTECT, related_name="+")
    amount = models.BigIntegerField(_("amount"), help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)
    #: What it is about; none named: everything owed to the brand.
    invoices = models.ManyToManyField(Invoice, verbose_name=_("invoices"), related_name="promises", blank=True)
    promised_on = models.DateField(_("by"))
    grace_days = models.PositiveSmallIntegerField(_("days of grace"), default=2)
    #: End of the promised day plus grace in the customer's zone, aware UTC: broken when it passes unpaid.
    expires_at = models.DateTimeField(_("expires"))
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.OPEN)
    note = models.CharField(_("note"), max_length=500, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("taken by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(_("made"))
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("promise to pay")
        verbose_name_plural = _("promises to pay")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "brand"], condition=Q(status="open"), name="promise_one_open_per_customer"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="promise_amount_positive"),
        ]
        indexes = [
            # Reader: campaigns.engine.assess finds promises whose day has passed.
            models.Index(fields=["expires_at"], name="promise_expiring", condition=Q(status="open")),
        ]

    def __str__(self) -> str:
        return f"{self.promised_on}"


class PaymentPlan(models.Model):
    """An agreement to pay in instalments; its invoices leave the ladder while it is kept."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        COMPLETED = "completed", _("Completed")
        BROKEN = "broken", _("Broken")
        CANCELLED = "cancelled", _("Cancelled")

    TRANSITIONS = {Status.ACTIVE: frozenset({Status.COMPLETED, Status.BROKEN, Status.CANCELLED})}

    class Interval(models.TextChoices):
        WEEK = "week", _("Every week")
        FORTNIGHT = "fortnight", _("Every two weeks")
        MONTH = "month", _("Every month")

    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="payment_plans"
    )
    brand = models.ForeignKey(Brand, verbose_name=_("brand"), on_delete=models.PROTECT, related_name="+")
    invoices = models.ManyToManyField(Invoice, verbose_name=_("invoices"), related_name="payment_plans")
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.BigIntegerField(_("amount"), default=0, help_text=_("In minor units."))
    interval = models.CharField(_("every"), max_length=10, choices=Interval.choices, default=Interval.MONTH)
    #: Instalments are charged by themselves to this method; without one the customer pays them.
    payment_method = models.ForeignKey(
        PaymentMethod,
        verbose_name=_("charged to"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE)
    #: The words the customer agreed to on the payment page, as they were shown, in their language.
    consent = models.TextField(_("agreed to"), blank=True, default="")
    note = models.CharField(_("note"), max_length=500, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("agreed by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    #: Of the form it was agreed in: the same one sent twice makes one plan.
    key = models.CharField(max_length=100, null=True, blank=True, unique=True, editable=False)
    created_at = models.DateTimeField(_("made"))
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("payment plan")
        verbose_name_plural = _("payment plans")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "brand"],
                condition=Q(status="active"),
                name="plan_one_active_per_customer",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class PlanInstalment(models.Model):
    """One part of a payment plan, in minor units of the plan's currency."""

    plan = models.ForeignKey(PaymentPlan, verbose_name=_("plan"), on_delete=models.CASCADE, related_name="instalments")
    number = models.PositiveSmallIntegerField(_("number"))
    due_on = models.DateField(_("due"))
    amount = models.BigIntegerField(_("amount"), help_text=_("In minor units."))
    paid_at = models.DateTimeField(_("paid"), null=True, blank=True)
    #: Queue of record of billing.plans.collecting; null: not charged by itself, or not any more.
    charge_at = models.DateTimeField(_("charged"), null=True, blank=True)

    class Meta:
        verbose_name = _("instalment")
        verbose_name_plural = _("instalments")
        ordering = ["plan", "number"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="instalment_number_unique"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="instalment_amount_positive"),
        ]
        indexes = [
            # Reader: billing.plans.collecting claims instalments that are due.
            models.Index(fields=["charge_at", "id"], name="instalment_due", condition=Q(charge_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.plan_id}/{self.number}"


class PlanPolicy(models.Model):
    """Which payment plans may be offered to a brand's customers without asking anybody; one row per brand."""

    brand = models.OneToOneField(Brand, verbose_name=_("brand"), on_delete=models.CASCADE, related_name="plan_policy")
    most_instalments = models.PositiveSmallIntegerField(_("most instalments"), default=6)
    most_days = models.PositiveSmallIntegerField(_("most days to the last one"), default=180)
    first_within_days = models.PositiveSmallIntegerField(_("days to the first one"), default=14)
    #: Debts in other currencies are not held to it.
    least_amount = models.BigIntegerField(_("smallest instalment"), default=2000, help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3, default="EUR")
    most_broken = models.PositiveSmallIntegerField(
        _("broken plans and promises in a year"),
        default=1,
        help_text=_("Whoever has broken more is offered no plan."),
    )
    least_paid_percent = models.PositiveSmallIntegerField(
        _("paid so far, in percent of the debt"),
        default=0,
        help_text=_("Whoever has paid less since the beginning is offered no plan. 0: whatever was paid."),
    )
    risky_instalments = models.PositiveSmallIntegerField(
        _("most instalments at high risk"),
        default=3,
        validators=[MinValueValidator(1)],
        help_text=_("Risk as the customer's page tells it. 1: nobody at high risk is offered a plan."),
    )
    risky_first_percent = models.PositiveSmallIntegerField(
        _("first instalment at high risk, in percent"),
        default=40,
        validators=[MaxValueValidator(90)],
        help_text=_("A deposit: at least so much of the debt comes first."),
    )
    trusted_wait_days = models.PositiveSmallIntegerField(
        _("days reliable payers may wait"),
        default=7,
        help_text=_("Who is rated A at low risk pays the first instalment so many days later."),
    )
    offered_online = models.BooleanField(
        _("offered on the payment page"), default=True, help_text=_("Customers may agree on a plan by themselves.")
    )
    promise_days = models.PositiveSmallIntegerField(
        _("days to promise on the payment page"),
        default=14,
        validators=[MaxValueValidator(60)],
        help_text=_("So far ahead customers may name a day by themselves. 0: they are not asked."),
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("rules for payment plans")
        verbose_name_plural = _("rules for payment plans")

    def __str__(self) -> str:
        return str(self.brand)


class Dispute(models.Model):
    """The customer contests an invoice, to us or through the bank; that invoice leaves the case's balance."""

    class Status(models.TextChoices):
        OPEN = "open", _("Open")
        WON = "won", _("Won")
        LOST = "lost", _("Lost")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    TRANSITIONS = {Status.OPEN: frozenset({Status.WON, Status.LOST, Status.WITHDRAWN})}

    source = models.CharField(_("source"), max_length=50, default="manual")
    external_id = models.CharField(_("external id"), max_length=255, null=True, blank=True)
    invoice = models.ForeignKey(Invoice, verbose_name=_("invoice"), on_delete=models.CASCADE, related_name="disputes")
    amount = models.BigIntegerField(_("amount"), help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)
    reason = models.CharField(_("reason"), max_length=100, blank=True)
    note = models.TextField(_("what they say"), blank=True)
    #: Who looks into it and answers.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("noted by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    resolution = models.CharField(_("answer"), max_length=500, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.OPEN)
    opened_at = models.DateTimeField(_("opened"))
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    facts_as_of = models.DateTimeField(null=True, editable=False)

    history = HistoricalRecords(excluded_fields=["facts_as_of"])

    class Meta:
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=Q(external_id__isnull=False),
                name="dispute_outside_identity_unique",
            ),
        ]

    def __str__(self) -> str:
        return self.reason or f"#{self.pk}"
