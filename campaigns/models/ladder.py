"""Ladders and their versions: edited as a draft, published as an immutable version of ordered steps."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from campaigns.models.segment import Segment
from campaigns.models.template import Template
from customers.models import Brand, Channel, Customer


class Trigger(models.TextChoices):
    PAYMENT_FAILED = "payment_failed", _("Payment failed")
    INVOICE_OVERDUE = "invoice_overdue", _("Invoice overdue")
    INVOICE_DUE = "invoice_due", _("Invoice coming due")
    CARD_EXPIRING = "card_expiring", _("Card expiring")
    PROMISE_BROKEN = "promise_broken", _("Promise broken")
    INSTALMENT_MISSED = "instalment_missed", _("Instalment missed")
    RENEWAL_UPCOMING = "renewal_upcoming", _("Renewal or end of trial coming")


#: Triggers of what has not happened yet: nothing is owed, steps count back from the day (due, expiry, renewal).
PRE_DUNNING = frozenset({Trigger.INVOICE_DUE.value, Trigger.CARD_EXPIRING.value, Trigger.RENEWAL_UPCOMING.value})


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
    CASE = "case", _("from the day the oldest unpaid invoice failed or fell due, or the day that is coming")
    PREVIOUS = "previous", _("since the previous step")
    MONTH_END = "month_end", _("from the end of the month in which it failed or fell due")


class Action(models.TextChoices):
    MESSAGE = "message", _("Send a message")
    CALL_TASK = "call_task", _("Ask staff to call")
    NOTIFY_STAFF = "notify_staff", _("Tell staff")
    RETRY_NOW = "retry_now", _("Charge again now")
    LATE_FEE = "late_fee", _("Add the late fee")
    INTEREST = "interest", _("Add interest")
    TAG = "tag", _("Tag the customer")
    SUSPEND_SERVICE = "suspend_service", _("Suspend the service")
    CANCEL_SUBSCRIPTION = "cancel_subscription", _("Cancel the subscription")
    MARK_UNCOLLECTIBLE = "mark_uncollectible", _("Mark invoices uncollectible")
    WRITE_OFF = "write_off", _("Write off")
    HAND_TO_AGENCY = "hand_to_agency", _("Hand to an agency")
    START_LADDER = "start_ladder", _("Start another ladder")


class EndAction(models.TextChoices):
    CANCEL_SUBSCRIPTION = "cancel_subscription", _("Cancel the subscription")
    MARK_UNCOLLECTIBLE = "mark_uncollectible", _("Mark invoices uncollectible")
    CALL_TASK = "call_task", _("Hand to a person")
    NOTIFY_STAFF = "notify_staff", _("Tell staff")
    LATE_FEE = "late_fee", _("Add the late fee")
    INTEREST = "interest", _("Add interest")
    TAG = "tag", _("Tag the customer")
    SUSPEND_SERVICE = "suspend_service", _("Suspend the service")
    WRITE_OFF = "write_off", _("Write off")
    HAND_TO_AGENCY = "hand_to_agency", _("Hand to an agency")
    START_LADDER = "start_ladder", _("Start another ladder")


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
    segment = models.ForeignKey(
        Segment,
        verbose_name=_("segment"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="ladders",
        help_text=_("Whom it is for. Empty: for everybody."),
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
    #: Parameters of end actions by action, as Step.params holds them: {"tag": {"tag": "lost"}}.
    end_params = models.JSONField(_("parameters of the end"), default=dict, blank=True)
    #: Hours after the last step before the end actions: the last notice must have a chance to work.
    end_after_hours = models.PositiveIntegerField(_("hours from last step to the end"), default=72)
    min_gap_hours = models.PositiveIntegerField(_("least hours between messages"), default=20)
    silent_hours = models.PositiveIntegerField(
        _("silent phase in hours"),
        default=0,
        help_text=_("So long from the start nothing is written while the card may still be charged again."),
    )
    pause_after_reply_days = models.PositiveSmallIntegerField(
        _("days of rest after a reply"),
        default=3,
        help_text=_("After a customer has written or talked to us; 0: go on."),
    )
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

    history = HistoricalRecords()

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
    #: Negative: before the day that is coming (triggers of PRE_DUNNING) or before the end of the month.
    offset = models.IntegerField(_("after"))
    offset_unit = models.CharField(_("unit"), max_length=5, choices=OffsetUnit.choices, default=OffsetUnit.DAYS)
    anchor = models.CharField(_("counted"), max_length=10, choices=StepAnchor.choices, default=StepAnchor.CASE)
    window_days = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True, verbose_name=_("weekdays"))
    window_from = models.TimeField(_("not before"), null=True, blank=True)
    window_to = models.TimeField(_("not after"), null=True, blank=True)
    business_days = models.BooleanField(_("business days only"), default=False)
    action = models.CharField(_("action"), max_length=20, choices=Action.choices)
    #: Parameters of the action, checked by campaigns.engine.actions when the version is published.
    params = models.JSONField(_("parameters"), default=dict, blank=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices, blank=True)
    #: Tried in order where the channel has no address, is suppressed, or its notice did not arrive. The text is the
    #: template's own for that channel.
    fallback_channels = ArrayField(
        models.CharField(max_length=10, choices=Channel.choices),
        default=list,
        blank=True,
        verbose_name=_("otherwise by"),
    )
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

    history = HistoricalRecords()

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


class LadderOverride(models.Model):
    """The ladder one customer follows whatever audiences and priorities say. `no dunning` wins over it.

    It chooses among ladders when a case is opened; a live case keeps its own.
    """

    customer = models.OneToOneField(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="ladder_override"
    )
    ladder = models.ForeignKey(Ladder, verbose_name=_("ladder"), on_delete=models.CASCADE, related_name="overrides")
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    at = models.DateTimeField(_("since"))

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("ladder of a customer")
        verbose_name_plural = _("ladders of customers")

    def __str__(self) -> str:
        return f"{self.customer}: {self.ladder}"
