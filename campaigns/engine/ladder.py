"""Moments of the rungs: when each step of a ladder falls due for a case, and where a case stands on it."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from campaigns.engine.calendar import add_days, at_local, in_words, month_end, next_open
from campaigns.engine.types import CaseSnapshot, LadderSpec, StepSpec
from campaigns.engine.words import phrase as _
from campaigns.models.ladder import PRE_DUNNING, OffsetUnit, StepAnchor
from customers.errors import SollecitoError

_CASE = StepAnchor.CASE.value
_HOURS = OffsetUnit.HOURS.value
_PREVIOUS = StepAnchor.PREVIOUS.value
_MONTH_END = StepAnchor.MONTH_END.value


def after(step: StepSpec, base: datetime, tz: ZoneInfo) -> datetime:
    """When the step is due, counted from `base`: hours are hours, days keep the local time of day. A negative
    offset is before it; `month_end` counts from the last day of the local month `base` falls in.

    Days before a day that is coming are whole local dates: an invoice is due at the last second of its day, and the
    window of the day before would have closed by that hour.
    """
    if step.anchor == _MONTH_END:
        base = month_end(base, tz)
    if step.offset_unit == _HOURS:
        return base + timedelta(hours=step.offset)
    if step.offset < 0 and step.anchor == _CASE:
        return at_local(base.astimezone(tz).date() + timedelta(days=step.offset), time(0), tz)
    return add_days(base, step.offset, tz) if step.offset else base


def opening(step: StepSpec, moment: datetime, tz: ZoneInfo, country: str) -> datetime:
    """The first moment not before `moment` inside the step's window."""
    return next_open(
        moment,
        weekdays=step.window_days,
        opens=step.window_from,
        closes=step.window_to,
        business_days=step.business_days,
        tz=tz,
        country=country,
    )


def check_steps(steps: Sequence[StepSpec], *, trigger: str = "") -> None:
    """Refuses rungs that could not be climbed: out of order, before the beginning (with PRE_DUNNING triggers: after
    the day), or with a window that never opens.

    Raises SollecitoError naming the step. Days count as 24 hours here: clock changes reorder nothing a person
    would write. Steps counted from the end of the month are compared among themselves.
    """
    latest: dict[str, int] = {}
    ahead = trigger in PRE_DUNNING
    for step in steps:
        if ahead and (step.anchor != _CASE or step.offset > 0):
            raise SollecitoError(
                _("Step “%(step)s”: here steps count back from the day that is coming; write 0 or less.")
                % {"step": step.name},
                code="step_after_the_day",
            )
        if not ahead and step.offset < 0 and step.anchor != _MONTH_END:
            raise SollecitoError(
                _("Step “%(step)s” would fall due before there is anything to ask for.") % {"step": step.name},
                code="step_before_the_day",
            )
        if any(not 1 <= day <= 7 for day in step.window_days):
            raise SollecitoError(
                _("Step “%(step)s”: weekdays are numbers from 1 to 7.") % {"step": step.name}, code="step_window"
            )
        if step.window_from is not None and step.window_to is not None and step.window_from >= step.window_to:
            raise SollecitoError(
                _("Step “%(step)s”: its window ends before it opens.") % {"step": step.name}, code="step_window"
            )
        if step.anchor != _PREVIOUS:
            hours = step.offset if step.offset_unit == _HOURS else step.offset * 24
            if hours < latest.get(step.anchor, hours):
                raise SollecitoError(
                    _("Step “%(step)s” falls due before the one above it.") % {"step": step.name},
                    code="step_order",
                )
            latest[step.anchor] = hours


def top(ladder: LadderSpec) -> int:
    """Position of the last step; 0 for a ladder without any."""
    return ladder.steps[-1].position if ladder.steps else 0


def _moment(steps: Sequence[StepSpec], place: int, base: datetime, tz: ZoneInfo) -> datetime:
    """When the step at `place` is due, counted from `base`. Where the end of the month has a say, be it steps above,
    never before the step above it: in a short month it would overtake."""
    step = steps[place]
    moment = after(step, base, tz)
    if place and step.anchor != _PREVIOUS and steps[place - 1].anchor != _PREVIOUS:
        for other in steps[: place + 1]:
            if other.anchor == _MONTH_END:
                return max(moment, _moment(steps, place - 1, base, tz))
    return moment


def due(case: CaseSnapshot, now: datetime, tz: ZoneInfo) -> list[tuple[StepSpec, datetime]]:
    """The steps still to be taken whose moment has come, in order, with that moment. One that counts from a
    step not yet taken is not due."""
    found: list[tuple[StepSpec, datetime]] = []
    previous: StepSpec | None = None
    steps = case.ladder.steps
    for place, step in enumerate(steps):
        if step.position > case.position:
            base: datetime | None = case.anchor_at
            if step.anchor == _PREVIOUS and previous is not None:
                base = None if previous.position > case.position else _taken_at(case, previous)
            # Zones differ by a day and clocks change by hours: far steps need no calendar.
            near = base is not None and (step.offset_unit == _HOURS or base + timedelta(days=step.offset - 2) <= now)
            if base is not None and near:
                moment = _moment(steps, place, base, tz)
                if moment <= now:
                    found.append((step, moment))
        previous = step
    return found


def _taken_at(case: CaseSnapshot, step: StepSpec) -> datetime:
    run = case.runs.get(step.id)
    return run.decided_at if run is not None else case.last_decided_at or case.anchor_at


def next_moment(case: CaseSnapshot, position: int, settled_at: datetime | None, tz: ZoneInfo) -> tuple[datetime, str]:
    """When a case standing at `position` acts next and why then: its next step's window, or the ladder's end.

    `settled_at` is the moment the step at `position` is being settled, None if that was earlier. A step that
    is due already is due at once (never before `settled_at`, so that a queue read by key comes to it).
    """
    previous: StepSpec | None = None
    steps = case.ladder.steps
    for place, step in enumerate(steps):
        if step.position > position:
            if step.anchor == _PREVIOUS and previous is not None:
                base = settled_at or _taken_at(case, previous)
            else:
                base = case.anchor_at
            due = _moment(steps, place, base, tz)
            moment = opening(step, due if settled_at is None else max(due, settled_at), tz, case.country)
            return moment, _("“%(step)s”: %(when)s") % {"step": step.name, "when": in_words(moment, tz)}
        previous = step
    if case.ahead:
        return case.anchor_at, _("The day itself: %(when)s") % {"when": in_words(case.anchor_at, tz)}
    base = settled_at or (_taken_at(case, previous) if previous is not None else case.anchor_at)
    moment = base + timedelta(hours=case.ladder.end_after_hours)
    return moment, _("The ladder ends: %(when)s") % {"when": in_words(moment, tz)}


def _planned(ladder: LadderSpec, anchor: datetime, tz: ZoneInfo) -> list[tuple[StepSpec, datetime]]:
    """Every step with the moment it would be taken at had all gone to plan."""
    found: list[tuple[StepSpec, datetime]] = []
    due = anchor
    for place, step in enumerate(ladder.steps):
        due = _moment(ladder.steps, place, due if step.anchor == _PREVIOUS else anchor, tz)
        found.append((step, due))
    return found


def earned(ladder: LadderSpec, anchor: datetime, now: datetime, tz: ZoneInfo) -> int:
    """Position of the last step a debt that began at `anchor` would have taken by `now` had all gone to plan."""
    position = 0
    for step, due in _planned(ladder, anchor, tz):
        if due > now:
            break
        position = step.position
    return position


def begins(ladder: LadderSpec, anchor: datetime, tz: ZoneInfo) -> datetime:
    """When the first step towards a day that is coming falls due; the day itself for a ladder without steps."""
    return min((after(step, anchor, tz) for step in ladder.steps), default=anchor)


def without_jump(ladder: LadderSpec, anchor: datetime, position: int, now: datetime, tz: ZoneInfo) -> datetime:
    """The anchor moved so that a case standing at `position` goes on with its very next step.

    Used where a case did not climb for a reason that is not the machinery's: debts found late start with the
    first rung, and a case that rested continues. Never moves the anchor back.
    """
    late = _overtaken(ladder, anchor, position, now, tz)
    if late is None:
        return anchor
    # By as much as the next step is late. Counted from a month's end it does not move with the anchor: then from
    # this month's, or, where that day has passed too, from the next one's.
    for moved in (anchor + late, now, add_days(month_end(now, tz), 1, tz)):
        if moved > anchor and _overtaken(ladder, moved, position, now, tz) is None:
            return moved
    return anchor + late


def _overtaken(ladder: LadderSpec, anchor: datetime, position: int, now: datetime, tz: ZoneInfo) -> timedelta | None:
    """How late the next step is, if one further up is due as well by the anchor alone; None if none is."""
    ahead = [(step, due) for step, due in _planned(ladder, anchor, tz) if step.position > position]
    if not ahead or ahead[0][1] >= now:
        return None
    if not any(due <= now for step, due in ahead[1:] if step.anchor != _PREVIOUS):
        return None
    return now - ahead[0][1]
