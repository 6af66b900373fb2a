"""Owns whom the figures are about, and the addresses of the lists behind them."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from campaigns.models import Segment
from campaigns.segments.evaluate import segment_ids
from campaigns.segments.language import SegmentError
from customers.visibility import only_seen


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom the figures are about: the customers of a segment as it is now, or everybody."""

    code: str = ""
    name: str = ""
    customers: list[int] | None = None
    #: Why nobody is shown: the segment is gone or cannot be read.
    error: str = ""

    def list(self, route: str, **query: str) -> str:
        """Address of a list narrowed as the figures are: to the segment, and without whom staff practise on."""
        return rows_url(route, **query, practice="without", **({"segment": self.code} if self.code else {}))


def rows_url(route: str, **query: str) -> str:
    """Address of an admin list (`app_model`) narrowed by these parameters."""
    return f"{reverse(f'admin:{route}_changelist')}?{urlencode(query)}"


def scope_read(code: str, now: datetime, theirs: list[int] | None) -> Scope:
    """The scope a segment's code asks for among the customers of `theirs` (None: all); two queries, none without a
    code."""
    if not code:
        return Scope(customers=theirs)
    segment = Segment.objects.filter(code=code).first()
    if segment is None:
        return Scope(code, code, [], _("There is no such segment."))
    try:
        return Scope(code, segment.name, only_seen(segment_ids(segment.query, now), theirs))
    except SegmentError as error:
        return Scope(code, segment.name, [], error.message)
