"""What was learned from past charges, which of it decides now, and how retries differ between customers."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from billing.models.account import LONGEST_WINDOW, MOST_RETRIES


class RetryModel(models.Model):
    """One fitted state of a learning strategy: a candidate, the champion that plans retries, or a retired one."""

    class State(models.TextChoices):
        CANDIDATE = "candidate", _("Candidate")
        CHAMPION = "champion", _("Champion")
        RETIRED = "retired", _("Retired")

    strategy = models.CharField(_("strategy"), max_length=30)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.CANDIDATE)
    fitted_at = models.DateTimeField(_("fitted"))
    #: No charge made from this moment on was learned from; it is judged by those.
    trained_until = models.DateTimeField(_("learned from charges before"))
    trained_from = models.DateTimeField(_("learned from charges since"))
    rows = models.PositiveIntegerField(_("charges learned from"))
    customers = models.PositiveIntegerField(_("customers"))
    #: What the strategy's save() gave; data, never code.
    data = models.BinaryField(_("model file"))
    checksum = models.CharField(_("SHA-256 of the model file"), max_length=64, editable=False)
    #: How it did on charges it had not seen; see billing.retries.champion.judging.
    figures = models.JSONField(_("figures"), default=dict)

    class Meta:
        verbose_name = _("retry model")
        verbose_name_plural = _("retry models")
        ordering = ["-id"]
        constraints = [
            # One decides, one is on trial: with more, each would get too few charges to say anything about it.
            models.UniqueConstraint(fields=["state"], condition=Q(state="champion"), name="retry_model_one_champion"),
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="candidate"), name="retry_model_one_candidate"
            ),
        ]
        permissions = [("switch_retrymodel", _("Can switch retry models"))]

    def __str__(self) -> str:
        return f"{self.strategy} {self.pk}"


class RetryModelEvent(models.Model):
    """One line of the models' log: fitted, compared, switched, found broken; by whom and why."""

    class Kind(models.TextChoices):
        FITTED = "fitted", _("Fitted")
        THIN = "thin", _("Not enough data")
        WORSE = "worse", _("No better on new charges")
        COMPARED = "compared", _("Compared")
        PROMOTED = "promoted", _("Made champion")
        RETIRED = "retired", _("Retired")
        DEMOTED = "demoted", _("Fell back to the rules")
        BROKEN = "broken", _("Could not be used")

    model = models.ForeignKey(
        RetryModel, verbose_name=_("model"), on_delete=models.CASCADE, null=True, related_name="events"
    )
    at = models.DateTimeField(_("at"))
    kind = models.CharField(_("what"), max_length=10, choices=Kind.choices)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    reason = models.CharField(_("why"), max_length=500)
    data = models.JSONField(_("figures"), default=dict)
    #: Somebody should look: shown beside the menu entry until they said that they did.
    alert = models.BooleanField(default=False, editable=False)
    seen_at = models.DateTimeField(_("seen"), null=True, editable=False)

    class Meta:
        verbose_name = _("entry of the models' log")
        verbose_name_plural = _("models' log")
        ordering = ["-at", "-id"]
        indexes = [
            # Reader: the menu's badge, on every page of the back office.
            models.Index(fields=["id"], name="retry_model_alert", condition=Q(alert=True, seen_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.reason}"


class RetryPolicy(models.Model):
    """How charges of some customers are retried; the first active one by `order` that fits a customer holds."""

    class Strategy(models.TextChoices):
        BEST = "best", _("The champion; the rules while there is none")
        RULES = "rules", _("Rules by decline category")
        FIXED = "fixed", _("Days 3, 5 and 7 after the failure")

    name = models.CharField(_("name"), max_length=120)
    order = models.PositiveSmallIntegerField(_("order"), default=100, help_text=_("The lowest that fits holds."))
    active = models.BooleanField(_("active"), default=True)
    #: A code from settings.CUSTOMER_SEGMENTS; segments belong to a higher app. Empty: everybody.
    segment = models.CharField(_("segment"), max_length=60, blank=True)
    max_attempts = models.PositiveSmallIntegerField(
        _("most retries per invoice"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_RETRIES)],
        help_text=_("Empty: as the processor account says."),
    )
    window_days = models.PositiveSmallIntegerField(
        _("retry window in days"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_WINDOW)],
        help_text=_("Empty: as the processor account says."),
    )
    strategy = models.CharField(_("strategy"), max_length=10, choices=Strategy.choices, default=Strategy.BEST)
    explore_percent = models.PositiveSmallIntegerField(
        _("share of exploration in percent"),
        default=10,
        validators=[MaxValueValidator(50)],
        help_text=_("Retries drawn by lot for the rules and the candidate, so that they can be compared."),
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("retry setting")
        verbose_name_plural = _("retry settings")
        ordering = ["order", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(explore_percent__lte=50), name="retry_policy_explores_at_most_half"),
        ]

    def __str__(self) -> str:
        return self.name
