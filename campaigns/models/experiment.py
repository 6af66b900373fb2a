"""Experiments: arms that customers are drawn into, and who was exposed to which."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from campaigns.models.case import Case
from campaigns.models.ladder import Ladder, LadderVersion
from campaigns.models.segment import Segment
from campaigns.models.template import Template
from customers.models import Customer


class ExperimentKind(models.TextChoices):
    LADDER = "ladder", _("Versions of a ladder, or no contact")
    TEMPLATE = "template", _("Texts or subjects of a message")
    SEND_TIME = "send_time", _("Hours of sending")


class ExperimentStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    RUNNING = "running", _("Running")
    STOPPED = "stopped", _("Stopped")


#: What ran is never started again: those who had come in between would be no lot.
EXPERIMENT_TRANSITIONS: dict[str, frozenset[str]] = {
    ExperimentStatus.DRAFT: frozenset({ExperimentStatus.RUNNING}),
    ExperimentStatus.RUNNING: frozenset({ExperimentStatus.STOPPED}),
    ExperimentStatus.STOPPED: frozenset(),
}


class Experiment(models.Model):
    """A comparison of arms. Customers are drawn by a hash of `code` and their id, so `code` never changes."""

    code = models.SlugField(_("code"), unique=True, max_length=60)
    name = models.CharField(_("name"), max_length=120)
    question = models.TextField(
        _("question"), blank=True, help_text=_("What you expect and would do then; written before the start.")
    )
    kind = models.CharField(_("what is compared"), max_length=10, choices=ExperimentKind.choices)
    ladder = models.ForeignKey(
        Ladder,
        verbose_name=_("ladder"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="experiments",
        help_text=_("Whose cases take part, for versions and hours."),
    )
    template = models.ForeignKey(
        Template,
        verbose_name=_("template"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("The message that is varied, for texts."),
    )
    segment = models.ForeignKey(
        Segment,
        verbose_name=_("segment"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="experiments",
        help_text=_("Who takes part. Empty: everybody."),
    )
    status = models.CharField(
        _("status"), max_length=10, choices=ExperimentStatus.choices, default=ExperimentStatus.DRAFT
    )
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    stopped_at = models.DateTimeField(_("stopped"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("experiment")
        verbose_name_plural = _("experiments")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=(Q(kind="template") & Q(template__isnull=False) & Q(ladder__isnull=True))
                | (Q(kind__in=["ladder", "send_time"]) & Q(ladder__isnull=False) & Q(template__isnull=True)),
                name="experiment_has_what_it_varies",
            ),
            # Two at once on the same thing would each be the other's noise.
            models.UniqueConstraint(
                fields=["ladder", "kind"], condition=Q(status="running"), name="experiment_one_running_per_ladder"
            ),
            models.UniqueConstraint(
                fields=["template"], condition=Q(status="running"), name="experiment_one_running_per_template"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ExperimentArm(models.Model):
    """One treatment. The first arm is the base the others are compared with."""

    experiment = models.ForeignKey(
        Experiment, verbose_name=_("experiment"), on_delete=models.CASCADE, related_name="arms"
    )
    position = models.PositiveSmallIntegerField(_("position"), default=1)
    name = models.CharField(_("name"), max_length=80)
    share = models.PositiveSmallIntegerField(
        _("share in %"), validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    #: Nobody writes to or calls them; the ladder goes on in silence to its end.
    holdout = models.BooleanField(_("no contact"), default=False)
    #: Only of a holdout.
    retries = models.BooleanField(_("retry charges"), default=True, help_text=_("Of those without contact."))
    ladder_version = models.ForeignKey(
        LadderVersion,
        verbose_name=_("ladder version"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Empty: the published one."),
    )
    template = models.ForeignKey(
        Template,
        verbose_name=_("template"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Empty: the one that is varied."),
    )
    send_from = models.TimeField(_("not before"), null=True, blank=True, help_text=_("Local time of the customer."))
    send_to = models.TimeField(_("not after"), null=True, blank=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("arm")
        verbose_name_plural = _("arms")
        ordering = ["experiment", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "name"], name="experiment_arm_name_unique"),
            models.CheckConstraint(condition=Q(share__gte=1, share__lte=100), name="experiment_arm_share_percent"),
            models.CheckConstraint(
                condition=Q(retries=True) | Q(holdout=True), name="experiment_arm_retries_off_only_without_contact"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ExperimentExposure(models.Model):
    """A customer's first meeting with an arm, and the case it happened in. Kept, whatever the shares become."""

    experiment = models.ForeignKey(
        Experiment,
        verbose_name=_("experiment"),
        on_delete=models.CASCADE,
        related_name="exposures",
        db_index=False,  # experiment_exposure_once begins with it
    )
    arm = models.ForeignKey(ExperimentArm, verbose_name=_("arm"), on_delete=models.PROTECT, related_name="exposures")
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="exposures"
    )
    case = models.ForeignKey(Case, verbose_name=_("case"), on_delete=models.CASCADE, related_name="exposures")
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("exposure")
        verbose_name_plural = _("exposures")
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "customer"], name="experiment_exposure_once"),
        ]

    def __str__(self) -> str:
        return f"{self.arm} #{self.customer_id}"
