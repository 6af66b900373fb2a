"""Segments: customers described by a saved query, used by ladders, lists, experiments and bulk actions."""

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

#: Characters a query may have; what is longer is two segments.
MAX_QUERY = 4000


def validate_query(value: str) -> None:
    """Refuses a query that cannot be read, naming the place. Raises ValidationError."""
    # Its fields come from tables of models that are not loaded yet when this module is.
    from campaigns.segments.language import SegmentError, parse

    try:
        parse(value)
    except SegmentError as error:
        raise ValidationError(error.message, code=error.code) from error


class Segment(models.Model):
    """A saved filter over customers; `query` is written in the language of campaigns.segments."""

    code = models.SlugField(_("code"), unique=True, max_length=60)
    name = models.CharField(_("name"), max_length=120)
    description = models.TextField(_("description"), blank=True)
    query = models.TextField(_("query"), max_length=MAX_QUERY, validators=[validate_query])
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
