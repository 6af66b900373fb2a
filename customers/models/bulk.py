"""Bulk jobs: one act on many rows, as it was counted and confirmed, and what became of each row."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class BulkStatus(models.TextChoices):
    DRAFT = "draft", _("To be confirmed")
    TO_APPROVE = "to_approve", _("Waits for a second person")
    QUEUED = "queued", _("Waiting")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    STOPPED = "stopped", _("Stopped")


#: A job that is stopped keeps what was done; what was not done stays undone.
TRANSITIONS: dict[str, frozenset[str]] = {
    BulkStatus.DRAFT: frozenset({BulkStatus.QUEUED, BulkStatus.TO_APPROVE, BulkStatus.STOPPED}),
    BulkStatus.TO_APPROVE: frozenset({BulkStatus.QUEUED, BulkStatus.STOPPED}),
    BulkStatus.QUEUED: frozenset({BulkStatus.RUNNING, BulkStatus.DONE, BulkStatus.STOPPED}),
    BulkStatus.RUNNING: frozenset({BulkStatus.DONE, BulkStatus.STOPPED}),
    BulkStatus.DONE: frozenset(),
    BulkStatus.STOPPED: frozenset(),
}


class BulkJob(models.Model):
    """One act (customers.bulk.acts) on the rows of its items. The row is the queue, the progress and the result."""

    act = models.CharField(_("act"), max_length=60)
    #: What its form said, as the act's own `params` wrote it down.
    params = models.JSONField(_("with"), default=dict, blank=True)
    #: How the rows were chosen, in words.
    selection = models.CharField(_("chosen"), max_length=255, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=BulkStatus.choices, default=BulkStatus.DRAFT)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked by"),
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    #: The job this one takes back; a job is taken back once.
    undoes = models.OneToOneField(
        "self", verbose_name=_("takes back"), on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by"
    )
    created_at = models.DateTimeField(_("counted"))
    confirmed_at = models.DateTimeField(_("confirmed"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    #: Rows chosen, and of those what is settled; the rest waits.
    total = models.PositiveIntegerField(_("rows"), default=0)
    done = models.PositiveIntegerField(_("done"), default=0)
    skipped = models.PositiveIntegerField(_("left alone"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)

    class Meta:
        verbose_name = _("bulk act")
        verbose_name_plural = _("bulk acts")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["draft", "to_approve", "stopped"]) | Q(confirmed_at__isnull=False),
                name="bulk_job_runs_confirmed",
            ),
        ]
        indexes = [
            # Reader: customers.bulk.run takes what waits.
            models.Index(fields=["id"], name="bulk_job_waiting", condition=Q(status__in=["queued", "running"])),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def settled(self) -> int:
        """Rows that are done, left alone or failed."""
        return self.done + self.skipped + self.failed

    @property
    def percent(self) -> int:
        """How much of it is settled, 0 to 100."""
        if self.status == BulkStatus.DONE:
            return 100
        return 100 * self.settled // self.total if self.total else 0


class BulkOutcome(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    DONE = "done", _("Done")
    SKIPPED = "skipped", _("Left alone")
    FAILED = "failed", _("Failed")


class BulkItem(models.Model):
    """One row of a job: fixed when it was counted, settled in the transaction that acts on it."""

    job = models.ForeignKey(
        BulkJob,
        verbose_name=_("bulk act"),
        on_delete=models.CASCADE,
        related_name="items",
        db_index=False,  # bulk_item_once begins with it
    )
    #: Id of the row acted on, of the model the act names.
    target = models.BigIntegerField(_("row"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=BulkOutcome.choices, default=BulkOutcome.WAITING)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    #: What taking it back needs to know.
    before = models.JSONField(default=dict, blank=True, editable=False)
    at = models.DateTimeField(_("at"), null=True, blank=True)

    class Meta:
        verbose_name = _("row of a bulk act")
        verbose_name_plural = _("rows of bulk acts")
        ordering = ["job", "target"]
        constraints = [
            models.UniqueConstraint(fields=["job", "target"], name="bulk_item_once"),
        ]
        indexes = [
            # Reader: customers.bulk.run takes the next rows of a job, paging by key.
            models.Index(fields=["job", "target"], name="bulk_item_waiting", condition=Q(outcome="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.target}"
