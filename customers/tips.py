"""Owns the tips for new staff: one at a time on the first page, until each person has put them away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from customers.errors import SollecitoError
from customers.models import TipDismissed


@dataclass(frozen=True, slots=True)
class Tip:
    """One tip, and the page it is about."""

    code: str
    title: Any
    text: Any
    #: Name of the admin page it is about, and what to find there.
    page: str
    query: str = ""


TIPS: Sequence[Tip] = (
    Tip(
        "worklist",
        _("Begin with the worklist"),
        _("It puts those first whom your call helps most, and says why, and when they may be called."),
        "campaigns_workitem_changelist",
    ),
    Tip(
        "practice",
        _("Make your first call on the practice case"),
        _("In the demo a customer with the tag “practice” has nobody at the other end: log a call, take a promise."),
        "customers_customer_changelist",
        "?q=practice",
    ),
    Tip(
        "brief",
        _("Read the brief beside the call"),
        _("Who they are, why it failed, what was tried, what you may offer: beside the form, with the script."),
        "campaigns_playbook_changelist",
    ),
    Tip(
        "promise",
        _("A promise rests the ladder"),
        _("Until the promised day and its grace nobody writes and nothing is charged. Broken, it is back on top."),
        "billing_promise_changelist",
    ),
    Tip(
        "bulk",
        _("Many at once"),
        _("Tick rows and choose an act. It is counted first, done in the background, and can mostly be taken back."),
        "customers_bulkjob_changelist",
    ),
)
#: Puts all of them away.
ALL = "all"


def next_tip(user: Any) -> Tip | None:
    """The first tip this person has not put away; None when there is none. One query."""
    away = set(TipDismissed.objects.filter(user=user.pk).values_list("tip", flat=True))
    return next((tip for tip in TIPS if tip.code not in away), None)


def tip_dismiss(*, user_id: int, tip: str, now: datetime) -> None:
    """Puts a tip away, or `all` of them; again changes nothing. Raises SollecitoError for one there is not."""
    codes = [one.code for one in TIPS] if tip == ALL else [tip]
    if not {one.code for one in TIPS}.issuperset(codes):
        raise SollecitoError("There is no such tip.", code="tip_unknown")
    TipDismissed.objects.bulk_create(
        [TipDismissed(user_id=user_id, tip=code, at=now) for code in codes], ignore_conflicts=True
    )
