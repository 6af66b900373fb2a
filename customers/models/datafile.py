"""Files that go in and out as data: kept in the database, piece by piece, so that every process reaches them."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class DataFile(models.Model):
    """One file, in pieces of at most customers.datafiles.PIECE bytes. Not for what customers see: those have URLs."""

    name = models.CharField(_("name"), max_length=255)
    sha256 = models.CharField(_("SHA-256"), max_length=64, blank=True)
    size = models.BigIntegerField(_("bytes"), default=0)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("data file")
        verbose_name_plural = _("data files")

    def __str__(self) -> str:
        return self.name


class DataPiece(models.Model):
    """Consecutive bytes of a file; `number` counts from 0."""

    file = models.ForeignKey(
        DataFile,
        verbose_name=_("file"),
        on_delete=models.CASCADE,
        related_name="pieces",
        db_index=False,  # the constraint's index begins with it
    )
    number = models.PositiveIntegerField(_("number"))
    data = models.BinaryField(_("bytes"))

    class Meta:
        verbose_name = _("piece of a data file")
        verbose_name_plural = _("pieces of data files")
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="data_piece_number_unique")]

    def __str__(self) -> str:
        return f"{self.file_id}/{self.number}"
