"""Attempts: one charge of one invoice, planned, in flight or done."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.invoice import Invoice
from billing.models.payment_method import PaymentMethod
from billing.models.retry_model import RetryModel
from billing.retries.declines import DeclineVerdict, verdict_of


class AttemptStatus(models.TextChoices):
    PLANNED = "planned", _("Planned")
    IN_FLIGHT = "in_flight", _("In flight")
    UNKNOWN = "unknown", _("Unknown, being resolved")
    SUCCEEDED = "succeeded", _("Succeeded")
    DECLINED = "declined", _("Declined")
    CANCELLED = "cancelled", _("Cancelled")


#: `unknown` is resolved by asking the processor under the same key; it never goes back to planned.
TRANSITIONS: dict[str, frozenset[str]] = {
    AttemptStatus.PLANNED: frozenset({AttemptStatus.IN_FLIGHT, AttemptStatus.CANCELLED}),
    AttemptStatus.IN_FLIGHT: frozenset(
        {AttemptStatus.SUCCEEDED, AttemptStatus.DECLINED, AttemptStatus.UNKNOWN, AttemptStatus.CANCELLED}
    ),
    AttemptStatus.UNKNOWN: frozenset({AttemptStatus.SUCCEEDED, AttemptStatus.DECLINED, AttemptStatus.CANCELLED}),
    AttemptStatus.SUCCEEDED: frozenset(),
    AttemptStatus.DECLINED: frozenset(),
    AttemptStatus.CANCELLED: frozenset(),
}


class AttemptOrigin(models.TextChoices):
    PROCESSOR = "processor", _("The processor")
    RETRY = "retry", _("Automatic retry")
    NEW_METHOD = "new_method", _("New payment method")
    PORTAL = "portal", _("Customer in the portal")
    STAFF = "staff", _("Staff")
    INSTALMENT = "instalment", _("Instalment of a plan")


class PaymentAttempt(models.Model):
    """One charge of one invoice. `number` is its place in time on that invoice (1 = first)."""

    invoice = models.ForeignKey(Invoice, verbose_name=_("invoice"), on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField(_("number"))
    status = models.CharField(_("status"), max_length=10, choices=AttemptStatus.choices)
    origin = models.CharField(_("origin"), max_length=12, choices=AttemptOrigin.choices)
    #: Made before the call and sent with it, so that asking again can never charge again. Null for
    #: attempts the processor made by itself.
    idempotency_key = models.CharField(max_length=100, unique=True, null=True, blank=True, editable=False)
    payment_method = models.ForeignKey(
        PaymentMethod,
        verbose_name=_("payment method"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="attempts",
    )
    amount = models.BigIntegerField(_("amount"), help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)
    #: Charges `amount` and no more, by a payment intent of its own; else whatever is left of the invoice.
    part = models.BooleanField(_("a part only"), default=False, db_default=False)
    instalment = models.ForeignKey(
        "billing.PlanInstalment",
        verbose_name=_("instalment"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="attempts",
        db_index=False,  # attempt_of_instalment
    )
    scheduled_for = models.DateTimeField(_("scheduled for"), null=True, blank=True)
    #: When the charge was made (the processor's time where it tells one).
    at = models.DateTimeField(_("made"), null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    #: An unknown outcome is asked about again at this moment.
    resolve_at = models.DateTimeField(_("asked again"), null=True, blank=True)
    external_id = models.CharField(_("charge id"), max_length=255, null=True, blank=True)
    decline_code = models.CharField(_("decline code"), max_length=60, blank=True)
    network_decline_code = models.CharField(_("network decline code"), max_length=20, blank=True)
    advice_code = models.CharField(_("advice code"), max_length=40, blank=True)
    network_advice_code = models.CharField(_("network advice code"), max_length=20, blank=True)
    decline_category = models.CharField(_("decline category"), max_length=30, blank=True)
    failure_message = models.CharField(_("message"), max_length=500, blank=True)
    strategy = models.CharField(_("strategy"), max_length=30, blank=True)
    probability = models.FloatField(_("predicted chance"), null=True, blank=True)
    explanation = models.CharField(_("why then"), max_length=500, blank=True)
    #: The up to three facts that weighed most, in words.
    reasons = models.JSONField(_("what weighed most"), default=list, blank=True)
    #: The fitted model behind the moment; null: no model, the strategy's own rules.
    retry_model = models.ForeignKey(
        RetryModel,
        verbose_name=_("model"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="attempts",
    )
    #: The chance with which the lot gave this moment, and all moments that were in it: what later models are
    #: compared by. Null and empty where nothing was drawn.
    propensity = models.FloatField(_("drawn with chance"), null=True, blank=True)
    options = models.JSONField(_("moments in the lot"), default=list, blank=True)
    cancel_reason = models.CharField(_("why cancelled"), max_length=255, blank=True)
    #: Why a person had it made past a limit or a wait of the networks.
    override_reason = models.CharField(_("charged past a limit because"), max_length=500, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["-at", "-id"]
        permissions = [("override_limits", _("Can charge past the networks' limits"))]
        constraints = [
            # Deferred: attempts told late are put into their place in time within one transaction.
            models.UniqueConstraint(
                fields=["invoice", "number"],
                name="attempt_number_unique",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.UniqueConstraint(
                fields=["external_id"],
                condition=Q(external_id__isnull=False),
                name="attempt_external_id_unique",
            ),
            # Never two charges of one invoice at a time; an unresolved one counts as under way.
            models.UniqueConstraint(
                fields=["invoice"],
                condition=Q(status__in=["in_flight", "unknown"]),
                name="attempt_one_in_flight_per_invoice",
            ),
            models.UniqueConstraint(
                fields=["invoice"], condition=Q(status="planned"), name="attempt_one_planned_per_invoice"
            ),
        ]
        indexes = [
            # Reader: billing.charging claims due attempts.
            models.Index(fields=["scheduled_for", "id"], name="attempt_due", condition=Q(status="planned")),
            # Reader: billing.charging resolves unknown outcomes and sweeps claims of dead workers.
            models.Index(
                fields=["claimed_at", "id"],
                name="attempt_unresolved",
                condition=Q(status__in=["in_flight", "unknown"]),
            ),
            # Reader: network limits count the charges of a card in a window.
            models.Index(fields=["payment_method", "at"], name="attempt_by_card", condition=Q(at__isnull=False)),
            # Reader: billing.retries.champion streams the newest charges to learn from.
            models.Index(
                fields=["at", "id"], name="attempt_history", condition=Q(status__in=["succeeded", "declined"])
            ),
            # Reader: the list narrowed to an origin there may be few of.
            models.Index(fields=["origin", "id"], name="attempt_by_origin"),
            # Reader: what became of an instalment's charges.
            models.Index(fields=["instalment"], name="attempt_of_instalment", condition=Q(instalment__isnull=False)),
            # Reader: billing.retries.champion compares what was drawn by lot.
            models.Index(fields=["created_at"], name="attempt_drawn", condition=Q(propensity__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.invoice_id}/{self.number}"

    @property
    def verdict(self) -> DeclineVerdict:
        """What its codes mean by the table of today (meaningless unless it was declined)."""
        return verdict_of(self)
