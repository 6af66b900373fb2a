"""Owns reading the worklist: tabs, filters, pages by key, and who comes next. Every page is a walk down one index."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from campaigns.models import Segment, WorkAction, WorkItem
from campaigns.segments.evaluate import segment_ids_lately
from campaigns.segments.language import SegmentError
from campaigns.worklist.types import BANDS
from customers.search import found_at
from customers.visibility import among, seen

#: Rows of a page.
PAGE = 25
#: A tab counts no further.
COUNTED = 1_000
TABS = ("mine", "team", "free")


@dataclass(frozen=True, slots=True)
class WorkQuery:
    """What somebody looks at; every field is a parameter of the page's address, empty where it narrows nothing."""

    tab: str = "mine"
    #: `later`: what rests or was put aside instead of what is due.
    show: str = ""
    q: str = ""
    segment: str = ""
    language: str = ""
    country: str = ""
    action: str = ""
    reason: str = ""
    #: First day of the ageing band.
    band: str = ""
    #: `1`: only those who may be called at this moment.
    reach: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> "WorkQuery":
        """From a request's parameters; what is unknown is passed over."""
        found = cls(**{f.name: given.get(f.name, "").strip()[:100] for f in fields(cls) if f.name in given})
        return found if found.tab in TABS else replace(found, tab=TABS[0])

    def encode(self, **changes: str) -> str:
        """As a query string, with some fields changed."""
        changed = replace(self, **changes)
        values = {f.name: getattr(changed, f.name) for f in fields(changed)}
        return urlencode({name: value for name, value in values.items() if value})

    def items(self) -> list[tuple[str, str]]:
        """Fields that are set, for a form's hidden inputs."""
        return [(f.name, value) for f in fields(self) if (value := getattr(self, f.name))]

    @property
    def narrowed(self) -> bool:
        """True if anything but the tab is chosen."""
        return self != WorkQuery(tab=self.tab, show=self.show)


def work_rows(query: WorkQuery, user: Any, now: datetime) -> QuerySet[WorkItem]:
    """The rows in the order they should be worked, at `now` (aware UTC). One query; nobody for a broken segment."""
    rows = _tab(query.tab, user)
    rows = rows.filter(due_at__lte=now) if query.show != "later" else rows.filter(Q(due_at=None) | Q(due_at__gt=now))
    for name in ("language", "country", "reason"):
        if value := getattr(query, name):
            rows = rows.filter(**{name: value})
    if query.action in WorkAction.values:
        rows = rows.filter(action=query.action)
    if query.band.isdecimal() and int(query.band) in BANDS:
        rows = rows.filter(_in_band(BANDS.index(int(query.band))))
    if query.reach:
        rows = rows.filter(action=WorkAction.CALL, call_from__lte=now, call_until__gt=now)
    if query.q:
        rows = rows.filter(_named(query.q, user))
    if query.segment:
        rows = rows.filter(_segment(query.segment, now))
    return rows.order_by("-rank", "pk")


def work_page(rows: QuerySet[WorkItem], after: str) -> tuple[list[WorkItem], str]:
    """The page behind a key (`rank,customer`, empty for the first), and the key the next one starts from, or ""."""
    rank, _comma, pk = after.partition(",")
    if rank.removeprefix("-").isdecimal() and pk.isdecimal():
        # As one comparison of rows, so that it is the index's own order that is walked.
        behind = RawSQL("(-campaigns_workitem.rank, campaigns_workitem.customer_id) > (%s, %s)", [-int(rank), int(pk)])
        rows = rows.filter(rank__lte=int(rank)).annotate(behind=behind).filter(behind=True)
    found = list(rows.select_related("customer", "owner", "task")[: PAGE + 1])
    more = found[PAGE - 1] if len(found) > PAGE else None
    return found[:PAGE], f"{more.rank},{more.pk}" if more is not None else ""


def work_counts(user: Any, now: datetime) -> dict[str, int]:
    """Rows due in each tab, COUNTED + 1 at most. One query for each."""
    return {tab: _tab(tab, user).filter(due_at__lte=now).order_by()[: COUNTED + 1].count() for tab in TABS}


def work_next(query: WorkQuery, user: Any, now: datetime, skip: Collection[int] = ()) -> int | None:
    """The customer to go on with: the first of the list who is not to be called at an hour that is not allowed, else
    the first at all; None at its end. Two queries at most."""
    rows = work_rows(replace(query, show=""), user, now).exclude(pk__in=list(skip))
    sleeping = Q(action=WorkAction.CALL) & ~Q(call_from__lte=now, call_until__gt=now)
    found = rows.exclude(sleeping).values_list("pk", flat=True).first()
    return found if found is not None else rows.values_list("pk", flat=True).first()


#: The values of a column in order, each found by one look into its index: DISTINCT would read every row.
_VALUES = """
    WITH RECURSIVE found AS (
        (SELECT {column} AS value FROM campaigns_workitem ORDER BY {column} LIMIT 1)
        UNION ALL
        SELECT (SELECT {column} FROM campaigns_workitem WHERE {column} > found.value ORDER BY {column} LIMIT 1)
          FROM found WHERE found.value IS NOT NULL
    )
    SELECT value FROM found WHERE value <> ''
"""


def work_places() -> dict[str, list[str]]:
    """The languages and countries there is work in, whosever it is, in order. Two queries."""
    found = {}
    with connection.cursor() as cursor:
        for column in ("language", "country"):
            cursor.execute(_VALUES.format(column=column))
            found[column] = [value for (value,) in cursor.fetchall()]
    return found


def _tab(tab: str, user: Any) -> QuerySet[WorkItem]:
    """Of the customers this member of staff may see."""
    rows = seen(WorkItem.objects.all(), user)
    if tab == "mine":
        return rows.filter(owner=user.pk)
    return rows.filter(owner=None) if tab == "free" else rows


def _in_band(place: int) -> Q:
    band = Q(oldest_days__gte=BANDS[place]) if place else Q()
    return band & Q(oldest_days__lt=BANDS[place + 1]) if place + 1 < len(BANDS) else band


def _named(words: str, user: Any) -> Q:
    """The rows of customers with the words in their name or address, found first."""
    return found_at("pk", {"name": "icontains", "email": "icontains"}, words, user)


def _segment(code: str, now: datetime) -> Q:
    segment = Segment.objects.filter(code=code).first()
    try:
        return among(segment_ids_lately(segment.query, now)) if segment is not None else Q(pk=None)
    except SegmentError:
        # A field it asks about is gone; the segment's own page says which.
        return Q(pk=None)
