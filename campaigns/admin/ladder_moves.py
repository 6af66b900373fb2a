"""Moving cases in flight to the version in use: shown case by case what each would do, then done on purpose."""

from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.widgets import UnfoldAdminTextInputWidget

from campaigns.admin.ladder_versions import LadderVersionAdmin
from campaigns.models import Case, LadderVersion, VersionStatus
from campaigns.models.case import LIVE_STATES
from campaigns.services.case_moves import cases_migrate, cases_migrate_preview
from customers.admin.page import Asked, PageAction
from customers.models import Customer

#: Cases shown before they are moved, and the most moved by one click; more are moved by another.
SHOWN = 50
MOST = 2_000


class MoveForm(forms.Form):
    """Why cases are moved; it stands in the log of each."""

    reason = forms.CharField(label=_("Why"), max_length=255, widget=UnfoldAdminTextInputWidget)


def _elsewhere(version: LadderVersion, most: int) -> list[int]:
    """Ids of live cases on other versions of the ladder, oldest first."""
    rows = Case.objects.filter(ladder_version__ladder_id=version.ladder_id, state__in=LIVE_STATES)
    return list(rows.exclude(ladder_version=version).order_by("pk").values_list("pk", flat=True)[:most])


def _preview(request: HttpRequest, version: LadderVersion, now: datetime) -> dict[str, Any]:
    """What the first cases do next on the version they follow and on this one."""
    ids = _elsewhere(version, MOST + 1)
    moves = cases_migrate_preview(case_ids=ids[:SHOWN], version_id=version.pk, now=now)
    people = Customer.objects.in_bulk([move.customer_id for move in moves])
    numbers = dict(LadderVersion.objects.filter(ladder_id=version.ladder_id).values_list("pk", "number"))
    return {
        "moves": [(move, people.get(move.customer_id), numbers.get(move.from_version_id)) for move in moves],
        "found": min(len(ids), MOST),
        "more": len(ids) > MOST,
        "refused": not ids,
    }


def _move(asked: Asked) -> str:
    ids = _elsewhere(asked.obj, MOST)
    done = cases_migrate(
        case_ids=ids, version_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now, reason=asked.data["reason"]
    )
    words = ngettext("%(n)d case was moved.", "%(n)d cases were moved.", done.moved) % {"n": done.moved}
    if done.refused:
        reasons = ", ".join(sorted(set(done.refused.values())))
        words += " " + _now("%(n)d were not: %(reasons)s") % {"n": len(done.refused), "reasons": reasons}
    return words


LadderVersionAdmin.add_action(
    PageAction(
        slug="move",
        label=_("Move cases here"),
        icon="move_down",
        permission="campaigns.change_ladderversion",
        question=_(
            "Has live cases on other versions of this ladder go on with this one. A step taken is not taken again."
        ),
        form=MoveForm,
        fits=lambda version: version.status == VersionStatus.PUBLISHED,
        details="admin/campaigns/ladder/moving.html",
        load=_preview,
        run=_move,
        order=30,
    )
)
