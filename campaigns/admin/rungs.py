"""A case's ladder as rungs: taken, put off, passed over, or still ahead, each with its moment and reason."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from campaigns.admin.columns import DECISION
from campaigns.admin.sentences import sentence
from campaigns.admin.standing import standing
from campaigns.models import Case, CaseState, Decision, EndAction, Step, StepRun
from campaigns.models.case import LIVE_STATES
from campaigns.simulator.forecast import PASSED_OVER, ForecastStep, forecasts
from customers.display import badge, choice_badge


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the case's ladder and where the case stands with it. Moments are aware UTC."""

    step: Step
    sentence: str
    style: str = ""
    badge: str = ""
    at: datetime | None = None
    reason: str = ""
    rule: str = ""


def rungs(case: Case, now: datetime) -> tuple[list[Rung], ForecastStep | None]:
    """Every step of the case's ladder version, in order, as it stands at `now` (aware UTC), and its end if foreseen.

    What is ahead is what the simulator plays: what would happen if nothing else did, with its reasons.
    """
    steps = Step.objects.filter(version_id=case.ladder_version_id).select_related("template").order_by("position")
    runs = {run.step_id: run for run in case.step_runs.filter(round=case.round)}
    ahead = _ahead(case, now)
    is_next = True
    shown: list[Rung] = []
    for step in steps:
        run = runs.get(step.pk)
        if run is not None and run.decision != Decision.DEFERRED:
            shown.append(_decided(step, run))
        elif step.position > case.position and case.state in LIVE_STATES:
            entry = ahead.get(step.key)
            passed_over = entry is not None and entry.kind in PASSED_OVER
            shown.append(_coming(case, step, run, entry, is_next=is_next and not passed_over))
            is_next = is_next and passed_over
        else:
            shown.append(Rung(step, sentence(step)))
    return shown, ahead.get("")


def ladder_shown(case: Case, now: datetime, zone: str) -> dict[str, Any]:
    """What admin/campaigns/rungs.html shows of a case at `now` (aware UTC): its steps, their end, and whether the
    ladder rests. `zone` is the customer's (IANA)."""
    steps, end = rungs(case, now)
    return {
        "rungs": steps,
        "ladder_end": end,
        "end_actions": [EndAction(code).label for code in case.ladder_version.end_actions],
        "resting": case if case.state in LIVE_STATES and case.state != CaseState.OPEN else None,
        "zone": zone,
    }


def _ahead(case: Case, now: datetime) -> dict[str, ForecastStep]:
    """The forecast by step key; the last word on a step is the one that counts."""
    if case.state not in LIVE_STATES:
        return {}
    loaded = standing(case, now)
    told = forecasts([loaded], now).get(case.pk, ()) if loaded is not None else ()
    return {entry.step: entry for entry in told}


def _decided(step: Step, run: StepRun) -> Rung:
    style = "sol-rung-done" if run.decision == Decision.DONE else ""
    mark = choice_badge(run, "decision", DECISION)
    return Rung(step, sentence(step), style, mark, run.decided_at, run.reason, run.rule)


def _coming(case: Case, step: Step, run: StepRun | None, entry: ForecastStep | None, *, is_next: bool) -> Rung:
    mark = ""
    if run is not None:
        mark = choice_badge(run, "decision", DECISION)
    elif is_next:
        mark = badge(_("next"), "primary")
    elif entry is not None:
        mark = badge(_("will be passed over") if entry.kind in PASSED_OVER else _("forecast"))
    at = entry.at if entry is not None else (case.next_action_at if is_next else None)
    reason = entry.reason if entry is not None else ""
    if not reason and is_next:
        reason = case.rest_reason or (run.reason if run else "") or case.next_action_reason
    return Rung(step, sentence(step), "sol-rung-next" if is_next else "", mark, at, reason, run.rule if run else "")
