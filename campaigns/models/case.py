"""Cases: one dunning process for everything a customer owes a brand, and the steps it has taken."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models import Invoice, PaymentMethod, Subscription
from campaigns.models.ladder import LadderVersion, Step, Trigger
from customers.models import Brand, Customer


class CaseState(models.TextChoices):
    OPEN = "open", _("Open")
    PAUSED = "paused", _("Paused")
    PROMISED = "promised", _("Promised")
    IN_PLAN = "in_plan", _("In a payment plan")
    DISPUTED = "disputed", _("Disputed")
    AGENCY = "agency", _("At an agency")
    RECOVERED = "recovered", _("Recovered")
    LOST = "lost", _("Lost")
    CANCELLED = "cancelled", _("Cancelled")


#: States in which the case is still a case; the others are its ends.
LIVE_STATES = frozenset(
    {
        CaseState.OPEN,
        CaseState.PAUSED,
        CaseState.PROMISED,
        CaseState.IN_PLAN,
        CaseState.DISPUTED,
        CaseState.AGENCY,
    }
)
ENDS = frozenset({CaseState.RECOVERED, CaseState.LOST, CaseState.CANCELLED})

TRANSITIONS: dict[str, frozenset[str]] = {
    **{state: (LIVE_STATES | ENDS) - {state} for state in LIVE_STATES},
    **{state: frozenset() for state in ENDS},
}


class CloseReason(models.TextChoices):
    PAID = "paid", _("Everything was paid")
    EXHAUSTED = "exhausted", _("The ladder ended unpaid")
    VOIDED = "voided", _("Nothing is owed any more")
    EXCLUDED = "excluded", _("Customer excluded from dunning")
    MOOT = "moot", _("The occasion has passed")
    STAFF = "staff", _("Closed by staff")


class Case(models.Model):
    """One dunning process. Follows the ladder version it was opened with."""

    customer = models.ForeignKey(Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="cases")
    brand = models.ForeignKey(
        Brand, verbose_name=_("brand"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    ladder_version = models.ForeignKey(
        LadderVersion, verbose_name=_("ladder"), on_delete=models.PROTECT, related_name="cases", db_index=False
    )
    trigger = models.CharField(_("trigger"), max_length=20, choices=Trigger.choices)
    state = models.CharField(_("state"), max_length=10, choices=CaseState.choices, default=CaseState.OPEN)
    #: What a case before the day is about where it is no invoice: the expiring card, the subscription that renews.
    payment_method = models.ForeignKey(
        PaymentMethod,
        verbose_name=_("payment method"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    subscription = models.ForeignKey(
        Subscription,
        verbose_name=_("subscription"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    opened_at = models.DateTimeField(_("opened"))
    #: First failure or due date of the oldest invoice still unpaid, or the day that is coming; steps count from it.
    anchor_at = models.DateTimeField(_("counting from"))
    #: Grows when the case is anchored anew, so that a step may act once more for the newer debt.
    round = models.PositiveSmallIntegerField(_("round"), default=1)
    #: Position of the last step taken in this round; 0 before the first.
    position = models.PositiveSmallIntegerField(_("steps taken"), default=0)
    #: Queue of record of the escalate loop. Null while the case rests without a date or is closed.
    next_action_at = models.DateTimeField(_("next action"), null=True, blank=True)
    #: Why the next action is when it is, in words staff read.
    next_action_reason = models.CharField(_("why then"), max_length=255, blank=True)
    rests_until = models.DateTimeField(_("rests until"), null=True, blank=True)
    rest_reason = models.CharField(_("why it rests"), max_length=255, blank=True)
    last_contact_at = models.DateTimeField(_("last contact"), null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    close_reason = models.CharField(_("end"), max_length=10, choices=CloseReason.choices, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "brand"],
                condition=Q(state__in=["open", "paused", "promised", "in_plan", "disputed", "agency"]),
                name="case_one_live_per_customer_and_brand",
            ),
            models.CheckConstraint(
                condition=Q(next_action_at__isnull=True)
                | Q(state__in=["open", "paused", "promised", "in_plan", "disputed", "agency"]),
                name="case_ended_has_no_next_action",
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=False)
                | Q(state__in=["open", "paused", "promised", "in_plan", "disputed", "agency"]),
                name="case_ended_is_closed",
            ),
        ]
        indexes = [
            # Reader: campaigns.engine.run claims due cases, paging by key.
            models.Index(fields=["next_action_at", "id"], name="case_due", condition=Q(next_action_at__isnull=False)),
            # Reader: case list by state, newest first.
            models.Index(fields=["state", "-opened_at"], name="case_by_state"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class CaseInvoice(models.Model):
    """An invoice's stay in a case."""

    case = models.ForeignKey(
        Case,
        verbose_name=_("case"),
        on_delete=models.CASCADE,
        related_name="case_invoices",
        db_index=False,  # case_invoice_once begins with it
    )
    invoice = models.ForeignKey(
        Invoice, verbose_name=_("invoice"), on_delete=models.CASCADE, related_name="case_invoices"
    )
    joined_at = models.DateTimeField(_("joined"))
    left_at = models.DateTimeField(_("left"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=20, blank=True)

    class Meta:
        verbose_name = _("invoice of a case")
        verbose_name_plural = _("invoices of a case")
        constraints = [
            models.UniqueConstraint(fields=["case", "invoice"], name="case_invoice_once"),
        ]


class Decision(models.TextChoices):
    DONE = "done", _("Done")
    DEFERRED = "deferred", _("Deferred")
    SKIPPED = "skipped", _("Skipped")
    SUPERSEDED = "superseded", _("Superseded")
    BLOCKED = "blocked", _("Blocked")


class StepRun(models.Model):
    """What was decided about one step in one round. A deferral is overwritten by what follows it; the log
    keeps each."""

    case = models.ForeignKey(
        Case,
        verbose_name=_("case"),
        on_delete=models.CASCADE,
        related_name="step_runs",
        db_index=False,  # step_run_once_per_round begins with it
    )
    step = models.ForeignKey(Step, verbose_name=_("step"), on_delete=models.PROTECT, related_name="+", db_index=False)
    round = models.PositiveSmallIntegerField(_("round"), default=1)
    scheduled_for = models.DateTimeField(_("scheduled for"))
    decided_at = models.DateTimeField(_("decided"))
    decision = models.CharField(_("decision"), max_length=10, choices=Decision.choices)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    rule = models.CharField(_("rule"), max_length=60, blank=True)

    class Meta:
        verbose_name = _("step taken")
        verbose_name_plural = _("steps taken")
        ordering = ["case", "-decided_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["case", "step", "round"], name="step_run_once_per_round"),
        ]
