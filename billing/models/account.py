"""The account at a payment processor facts come from, and who owns its retries."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from customers.models import Brand


class RetryMode(models.TextChoices):
    OBSERVE = "observe", _("The processor retries; we only write")
    TAKE_OVER = "take_over", _("We take over after the processor's first tries")
    OWN = "own", _("We retry; the processor's own schedule is off")


class OtherMethods(models.TextChoices):
    """Whether retries may use stored methods that nobody made the default (billing.retries.methods)."""

    NEVER = "never", _("Only methods somebody made the default")
    REFUSED = "refused", _("Others too, once nothing more can be tried on the default")
    DECLINED = "declined", _("Others too, also after three declines of the default")


class LimitProfile(models.TextChoices):
    """billing.retries.limits.Profile: whose number holds where sources disagree on a network's limit."""

    CAUTIOUS = "cautious", _("The strictest published (Visa: 15 in 30 days)")
    LATEST = "latest", _("The newest published (Visa: 20 in 30 days)")


#: Beyond these a setting is a slip of the keyboard: in days, and of one invoice.
LONGEST_WINDOW, MOST_RETRIES = 90, 30


class ProcessorAccount(models.Model):
    """One account at a processor; `code` is the `source` of every row that comes from it."""

    code = models.SlugField(_("code"), unique=True, max_length=50)
    name = models.CharField(_("name"), max_length=120)
    brand = models.ForeignKey(Brand, verbose_name=_("brand"), on_delete=models.PROTECT, related_name="+")
    external_id = models.CharField(_("account id"), max_length=255, blank=True)
    retry_mode = models.CharField(_("retries"), max_length=10, choices=RetryMode.choices, default=RetryMode.OWN)
    take_over_after = models.PositiveSmallIntegerField(_("take over after this many tries"), default=4)
    retry_window_days = models.PositiveSmallIntegerField(
        _("retry window in days"), default=21, validators=[MinValueValidator(1), MaxValueValidator(LONGEST_WINDOW)]
    )
    retry_max_attempts = models.PositiveSmallIntegerField(
        _("most retries per invoice"), default=8, validators=[MaxValueValidator(MOST_RETRIES)]
    )
    limit_profile = models.CharField(
        _("networks' limits"), max_length=10, choices=LimitProfile.choices, default=LimitProfile.CAUTIOUS
    )
    other_methods = models.CharField(
        _("other stored methods"),
        max_length=10,
        choices=OtherMethods.choices,
        default=OtherMethods.NEVER,
        help_text=_("Only where your terms allow you to charge every method a customer has stored."),
    )
    part_after = models.PositiveSmallIntegerField(
        _("a part after this many declines for lack of funds"),
        default=0,
        help_text=_("0: the whole sum or nothing. Only where your terms allow you to take a part."),
    )
    part_share = models.PositiveSmallIntegerField(
        _("the part, in percent of what is left"),
        default=50,
        validators=[MinValueValidator(1), MaxValueValidator(99)],
        help_text=_("From 1 to 99; each retry asks for this share of what is still left."),
    )
    part_floor = models.BigIntegerField(
        _("smallest part"),
        default=2000,
        validators=[MinValueValidator(1)],
        help_text=_(
            "In minor units of the currency below (2000 are 20.00 EUR). Who owes no more than this is asked for all "
            "of it."
        ),
    )
    part_currency = models.CharField(
        _("currency of the parts"),
        max_length=3,
        default="EUR",
        help_text=_("Three letters. Invoices in other currencies are never split."),
    )
    debit_notice_days = models.PositiveSmallIntegerField(
        _("days' notice of debits that you give yourselves"),
        default=0,
        db_default=0,
        validators=[MaxValueValidator(30)],
        help_text=_(
            "0: the processor tells customers before it collects, as Stripe does unless its e-mails are switched off. "
            "Else a SEPA or Bacs retry is planned so many days ahead, and the event attempt.planned brings its sum "
            "and day to your systems, which tell the customer."
        ),
    )
    #: Set when the processor's own schedule is seen at work while we own the retries: we then do not race it.
    schedule_conflict_at = models.DateTimeField(_("schedule conflict seen"), null=True, blank=True)
    #: Circuit breaker: no calls to the processor before this moment (aware UTC).
    paused_until = models.DateTimeField(_("calls paused until"), null=True, blank=True)
    consecutive_failures = models.PositiveIntegerField(_("failed calls in a row"), default=0)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords(excluded_fields=["paused_until", "consecutive_failures", "schedule_conflict_at"])

    class Meta:
        verbose_name = _("processor account")
        verbose_name_plural = _("processor accounts")
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name
