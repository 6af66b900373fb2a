"""Acts on many cases or customers, from a list or for a whole segment; each asks first and calls one service."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from campaigns.admin.case_actions import OwnerForm, PauseForm, ReasonForm
from campaigns.admin.cases import CaseAdmin
from campaigns.admin.segments import SegmentAdmin, members
from campaigns.models import Case, Segment
from campaigns.models.case import LIVE_STATES
from campaigns.segments.evaluate import among
from campaigns.segments.language import SegmentError
from campaigns.services.case_acts import assign_act, cases_do, cases_plan, pause_act, resume_act
from customers import clock
from customers.admin.bulk import MOST, BulkAction, bulk_page_action
from customers.admin.customer import CustomerAdmin
from customers.exclusions import no_dunning_plan, no_dunning_set

PAUSE = BulkAction(
    slug="pause_cases",
    label=_("Pause cases"),
    icon="pause",
    permission="campaigns.change_case",
    question=_(
        "Nothing is sent while a case rests; what is in the outbox is stopped too. Only open cases are paused."
    ),
    form=PauseForm,
    plan=lambda ids: cases_plan(case_ids=ids, act=pause_act(until=None, reason="", now=clock.now())),
    run=lambda ids, data, actor_id, now: cases_do(
        case_ids=ids, act=pause_act(until=data["until"], reason=data["reason"], now=now), actor_id=actor_id, now=now
    ),
)
RESUME = BulkAction(
    slug="resume_cases",
    label=_("Resume cases"),
    icon="play_arrow",
    permission="campaigns.change_case",
    question=_("Paused cases go on with the step they stood before. Those at rest for another reason are left alone."),
    plan=lambda ids: cases_plan(case_ids=ids, act=resume_act()),
    run=lambda ids, data, actor_id, now: cases_do(case_ids=ids, act=resume_act(), actor_id=actor_id, now=now),
)
ASSIGN = BulkAction(
    slug="assign_cases",
    label=_("Assign cases"),
    icon="person_add",
    permission="campaigns.change_case",
    question=_("Live cases get this owner; empty: nobody. Those who have it already are left alone."),
    form=OwnerForm,
    # Whom they go to is not known yet: counted is what lives.
    plan=lambda ids: cases_plan(case_ids=ids, act=assign_act(owner_id=None, whoever=True)),
    run=lambda ids, data, actor_id, now: cases_do(
        case_ids=ids, act=assign_act(owner_id=data["owner"] and data["owner"].pk), actor_id=actor_id, now=now
    ),
)
NO_DUNNING = BulkAction(
    slug="no_dunning",
    label=_("Exclude from dunning"),
    icon="block",
    permission="customers.change_customer",
    question=_(
        "Nobody writes to them for money or charges them by itself, until the exclusion is lifted on their page."
    ),
    form=ReasonForm,
    danger=True,
    plan=lambda ids: no_dunning_plan(customer_ids=ids),
    run=lambda ids, data, actor_id, now: no_dunning_set(
        customer_ids=ids, reason=data["reason"], actor_id=actor_id, now=now
    ),
)


def _customers(request: HttpRequest, segment: Segment, now: datetime) -> list[int]:
    try:
        return sorted(members(request, segment))[: MOST + 1]
    except SegmentError:
        return []


def _cases(request: HttpRequest, segment: Segment, now: datetime) -> list[int]:
    try:
        ids = members(request, segment)
    except SegmentError:
        return []
    live: Any = Case.objects.filter(among(ids, path="customer"), state__in=LIVE_STATES)
    return list(live.order_by("pk").values_list("pk", flat=True)[: MOST + 1])


CaseAdmin.bulk_actions = (ASSIGN, PAUSE, RESUME)
CustomerAdmin.bulk_actions = (NO_DUNNING,)
for place, (action, ids) in enumerate(
    ((ASSIGN, _cases), (PAUSE, _cases), (RESUME, _cases), (NO_DUNNING, _customers)), start=1
):
    SegmentAdmin.add_action(bulk_page_action(action, ids, 10 * place))
