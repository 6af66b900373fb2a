"""Four eyes: what one person asked for and another decides, and up to what amount nobody is asked."""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from billing.models.invoice import Invoice
from customers.models import Customer


class ApprovalRequest(models.Model):
    """An act that waits for a second person. Written by billing.approvals only."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting")
        DONE = "done", _("Approved and carried out")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        FAILED = "failed", _("Approved, but could not be carried out")

    TRANSITIONS = {Status.PENDING: frozenset({Status.DONE, Status.DECLINED, Status.WITHDRAWN, Status.FAILED})}

    #: Which of billing.approvals' registered acts.
    act = models.CharField(_("what"), max_length=40)
    #: Empty for an act on many customers; the act itself writes each one's log.
    customer = models.ForeignKey(
        Customer,
        verbose_name=_("customer"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="approval_requests",
    )
    invoice = models.ForeignKey(
        Invoice,
        verbose_name=_("invoice"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    summary = models.CharField(_("in words"), max_length=500)
    #: Minor units by currency: the most that may be given up.
    amounts = models.JSONField(_("amounts"), default=dict)
    #: What the act is called with, as plain data.
    payload = models.JSONField(default=dict)
    reason = models.CharField(_("reason"), max_length=500)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("asked by"), on_delete=models.PROTECT, related_name="+"
    )
    requested_at = models.DateTimeField(_("asked"))
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("decided by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(_("decided"), null=True)
    note = models.CharField(_("note of who decided"), max_length=500, blank=True)
    result = models.CharField(_("what came of it"), max_length=500, blank=True)
    #: The act and what it is done to: asked for once at a time.
    key = models.CharField(max_length=200, editable=False)

    class Meta:
        verbose_name = _("request for approval")
        verbose_name_plural = _("requests for approval")
        ordering = ["-requested_at", "-id"]
        permissions = [("decide_approvalrequest", _("Can approve or decline what others ask for"))]
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(status="pending"), name="approval_asked_once"),
            models.CheckConstraint(
                condition=Q(status="withdrawn") | Q(decided_by__isnull=True) | ~Q(decided_by=F("requested_by")),
                name="approval_never_by_who_asked",
            ),
            models.CheckConstraint(
                condition=Q(status="pending", decided_by__isnull=True)
                | (~Q(status="pending") & Q(decided_by__isnull=False, decided_at__isnull=False)),
                name="approval_decided_has_who_and_when",
            ),
        ]
        indexes = [
            # Reader: the menu's badge, on every page of the back office.
            models.Index(fields=["requested_at"], name="approval_waiting", condition=Q(status="pending")),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class ApprovalLimit(models.Model):
    """Up to what amount, in minor units, members of a role do an act without a second person; without one, never."""

    act = models.CharField(_("what"), max_length=40)
    group = models.ForeignKey(Group, verbose_name=_("role"), on_delete=models.CASCADE, related_name="approval_limits")
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.BigIntegerField(_("up to"), help_text=_("In minor units, for one customer within thirty days."))

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("limit without approval")
        verbose_name_plural = _("limits without approval")
        ordering = ["act", "group__name", "currency"]
        constraints = [
            models.UniqueConstraint(fields=["act", "group", "currency"], name="approval_limit_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="approval_limit_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.group}: {self.act} {self.currency}"
