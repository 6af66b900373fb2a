"""What differs between two versions of a ladder, in the sentences people know their steps by."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from django.utils.translation import gettext as _

from campaigns.admin.sentences import end_sentence, frame_sentences, sentence
from campaigns.models import LadderVersion, Step

ADDED, REMOVED, CHANGED, MOVED, SAME = "added", "removed", "changed", "moved", "same"


@dataclass(frozen=True, slots=True)
class Change:
    """One step as it was and as it is; empty words where it is in one version only."""

    kind: str
    name: str
    before: str
    after: str
    #: Its place in either version, counted from 1; None where it is not.
    place_before: int | None = None
    place_after: int | None = None


@dataclass(frozen=True, slots=True)
class LadderDiff:
    """Every step of both versions in the newer one's order, and what holds for all of them where it differs."""

    steps: tuple[Change, ...]
    frame: tuple[tuple[str, str], ...]

    @property
    def is_empty(self) -> bool:
        """True if both versions say the same."""
        return not self.frame and all(change.kind == SAME for change in self.steps)

    def counts(self) -> dict[str, int]:
        """Steps by kind of change."""
        found = dict.fromkeys((ADDED, REMOVED, CHANGED, MOVED), 0)
        for change in self.steps:
            if change.kind != SAME:
                found[change.kind] += 1
        return found


def compare(
    before: LadderVersion | None, old: Sequence[Step], after: LadderVersion, new: Sequence[Step]
) -> LadderDiff:
    """From `before` with its steps `old` (none: everything is new) to `after` with `new`; templates are loaded."""
    was, now = {step.key: step for step in old}, {step.key: step for step in new}
    kept = [step.key for step in old if step.key in now], [step.key for step in new if step.key in was]
    in_place: set[str] = set()
    for block in SequenceMatcher(a=kept[0], b=kept[1], autojunk=False).get_matching_blocks():
        in_place.update(kept[0][block.a : block.a + block.size])
    changes: list[Change] = []
    gone = [step for step in old if step.key not in now]
    for step in new:
        # What was removed is shown where it stood.
        while gone and step.key in was and gone[0].position < was[step.key].position:
            changes.append(_removed(gone.pop(0)))
        changes.append(_change(was.get(step.key), step, moved=step.key not in in_place))
    changes += [_removed(step) for step in gone]
    frame: list[tuple[str, str]] = []
    if before is not None:
        pairs = [
            (" ".join(frame_sentences(before)), " ".join(frame_sentences(after))),
            (end_sentence(before), end_sentence(after)),
        ]
        frame = [(a, b) for a, b in pairs if a != b]
    return LadderDiff(tuple(changes), tuple(frame))


def _removed(step: Step) -> Change:
    return Change(REMOVED, step.name, said(step), "", place_before=step.position)


def _change(old: Step | None, new: Step, *, moved: bool) -> Change:
    if old is None:
        return Change(ADDED, new.name, "", said(new), place_after=new.position)
    before, after = said(old), said(new)
    if old.name != new.name:
        before, after = f"“{old.name}”: {before}", f"“{new.name}”: {after}"
    if before != after:
        kind = CHANGED
    else:
        kind = MOVED if moved else SAME
    return Change(kind, new.name, before, after, old.position, new.position)


def said(step: Step) -> str:
    """The step's sentence, with what its words leave out."""
    return sentence(step) if step.enabled else _("Switched off: %(sentence)s") % {"sentence": sentence(step)}
