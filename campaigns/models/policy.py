"""Managers' own contact rules, over the shipped ones."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from customers.models import Brand


class PolicyOverride(models.Model):
    """Rules of one contact policy as a manager wants them, from a day on, for all brands or one.

    Holds only what differs: channels it does not name keep the shipped rules. Withdrawn, never deleted: what held when
    a message left must be found again.
    """

    #: Code of the policy (campaigns.guard.policy): a country in lower case, `us-collector`, `eu` or `default`.
    code = models.SlugField(_("policy"), max_length=20)
    brand = models.ForeignKey(
        Brand,
        verbose_name=_("brand"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Empty: for all brands."),
    )
    valid_from = models.DateField(_("in force from"))
    #: One version of a policy file: `all`, `channels`, `business`.
    rules = models.JSONField(_("rules"), default=dict)
    note = models.CharField(_("why"), max_length=255, help_text=_("Who decided it, and on what grounds."))
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)
    #: Every process asks for this of each row before a batch; see campaigns.guard.overrides.
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("own contact rules")
        verbose_name_plural = _("own contact rules")
        ordering = ["code", "-valid_from", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["code", "brand", "valid_from"],
                nulls_distinct=False,
                condition=Q(withdrawn_at__isnull=True),
                name="policy_override_once_a_day",
                violation_error_message=_("There are rules of this policy from that day on; change those."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} · {self.valid_from}"
