"""What is remembered of a member of staff as a reader of the admin: the tips they have put away."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class TipDismissed(models.Model):
    """A tip for new staff one person does not want to see again; `tip` is its code."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("member of staff"),
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,  # tip_dismissed_once begins with it
    )
    tip = models.CharField(_("tip"), max_length=40)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("tip put away")
        verbose_name_plural = _("tips put away")
        constraints = [
            models.UniqueConstraint(fields=["user", "tip"], name="tip_dismissed_once"),
        ]

    def __str__(self) -> str:
        return self.tip
