"""Imports of receivables files: what was asked, the rows as they were read, and how columns of a file are mapped."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from customers.models import Brand
from customers.models.datafile import DataFile


class ImportMapping(models.Model):
    """How files of one kind are written, as a person told: `layout` is billing.imports.presets.Preset as JSON."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    code = models.SlugField(_("code"), max_length=40, unique=True)
    layout = models.JSONField(_("layout"), default=dict)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("column mapping")
        verbose_name_plural = _("column mappings")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ImportRun(models.Model):
    """One file on its way in. The row is the queue, the progress and the history."""

    class Status(models.TextChoices):
        MAPPING = "mapping", _("Columns to be named")
        CHECKING = "checking", _("Being read")
        CHECKED = "checked", _("Read, not written yet")
        WRITING = "writing", _("Being written")
        DONE = "done", _("Written")
        DISCARDED = "discarded", _("Discarded")
        FAILED = "failed", _("Failed")
        STOPPED = "stopped", _("Stopped")

    TRANSITIONS: dict[str, frozenset[str]] = {
        Status.MAPPING: frozenset({Status.CHECKING, Status.DISCARDED}),
        Status.CHECKING: frozenset({Status.CHECKED, Status.FAILED, Status.DISCARDED}),
        # Whoever reads the errors may want to name the columns anew.
        Status.CHECKED: frozenset({Status.WRITING, Status.DISCARDED, Status.MAPPING}),
        Status.WRITING: frozenset({Status.DONE, Status.FAILED, Status.STOPPED}),
        # What was written stays; the rest is written when somebody says so.
        Status.STOPPED: frozenset({Status.WRITING}),
        Status.DONE: frozenset(),
        Status.DISCARDED: frozenset(),
        Status.FAILED: frozenset({Status.MAPPING, Status.DISCARDED}),
    }

    file = models.ForeignKey(
        DataFile, verbose_name=_("file"), on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    file_name = models.CharField(_("file name"), max_length=255)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    size = models.BigIntegerField(_("bytes"), default=0)
    #: Kind of file: a code of billing.imports.presets.PRESETS or of an ImportMapping; empty: not told yet.
    preset = models.CharField(_("kind of file"), max_length=50, blank=True)
    #: The Preset it is read by, as JSON: a mapping edited later changes nothing of what was read.
    layout = models.JSONField(_("layout"), default=dict, blank=True)
    brand = models.ForeignKey(Brand, verbose_name=_("brand"), on_delete=models.PROTECT, related_name="+")
    as_of = models.DateField(_("as seen on"))
    email_domain = models.CharField(_("domain of made-up addresses"), max_length=100, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(_("asked"))
    confirmed_at = models.DateTimeField(_("confirmed"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    #: Sign of life of the worker; one silent for long is dead, and another goes on where it stopped.
    claimed_at = models.DateTimeField(null=True, editable=False)
    #: When the turn under way began, and at which row: what it has done since tells how fast it goes.
    turn_at = models.DateTimeField(null=True, editable=False)
    turn_from = models.PositiveIntegerField(default=0, editable=False)
    #: When the file and the rows as they stood were deleted; what was written stays.
    tidied_at = models.DateTimeField(_("file deleted"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=500, blank=True)
    headings = models.JSONField(_("headings"), default=list, blank=True)
    #: Rows read so far, and of those how far they are written.
    rows = models.PositiveIntegerField(_("rows"), default=0)
    #: Rows the file will probably come to, by what was read of it so far; 0: nobody can tell.
    expected = models.PositiveIntegerField(default=0, editable=False)
    done = models.PositiveIntegerField(_("rows done"), default=0)
    new = models.PositiveIntegerField(_("new"), default=0)
    changed = models.PositiveIntegerField(_("changed"), default=0)
    unchanged = models.PositiveIntegerField(_("unchanged"), default=0)
    rejected = models.PositiveIntegerField(_("rejected"), default=0)
    customers_new = models.PositiveIntegerField(_("new customers"), default=0)

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ["-created_at", "-id"]
        indexes = [
            # Reader: billing.imports.runs claims what waits to be read or written, and what a dead worker left.
            models.Index(fields=["id"], name="import_waiting", condition=Q(status__in=["checking", "writing"])),
            # Reader: billing.imports.retention looks for what was kept long enough.
            models.Index(fields=["created_at"], name="import_kept", condition=Q(tidied_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} #{self.pk}"


class ImportRow(models.Model):
    """One row of a file as it was read: what it would do, or why it cannot be taken."""

    class Outcome(models.TextChoices):
        NEW = "new", _("New")
        CHANGED = "changed", _("Changed")
        UNCHANGED = "unchanged", _("Unchanged")
        REJECTED = "rejected", _("Rejected")

    run = models.ForeignKey(
        ImportRun,
        verbose_name=_("import"),
        on_delete=models.CASCADE,
        related_name="row_set",
        db_index=False,  # the constraint's index begins with it
    )
    #: 1 = first below the headings.
    number = models.PositiveIntegerField(_("row"))
    #: Line of the file (CSV) or sheet (XLSX) it begins on, where people look for it.
    line = models.PositiveIntegerField(_("line"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices)
    #: Number of the invoice or id of the payment, as far as it could be read.
    label = models.CharField(_("number"), max_length=255, blank=True)
    #: What was read, as JSON; null for a row that is rejected.
    item = models.JSONField(null=True)
    #: The cells as they stood, of a rejected row.
    cells = models.JSONField(default=list)
    #: [field, old, new] of what is known and would change.
    changes = models.JSONField(default=list)
    #: [column, value, reason, remedy] of everything that is wrong.
    errors = models.JSONField(default=list)

    class Meta:
        verbose_name = _("row of an import")
        verbose_name_plural = _("rows of imports")
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="import_row_number_unique")]
        indexes = [
            # Reader: the import's page shows the rows of one outcome; the rejected ones are downloaded.
            models.Index(fields=["run", "outcome", "number"], name="import_row_by_outcome"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.number}"
