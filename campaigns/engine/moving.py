"""Where a case stands once it follows another ladder version; never on a step it has taken already. Pure."""

from datetime import datetime

from campaigns.engine import ladder as rungs
from campaigns.engine.types import CaseSnapshot, LadderSpec, RunFact
from campaigns.guard.zones import zone


def same_steps(old: LadderSpec, new: LadderSpec) -> dict[int, int]:
    """Ids of the old version's steps with those of the new version's steps of the same key."""
    by_key = {step.key: step.id for step in new.steps}
    return {step.id: by_key[step.key] for step in old.steps if step.key in by_key}


def moved(case: CaseSnapshot, target: LadderSpec, now: datetime) -> CaseSnapshot:
    """The case on `target`, as it goes on at `now` (aware UTC).

    Steps are the same if their keys are. It stands behind the last one it has taken; where no key is shared, behind
    the last that would have fallen due by its newest decision. What it has not been told of it is told one by one:
    the anchor moves so that it goes on with its very next step. Runs keep what was taken, under the new steps' ids.
    """
    same = same_steps(case.ladder, target)
    runs: dict[int, RunFact] = {
        same[step_id]: run._replace(step_id=same[step_id]) for step_id, run in case.runs.items() if step_id in same
    }
    taken = {step.key for step in case.ladder.steps if step.position <= case.position}
    shared = [step.position for step in target.steps if step.key in taken]
    tz = zone(case.zone)
    if shared:
        position = max(shared)
    elif case.position and case.last_decided_at is not None:
        position = rungs.earned(target, case.anchor_at, case.last_decided_at, tz)
    else:
        position = 0
    anchor = case.anchor_at
    if not case.ahead:
        anchor = rungs.without_jump(target, anchor, position, now, tz)
    return case._replace(
        ladder=target,
        position=position,
        anchor_at=anchor,
        runs=runs,
        guard=case.guard._replace(min_gap_hours=target.min_gap_hours),
    )
