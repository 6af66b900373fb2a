"""Taking many promises back, and letting them stand again."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from campaigns.services.promise_back import promises_cancel, promises_ended, promises_lying, promises_reopen
from customers.bulk import BulkAct, Did, Params, Row, act_register

MODEL = "billing.Promise"
PERMISSION = "billing.change_promise"


def _check(rows: Sequence[Row], params: Params, now: datetime) -> Mapping[int, str]:
    return promises_ended([row.id for row in rows])


def _cancel(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
    return promises_cancel(
        promise_ids=[row.id for row in rows], reason=str(params["reason"]), actor_id=actor_id, now=now
    )


def _taken(rows: Sequence[Row]) -> dict[int, datetime]:
    return {row.id: datetime.fromisoformat(row.before["closed_at"]) for row in rows}


def _check_back(rows: Sequence[Row], params: Params, now: datetime) -> Mapping[int, str]:
    return promises_lying(_taken(rows), now)


def _reopen(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
    return promises_reopen(taken=_taken(rows), actor_id=actor_id, now=now)


act_register(
    BulkAct("promises.cancel", _("Take promises back"), PERMISSION, MODEL, _check, _cancel, undo="promises.reopen")
)
act_register(BulkAct("promises.reopen", _("Let the promises stand again"), PERMISSION, MODEL, _check_back, _reopen))
