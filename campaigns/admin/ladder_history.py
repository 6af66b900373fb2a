"""Who changed which step of a draft, and what it said before and after, from the rows' own history."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from campaigns.admin.ladder_diff import said
from campaigns.admin.sentences import end_sentence, frame_sentences
from campaigns.models import LadderVersion, Step, Template

#: Edits shown; older ones stay in the history tables.
SHOWN = 200


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: when (aware UTC), by whom, of what, and its words before and after."""

    at: datetime
    actor: Any
    kind: str
    name: str
    before: str
    after: str


def edits(version: LadderVersion) -> list[Edit]:
    """The newest edits of a version, newest first. Three queries and one for those who edited."""
    rows = list(
        Step.history.filter(version_id=version.pk)
        .select_related("history_user")
        .order_by("-history_date", "-history_id")[:SHOWN]
    )
    templates = Template.objects.in_bulk({row.template_id for row in rows if row.template_id})
    found: list[Edit] = []
    last: dict[int, tuple[str, str, int]] = {}
    for row in reversed(rows):
        step = row.instance
        step.template = templates.get(row.template_id)
        words, (old_name, old_words, old_place) = said(step), last.get(row.id, ("", "", 0))
        if row.history_type == "-":
            found.append(_edit(row, _("deleted"), step.name, words, ""))
        elif row.history_type == "+":
            found.append(_edit(row, _("added"), step.name, "", words))
        elif old_words and words == old_words and step.name == old_name:
            if step.position != old_place:
                moved = _("moved from %(a)d to %(b)d") % {"a": old_place, "b": step.position}
                found.append(_edit(row, moved, step.name, "", ""))
        else:
            renamed = old_name if old_name and old_name != step.name else ""
            was = f"“{renamed}”: {old_words}" if renamed else old_words
            found.append(_edit(row, _("changed"), step.name, was, words))
        last[row.id] = (step.name, words, step.position)
    found += _frame_edits(version)
    return sorted(found, key=lambda edit: edit.at, reverse=True)[:SHOWN]


def _frame_edits(version: LadderVersion) -> list[Edit]:
    rows = LadderVersion.history.filter(id=version.pk).select_related("history_user")
    found, before = [], ""
    for row in reversed(rows.order_by("-history_date", "-history_id")[:SHOWN]):
        words = " ".join([*frame_sentences(row.instance), end_sentence(row.instance)])
        if row.history_type == "~" and before and words != before:
            found.append(_edit(row, _("changed"), _("Gaps, rests and the end"), before, words))
        before = words
    return found


def _edit(row: Any, kind: str, name: str, before: str, after: str) -> Edit:
    return Edit(row.history_date, row.history_user, kind, name, before, after)
