"""Playbooks: what staff say and offer on a call, by reason of the failure, step, segment and language."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from campaigns.models.ladder import Ladder
from campaigns.models.segment import Segment
from customers.models.customer import LANGUAGES

#: Longest text of a playbook, in characters: nobody reads more during a call.
MAX_BODY = 20_000


class Playbook(models.Model):
    """Guidance for a call in one language: Markdown with the variables of templates. Of those that fit a case the
    most particular one is shown (campaigns.playbooks). What is empty fits everything."""

    name = models.CharField(_("name"), max_length=120)
    language = models.CharField(_("language"), max_length=8, choices=LANGUAGES, default="en")
    #: billing.retries.taxonomy.Category of the last decline.
    decline_category = models.CharField(_("reason of the failure"), max_length=30, blank=True)
    ladder = models.ForeignKey(
        Ladder, verbose_name=_("ladder"), on_delete=models.CASCADE, null=True, blank=True, related_name="playbooks"
    )
    #: Key of a step, which stays the same from version to version.
    step_key = models.CharField(_("step"), max_length=60, blank=True, help_text=_("Key of a step of that ladder."))
    segment = models.ForeignKey(
        Segment, verbose_name=_("segment"), on_delete=models.PROTECT, null=True, blank=True, related_name="playbooks"
    )
    body = models.TextField(_("text"), max_length=MAX_BODY, help_text=_("Markdown, with the variables of templates."))
    active = models.BooleanField(_("in use"), default=True)
    #: Of a shipped one: its code. Staff's own have none.
    code = models.SlugField(_("code"), max_length=60, null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("playbook")
        verbose_name_plural = _("playbooks")
        ordering = ["name", "language"]
        constraints = [
            models.UniqueConstraint(
                fields=["code", "language"], condition=Q(code__isnull=False), name="playbook_shipped_once"
            ),
            models.CheckConstraint(
                condition=Q(step_key="") | Q(ladder__isnull=False), name="playbook_step_names_its_ladder"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.language})"
