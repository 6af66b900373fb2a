"""What the pages of ladders and of their versions share: small questions asked of both."""

from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _now

from campaigns.admin.ladder_editor import SECTION
from campaigns.models import Case, Ladder, LadderVersion, Step
from campaigns.models.case import LIVE_STATES
from customers.admin.base import COUNT_LIMIT


def to_draft(version: LadderVersion) -> HttpResponseRedirect:
    """To the page where the version's steps are edited."""
    url = reverse("admin:campaigns_ladderversion_change", args=[version.pk])
    return HttpResponseRedirect(f"{url}?section={SECTION}")


def steps_of(version: LadderVersion | None) -> list[Step]:
    """A version's steps in order with their templates; none for no version. One query."""
    return list(version.steps.select_related("template").order_by("position")) if version is not None else []


def live_cases(ladder_id: int) -> str:
    """How many live cases follow a version of the ladder, counted up to COUNT_LIMIT."""
    rows = Case.objects.filter(ladder_version__ladder_id=ladder_id, state__in=LIVE_STATES)
    count = rows.order_by().values("pk")[: COUNT_LIMIT + 1].count()
    return f"{COUNT_LIMIT}+" if count > COUNT_LIMIT else str(count)


def audience(ladder: Ladder) -> str:
    """Whom a ladder is for, in a few words: "Big ones, Acme"."""
    who = str(ladder.segment) if ladder.segment else _now("everybody")
    return f"{who}, {ladder.brand}" if ladder.brand else who
