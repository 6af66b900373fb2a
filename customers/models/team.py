"""Teams of staff, and whose customers each role or team gets to see."""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords


class Sees(models.TextChoices):
    """Whose customers somebody sees; read by customers.visibility."""

    ALL = "all", _("Every customer")
    TEAM = "team", _("Those of the own team, and those nobody has")
    OWN = "own", _("Only the own")


class Team(models.Model):
    """People who share their customers."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, verbose_name=_("members"), related_name="collection_teams", blank=True
    )
    sees = models.CharField(
        _("its members see"),
        max_length=5,
        choices=Sees.choices,
        blank=True,
        help_text=_("Empty: what their roles see. Where several settings hold for somebody, the widest counts."),
    )

    history = HistoricalRecords(m2m_fields=[members])

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class RoleVisibility(models.Model):
    """What the members of a role see; a role without one sees every customer."""

    group = models.OneToOneField(Group, verbose_name=_("role"), on_delete=models.CASCADE, related_name="visibility")
    sees = models.CharField(_("its members see"), max_length=5, choices=Sees.choices, default=Sees.ALL)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("visibility of a role")
        verbose_name_plural = _("visibility of roles")
        ordering = ["group__name"]

    def __str__(self) -> str:
        return f"{self.group}: {self.get_sees_display()}"
