"""Acts on many cases: pause, resume, assign, and each taken back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from campaigns.services.case_acts import (
    CaseAct,
    assign_act,
    assign_back_act,
    cases_check,
    cases_do,
    pause_act,
    pause_again_act,
    resume_act,
)
from customers.bulk import BulkAct, Did, Params, Row, act_register

MODEL = "campaigns.Case"
PERMISSION = "campaigns.change_case"

#: Makes the act for a chunk from its rows, the form's params and the moment.
Maker = Callable[[Sequence[Row], Params, datetime], CaseAct]


def moment(text: Any) -> datetime | None:
    """A moment as params hold it; None for none."""
    return parse_datetime(text) if isinstance(text, str) else text


def _register(slug: str, label: Any, make: Maker, undo: str = "") -> None:
    def check(rows: Sequence[Row], params: Params, now: datetime) -> Mapping[int, str]:
        ids = [row.id for row in rows]
        gone = dict.fromkeys(ids, _now("It is not there any more."))
        why = cases_check(case_ids=ids, act=make(rows, params, now))
        return {pk: words for pk, words in (gone | why).items() if words}

    def act(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
        return cases_do(case_ids=[row.id for row in rows], act=make(rows, params, now), actor_id=actor_id, now=now)

    act_register(BulkAct(slug=slug, label=label, permission=PERMISSION, model=MODEL, check=check, act=act, undo=undo))


def _pause(rows: Sequence[Row], params: Params, now: datetime) -> CaseAct:
    return pause_act(until=moment(params.get("until")), reason=params.get("reason", ""), now=now)


def _unpause(rows: Sequence[Row], params: Params, now: datetime) -> CaseAct:
    return resume_act(only_reason=params.get("reason", "").strip()[:255])


def _repause(rows: Sequence[Row], params: Params, now: datetime) -> CaseAct:
    return pause_again_act({row.id: (moment(row.before["until"]), row.before["reason"]) for row in rows})


def _assign(rows: Sequence[Row], params: Params, now: datetime) -> CaseAct:
    # Whom they go to is not known when they are counted: what lives is.
    return assign_act(owner_id=params.get("owner"), whoever="owner" not in params)


def _assign_back(rows: Sequence[Row], params: Params, now: datetime) -> CaseAct:
    return assign_back_act(owners={row.id: row.before["owner"] for row in rows}, owner_id=params.get("owner"))


_register("cases.pause", _("Pause cases"), _pause, undo="cases.unpause")
_register("cases.unpause", _("Resume what was paused"), _unpause)
_register("cases.resume", _("Resume cases"), lambda rows, params, now: resume_act(), undo="cases.repause")
_register("cases.repause", _("Pause again what was resumed"), _repause)
_register("cases.assign", _("Assign cases"), _assign, undo="cases.assign_back")
_register("cases.assign_back", _("Give back to who had them"), _assign_back)
