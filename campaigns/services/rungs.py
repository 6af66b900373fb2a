"""Edits of a draft's rungs, one at a time: save, move, duplicate, switch off, delete; a published version refuses."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from campaigns.models import LadderVersion, OffsetUnit, Step, StepAnchor, VersionStatus
from campaigns.services.versions import VERSION_FIELDS
from customers.errors import SollecitoError
from customers.meanwhile import refuse_changed

#: More rungs than this no customer would live through; a script that adds them in a loop ends here.
MOST_RUNGS = 60
#: What the form of a rung fills in: not its place nor whether it is on, which others may change at the same time.
STEP_FIELDS = (
    "name", "offset", "offset_unit", "anchor", "window_days", "window_from", "window_to", "business_days", "action",
    "channel", "template_id", "fallback_channels", "params", "wait_for_retry_hours", "condition",
)  # fmt: skip


def draft_locked(version_id: int) -> LadderVersion:
    """The draft, locked for this transaction, so that two people's edits follow one another.

    Raises SollecitoError if there is no such version or it is published: that one never changes.
    """
    version = LadderVersion.objects.select_for_update().filter(pk=version_id).first()
    if version is None:
        raise SollecitoError(_("There is no such version."), code="version_missing")
    if version.status != VersionStatus.DRAFT:
        raise SollecitoError(
            _("Version %(number)d is published and never changes; edit a draft.") % {"number": version.number},
            code="version_not_draft",
        )
    return version


@transaction.atomic
def draft_settings(*, version: LadderVersion, seen: str = "") -> None:
    """Saves what holds for all of a draft's steps (VERSION_FIELDS) as filled in, unless it is no longer what was
    `seen` (a meanwhile.mark). Raises SollecitoError, Changed."""
    refuse_changed(draft_locked(version.pk), VERSION_FIELDS, seen)
    version.save(update_fields=VERSION_FIELDS)


@transaction.atomic
def rung_save(*, step: Step, seen: str = "") -> Step:
    """Saves a rung of a draft as it is filled in; a new one gets a key of its own and goes where its time puts it.

    Raises Changed if it is no longer what was `seen` (a meanwhile.mark), and SollecitoError if its version is not a
    draft, is full, or the rung was deleted meanwhile.
    """
    draft_locked(step.version_id)
    there = _ordered(step.version_id)
    if step.pk is None:
        if len(there) >= MOST_RUNGS:
            raise SollecitoError(
                _("A ladder has at most %(most)d steps.") % {"most": MOST_RUNGS}, code="ladder_too_long"
            )
        step.key = step.key or free_key(step.name, {row.key for row in there})
        step.position = len(there) + 1
        step.save()
        there.insert(_place(step, there), step)
        _number(there)
        return step
    kept = next((row for row in there if row.pk == step.pk), None)
    if kept is None:
        raise SollecitoError(_("This step was deleted meanwhile."), code="step_missing")
    refuse_changed(kept, STEP_FIELDS, seen)
    step.position, step.key, step.enabled = kept.position, kept.key, kept.enabled
    step.save()
    return step


@transaction.atomic
def rung_move(*, step_id: int, to: int) -> Step:
    """Puts a rung at place `to`, counted from 1; a place beyond an end is that end. Raises SollecitoError."""
    step = _editable(step_id)
    rows = _ordered(step.version_id)
    rows = [row for row in rows if row.pk != step.pk]
    before = step.position
    rows.insert(min(max(to, 1), len(rows) + 1) - 1, step)
    _number(rows)
    if step.position != before:
        step.save(update_fields=["position"])
    return step


@transaction.atomic
def rung_duplicate(*, step_id: int) -> Step:
    """A copy of a rung right below it, with a key of its own. Raises SollecitoError."""
    step = _editable(step_id)
    rows = _ordered(step.version_id)
    if len(rows) >= MOST_RUNGS:
        raise SollecitoError(_("A ladder has at most %(most)d steps.") % {"most": MOST_RUNGS}, code="ladder_too_long")
    place = next(index for index, row in enumerate(rows) if row.pk == step.pk)
    twin = Step.objects.get(pk=step.pk)
    twin.pk, twin._state.adding = None, True
    twin.key = free_key(step.key, {row.key for row in rows})
    twin.name = _("%(name)s (copy)") % {"name": step.name[:110]}
    twin.position = len(rows) + 1
    twin.save()
    rows.insert(place + 1, twin)
    _number(rows)
    return twin


@transaction.atomic
def rung_enable(*, step_id: int, enabled: bool) -> None:
    """Switches a rung on or off; one switched off stays where it is and is passed over. Raises SollecitoError."""
    step = _editable(step_id)
    step.enabled = enabled
    step.save(update_fields=["enabled"])


@transaction.atomic
def rung_delete(*, step_id: int) -> str:
    """Takes a rung away and closes the gap; its name is returned. Raises SollecitoError."""
    step = _editable(step_id)
    version_id, name = step.version_id, step.name
    step.delete()
    _number(_ordered(version_id))
    return name


def free_key(wanted: str, taken: set[str]) -> str:
    """A step key like `wanted` that none of `taken` is."""
    base = slugify(wanted).replace("-", "_")[:50] or "step"
    key, number = base, 2
    while key in taken:
        key, number = f"{base}_{number}", number + 1
    return key


def _place(step: Step, rows: Sequence[Step]) -> int:
    """The index before the first step that falls due later; the end for what is not counted from the beginning."""
    if step.anchor != StepAnchor.CASE:
        return len(rows)
    for index, row in enumerate(rows):
        if row.anchor == StepAnchor.CASE and _hours(row) > _hours(step):
            return index
    return len(rows)


def _hours(step: Step) -> int:
    return step.offset * (24 if step.offset_unit == OffsetUnit.DAYS else 1)


def _editable(step_id: int) -> Step:
    version_id = Step.objects.filter(pk=step_id).values_list("version_id", flat=True).first()
    if version_id is None:
        raise SollecitoError(_("This step was deleted meanwhile."), code="step_missing")
    draft_locked(version_id)
    step = Step.objects.filter(pk=step_id).first()
    if step is None:
        raise SollecitoError(_("This step was deleted meanwhile."), code="step_missing")
    return step


def _ordered(version_id: int) -> list[Step]:
    return list(Step.objects.filter(version_id=version_id).order_by("position", "pk"))


def _number(rows: Sequence[Step]) -> None:
    # Several updates may hold a position twice between them: the constraint is checked at commit. Steps that only
    # make room write no history: nobody moved them.
    for place, row in enumerate(rows, start=1):
        if row.position != place:
            row.position = place
            Step.objects.filter(pk=row.pk).update(position=place)
