"""Simulations that were asked for: what was played, how far it is, and what came of it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models.ladder import Ladder, LadderVersion
from customers.models import Customer


class SimulationRun(models.Model):
    """One simulation of a ladder version, perhaps beside another. The row is the queue, the progress and the result:
    a simulation writes nothing else."""

    class Source(models.TextChoices):
        OPEN_CASES = "open_cases", _("A sample of the open cases")
        CUSTOMER = "customer", _("The open cases of one customer")
        PAST = "past", _("A past period: who owed then, and when they paid")

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    TRANSITIONS = {
        Status.QUEUED: frozenset({Status.RUNNING}),
        # A worker that died is followed by another.
        Status.RUNNING: frozenset({Status.DONE, Status.FAILED}),
    }

    ladder = models.ForeignKey(Ladder, verbose_name=_("ladder"), on_delete=models.CASCADE, related_name="simulations")
    version = models.ForeignKey(
        LadderVersion, verbose_name=_("version"), on_delete=models.CASCADE, related_name="+", db_index=False
    )
    other_version = models.ForeignKey(
        LadderVersion,
        verbose_name=_("compared with"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    source = models.CharField(_("played on"), max_length=12, choices=Source.choices)
    #: Most cases of a sample.
    cases = models.PositiveIntegerField(_("cases"), default=200)
    customer = models.ForeignKey(
        Customer,
        verbose_name=_("customer"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
    )
    #: Of a past period: debts that began on these local days, both included.
    since = models.DateField(_("from"), null=True, blank=True)
    upto = models.DateField(_("to"), null=True, blank=True)
    #: How far it is played from the moment it starts, or after the period's end.
    days = models.PositiveSmallIntegerField(_("days"), default=60)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(_("asked"))
    #: The moment the simulation begins at: that of the data, for open cases.
    starts_at = models.DateTimeField(_("starts"), null=True, blank=True)
    ends_at = models.DateTimeField(_("ends"), null=True, blank=True)
    #: Sign of life of the worker; one silent for long is given up.
    claimed_at = models.DateTimeField(null=True, editable=False)
    #: Cases played so far, and all; both versions counted.
    done = models.PositiveIntegerField(_("played"), default=0)
    total = models.PositiveIntegerField(_("to play"), default=0)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=500, blank=True)
    #: Figures of each version and what differs (campaigns.services.simulations).
    result = models.JSONField(_("result"), default=dict, blank=True)
    #: Every event, packed by campaigns.simulator.pack.
    events = models.BinaryField(null=True, editable=False)

    class Meta:
        verbose_name = _("simulation")
        verbose_name_plural = _("simulations")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(source="customer") | Q(customer__isnull=False), name="simulation_customer_named"
            ),
            models.CheckConstraint(
                condition=~Q(source="past") | Q(since__isnull=False, upto__isnull=False),
                name="simulation_period_named",
            ),
        ]
        indexes = [
            # Reader: campaigns.services.simulations claims what waits, and what a dead worker left.
            models.Index(fields=["id"], name="simulation_waiting", condition=Q(status__in=["queued", "running"])),
        ]

    def __str__(self) -> str:
        return f"{self.ladder} #{self.pk}"

    @property
    def percent(self) -> int:
        """How much of it is played, 0 to 100."""
        if self.status == self.Status.DONE:
            return 100
        return 100 * self.done // self.total if self.total else 0
