"""A case's ladder as rungs: taken, put off, passed over, or still ahead, each with its moment and reason."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from campaigns.admin.columns import DECISION
from campaigns.admin.sentences import sentence
from campaigns.models import Case, Decision, Step, StepRun
from campaigns.models.case import LIVE_STATES
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


def rungs(case: Case, now: datetime) -> list[Rung]:
    """Every step of the case's ladder version, in order, as it stands at `now` (aware UTC)."""
    steps = Step.objects.filter(version_id=case.ladder_version_id).select_related("template").order_by("position")
    runs = {run.step_id: run for run in case.step_runs.filter(round=case.round)}
    to_come = case.state in LIVE_STATES
    shown: list[Rung] = []
    for step in steps:
        run = runs.get(step.pk)
        if run is not None and run.decision != Decision.DEFERRED:
            shown.append(_decided(step, run))
        elif to_come and step.position > case.position:
            to_come = False
            shown.append(_next(case, step, run))
        else:
            shown.append(Rung(step, sentence(step)))
    return shown


def _decided(step: Step, run: StepRun) -> Rung:
    style = "sol-rung-done" if run.decision == Decision.DONE else ""
    mark = choice_badge(run, "decision", DECISION)
    return Rung(step, sentence(step), style, mark, run.decided_at, run.reason, run.rule)


def _next(case: Case, step: Step, run: StepRun | None) -> Rung:
    mark = choice_badge(run, "decision", DECISION) if run is not None else badge(_("next"), "primary")
    reason = case.next_action_reason or case.rest_reason or (run.reason if run else "")
    return Rung(step, sentence(step), "sol-rung-next", mark, case.next_action_at, reason, run.rule if run else "")
