"""Ladders and their versions: edited as a draft, published as an immutable version of ordered steps."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from campaigns.models.template import Template
from customers.models import Brand, Channel


class Trigger(models.TextChoices):
    PAYMENT_FAILED = "payment_failed", _("Payment failed")
    INVOICE_OVERDUE = "invoice_overdue", _("Invoice overdue")


class VersionStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    PUBLISHED = "published", _("Published")
    RETIRED = "retired", _("Retired")


VERSION_TRANSITIONS: dict[str, frozenset[str]] = {
    VersionStatus.DRAFT: frozenset({VersionStatus.PUBLISHED}),
    VersionStatus.PUBLISHED: frozenset({VersionStatus.RETIRED}),
    VersionStatus.RETIRED: frozenset(),
}


class OffsetUnit(models.TextChoices):
    HOURS = "hours", _("hours")
    DAYS = "days", _("days")


class StepAnchor(models.TextChoices):
    CASE = "case", _("since the oldest unpaid invoice failed or fell due")
    PREVIOUS = "previous", _("since the previous step")


class Action(models.TextChoices):
    MESSAGE = "message", _("Send a message")
    CALL_TASK = "call_task", _("Ask staff to call")
    NOTIFY_STAFF = "notify_staff", _("Tell staff")


class EndAction(models.TextChoices):
    CANCEL_SUBSCRIPTION = "cancel_subscription", _("Cancel the subscription")
    MARK_UNCOLLECTIBLE = "mark_uncollectible", _("Mark invoices uncollectible")
    CALL_TASK = "call_task", _("Hand to a person")


class Ladder(models.Model):
    """A named escalation; cases follow its published version of the moment they were opened."""

    code = models.SlugField(_("code"), unique=True, max_length=60)
    name = models.CharField(_("name"), max_length=120)
    description = models.TextField(_("description"), blank=True)
    trigger = models.CharField(_("trigger"), max_length=20, choices=Trigger.choices)
    brand = models.ForeignKey(
        Brand,
        verbose_name=_("brand"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Empty: for every brand."),
    )
    priority = models.SmallIntegerField(
        _("priority"), default=100, help_text=_("The lowest number among those that fit wins.")
    )
    active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("ladder")
        verbose_name_plural = _("ladders")
        ordering = ["priority", "name"]

    def __str__(self) -> str:
        return self.name


class LadderVersion(models.Model):
    """One state of a ladder. A published version and its steps never change."""

    ladder = models.ForeignKey(Ladder, verbose_name=_("ladder"), on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    status = models.CharField(_("status"), max_length=10, choices=VersionStatus.choices, default=VersionStatus.DRAFT)
    end_actions = ArrayField(
        models.CharField(max_length=30, choices=EndAction.choices),
        default=list,
        blank=True,
        verbose_name=_("at the end"),
        help_text=_("What is done, in order, when every step was taken and the debt is still open."),
    )
    #: Hours after the last step before the end actions: the last notice must have a chance to work.
    end_after_hours = models.PositiveIntegerField(_("hours from last step to the end"), default=72)
    min_gap_hours = models.PositiveIntegerField(_("least hours between messages"), default=20)
    note = models.CharField(_("what changed"), max_length=255, blank=True)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("published by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )

    class Meta:
        verbose_name = _("ladder version")
        verbose_name_plural = _("ladder versions")
        ordering = ["ladder", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["ladder", "number"], name="ladder_version_number_unique"),
            models.UniqueConstraint(fields=["ladder"], condition=Q(status="draft"), name="ladder_one_draft"),
            models.UniqueConstraint(
                fields=["ladder"], condition=Q(status="published"), name="ladder_one_published_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ladder} v{self.number}"


class Step(models.Model):
    """One rung: when, under which condition, what.

    `condition` holds names of facts to values, all of which must hold (campaigns.engine.conditions);
    the window is local time of the customer, its days ISO weekdays 1 (Monday) to 7.
    """

    version = models.ForeignKey(
        LadderVersion, verbose_name=_("ladder version"), on_delete=models.CASCADE, related_name="steps"
    )
    position = models.PositiveSmallIntegerField(_("position"))
    key = models.SlugField(_("key"), max_length=60)
    name = models.CharField(_("name"), max_length=120)
    offset = models.PositiveIntegerField(_("after"))
    offset_unit = models.CharField(_("unit"), max_length=5, choices=OffsetUnit.choices, default=OffsetUnit.DAYS)
    anchor = models.CharField(_("counted"), max_length=10, choices=StepAnchor.choices, default=StepAnchor.CASE)
    window_days = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True, verbose_name=_("weekdays"))
    window_from = models.TimeField(_("not before"), null=True, blank=True)
    window_to = models.TimeField(_("not after"), null=True, blank=True)
    business_days = models.BooleanField(_("business days only"), default=False)
    action = models.CharField(_("action"), max_length=20, choices=Action.choices)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices, blank=True)
    template = models.ForeignKey(
        Template,
        verbose_name=_("template"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    condition = models.JSONField(_("only if"), default=dict, blank=True)
    #: Silent phase: wait for a retry planned within this many hours before writing (0: do not wait).
    wait_for_retry_hours = models.PositiveSmallIntegerField(_("wait for a retry within hours"), default=0)

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ["version", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "position"],
                name="step_position_unique",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.UniqueConstraint(fields=["version", "key"], name="step_key_unique"),
            models.CheckConstraint(
                condition=~Q(action="message") | (Q(template__isnull=False) & ~Q(channel="")),
                name="step_message_has_template_and_channel",
            ),
        ]

    def __str__(self) -> str:
        return self.name
