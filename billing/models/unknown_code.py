"""Decline codes the table does not hold: counted, so that somebody reads them up and adds a row."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from billing.models.attempt import PaymentAttempt


class UnknownCode(models.Model):
    """One code that declines brought and billing.retries.decline_table lacks; retried with caution meanwhile."""

    class Field(models.TextChoices):
        DECLINE = "decline_code", _("decline code")
        NETWORK = "network_decline_code", _("network decline code")
        ADVICE = "advice_code", _("advice code")
        NETWORK_ADVICE = "network_advice_code", _("network advice code")

    field = models.CharField(_("field"), max_length=24, choices=Field.choices)
    code = models.CharField(_("code"), max_length=60)
    seen = models.PositiveIntegerField(_("declines"), default=0)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    #: The latest decline that brought it.
    example = models.ForeignKey(
        PaymentAttempt, verbose_name=_("example"), on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        verbose_name = _("unknown decline code")
        verbose_name_plural = _("unknown decline codes")
        ordering = ["-last_seen_at", "id"]
        constraints = [models.UniqueConstraint(fields=["field", "code"], name="unknown_code_once")]

    def __str__(self) -> str:
        return f"{self.get_field_display()} {self.code}"
