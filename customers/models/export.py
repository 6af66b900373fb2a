"""Exports: which list went out, to whom, by which filter, how many rows. The row is log, queue and progress."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from customers.models.datafile import DataFile


class ExportRun(models.Model):
    """One list taken out of the system. Kept when its file is gone: data that left must stay traceable."""

    class Format(models.TextChoices):
        CSV = "csv", _("CSV")
        XLSX = "xlsx", _("Excel (XLSX)")

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    TRANSITIONS: dict[str, frozenset[str]] = {
        Status.QUEUED: frozenset({Status.RUNNING}),
        # A worker that died is followed by another, from the first row.
        Status.RUNNING: frozenset({Status.DONE, Status.FAILED}),
        Status.DONE: frozenset(),
        Status.FAILED: frozenset(),
    }

    #: The list: `app_label.model_name`.
    model = models.CharField(_("list"), max_length=100)
    #: The list's query string: filters and search as they stood.
    query = models.TextField(_("filter"), blank=True)
    #: Ids of ticked rows; null: all that the filter finds.
    ids = ArrayField(models.BigIntegerField(), verbose_name=_("rows ticked"), null=True, blank=True)
    columns = ArrayField(models.CharField(max_length=100), verbose_name=_("columns"), default=list, blank=True)
    #: Language of headings and words; empty: fields by their names, values as programs read them.
    language = models.CharField(_("language"), max_length=10, blank=True)
    format = models.CharField(_("format"), max_length=4, choices=Format.choices, default=Format.CSV)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(_("asked"))
    #: Sign of life of the worker; one silent for long is dead.
    claimed_at = models.DateTimeField(null=True, editable=False)
    #: Rows written so far, and how many there will probably be; 0: nobody counted.
    rows = models.PositiveIntegerField(_("rows"), default=0)
    expected = models.PositiveIntegerField(_("rows expected"), default=0, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=500, blank=True)
    #: Gone after a while (EXPORT_FILES_KEPT_DAYS), or never kept when it was streamed.
    file = models.ForeignKey(
        DataFile, verbose_name=_("file"), on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        ordering = ["-created_at", "-id"]
        indexes = [
            # Reader: customers.export_runs claims what waits, and what a dead worker left.
            models.Index(fields=["id"], name="export_waiting", condition=Q(status__in=["queued", "running"])),
        ]

    def __str__(self) -> str:
        return f"{self.model} #{self.pk}"
