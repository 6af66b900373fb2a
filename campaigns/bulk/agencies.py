"""Handing many cases to an agency, and recalling them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from campaigns.agencies.services import cases_hand_over, cases_recall, hand_over_refusals, recall_refusals
from customers.bulk import BulkAct, Did, Params, Row, act_register

MODEL = "campaigns.Case"


def _hand_over(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
    return cases_hand_over(
        case_ids=[row.id for row in rows],
        agency_id=params["agency"],
        reason=params.get("reason", ""),
        actor_id=actor_id,
        now=now,
    )


def _recall(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
    ids = [row.id for row in rows]
    return cases_recall(case_ids=ids, reason=params.get("reason", ""), actor_id=actor_id, now=now)


act_register(
    BulkAct(
        slug="cases.hand_over",
        label=_("Hand to an agency"),
        permission="campaigns.add_handover",
        model=MODEL,
        check=lambda rows, params, now: hand_over_refusals(case_ids=[row.id for row in rows]),
        act=_hand_over,
        undo="cases.recall",
    )
)
act_register(
    BulkAct(
        slug="cases.recall",
        label=_("Recall from the agency"),
        permission="campaigns.change_handover",
        model=MODEL,
        check=lambda rows, params, now: recall_refusals(case_ids=[row.id for row in rows]),
        act=_recall,
        no_undo=_("Hand them over again instead."),
    )
)
