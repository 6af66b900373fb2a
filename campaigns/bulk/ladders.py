"""Moving many cases to another version of their ladder, and back."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from campaigns.models import Case
from campaigns.services.case_moves import cases_migrate, cases_refusals
from customers.bulk import BulkAct, Did, Params, Row, act_register

MODEL = "campaigns.Case"
PERMISSION = "campaigns.change_ladderversion"


def _check(rows: Sequence[Row], params: Params, now: datetime) -> Mapping[int, str]:
    return cases_refusals(case_ids=[row.id for row in rows], version_id=params["version"])


def _move(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
    ids = [row.id for row in rows]
    before = dict(Case.objects.filter(pk__in=ids).values_list("pk", "ladder_version_id"))
    result = cases_migrate(
        case_ids=ids, version_id=params["version"], actor_id=actor_id, now=now, reason=params.get("reason", "")
    )
    return {
        pk: Did.not_done(result.refused[pk]) if pk in result.refused else Did(before={"version": version})
        for pk, version in before.items()
    }


def _by_version(rows: Sequence[Row]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(row.before["version"], []).append(row.id)
    return found


def _check_back(rows: Sequence[Row], params: Params, now: datetime) -> Mapping[int, str]:
    why: dict[int, str] = {}
    for version_id, ids in _by_version(rows).items():
        why |= cases_refusals(case_ids=ids, version_id=version_id, still_on=params["version"])
    return why


def _move_back(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
    did: dict[int, Did] = {}
    for version_id, ids in _by_version(rows).items():
        refused = cases_refusals(case_ids=ids, version_id=version_id, still_on=params["version"])
        did |= {pk: Did.not_done(why) for pk, why in refused.items()}
        left = [pk for pk in ids if pk not in refused]
        result = cases_migrate(case_ids=left, version_id=version_id, actor_id=actor_id, now=now)
        did |= {pk: Did.not_done(result.refused[pk]) if pk in result.refused else Did() for pk in left}
    return did


act_register(
    BulkAct("cases.move", _("Move cases here"), PERMISSION, MODEL, check=_check, act=_move, undo="cases.move_back")
)
act_register(
    BulkAct("cases.move_back", _("Move back to their former version"), PERMISSION, MODEL, _check_back, _move_back)
)
