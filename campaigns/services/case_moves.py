"""Moves cases in flight to another ladder version: explicitly, after a preview, each move a line in the log."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils.translation import gettext as _

from campaigns.engine.load import load_cases
from campaigns.engine.moving import moved, same_steps
from campaigns.engine.specs import ladder_specs, published_texts
from campaigns.engine.types import CaseSnapshot, LadderSpec
from campaigns.models import Case, CaseState, LadderVersion, Segment, VersionStatus
from campaigns.models.case import LIVE_STATES
from campaigns.models.ladder import PRE_DUNNING
from campaigns.segments.evaluate import in_segment
from campaigns.simulator import open_cases
from campaigns.simulator.forecast import ForecastStep, foreseen
from customers.errors import SollecitoError
from customers.log import Entry, record_many
from customers.models import ActorKind, Customer
from customers.visibility import among
from customers.wake import wake

#: Cases read and written together.
BATCH = 500


@dataclass(frozen=True, slots=True)
class CaseMove:
    """What moving one case would do. `before` and `after` are what it would do next, on the version it follows and on
    the other; `refused` says why it cannot be moved."""

    case_id: int
    customer_id: int
    from_version_id: int
    position: int
    new_position: int
    #: Names of the other version's steps that count as taken.
    taken: tuple[str, ...] = ()
    before: tuple[ForecastStep, ...] = ()
    after: tuple[ForecastStep, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class MigrateResult:
    """How many cases were moved, and why others were not (case id → words)."""

    moved: int = 0
    refused: dict[int, str] = field(default_factory=dict)


def cases_to_move(
    *,
    version: LadderVersion,
    now: datetime,
    most: int,
    segment: Segment | None = None,
    case_ids: Collection[int] = (),
    customer_ids: Collection[int] | None = None,
) -> list[int]:
    """Ids of at most `most` live cases on other versions of the same ladder, oldest first: all of them, those of a
    segment's customers at `now` (aware UTC), or of `case_ids`; of `customer_ids` only, if given. Raises
    SegmentError."""
    rows = Case.objects.filter(ladder_version__ladder_id=version.ladder_id, state__in=LIVE_STATES)
    if customer_ids is not None:
        rows = rows.filter(among(customer_ids, path="customer"))
    if segment is not None:
        rows = rows.filter(in_segment(segment.query, now, path="customer_id"))
    if case_ids:
        rows = rows.filter(pk__in=case_ids)
    return list(rows.exclude(ladder_version=version).order_by("pk").values_list("pk", flat=True)[:most])


def version_for(*, case_ids: Collection[int]) -> LadderVersion:
    """The published version of the ladder these cases are on. Raises SollecitoError if they are on several, or it has
    none."""
    rows = LadderVersion.objects.filter(
        ladder__in=Case.objects.filter(pk__in=case_ids).values("ladder_version__ladder"),
        status=VersionStatus.PUBLISHED,
    )
    found = list(rows.select_related("ladder")[:2])
    if len(found) > 1:
        raise SollecitoError(_("Choose cases of one ladder."), code="ladders_mixed")
    if not found:
        raise SollecitoError(_("Their ladder has no published version."), code="version_missing")
    return found[0]


def cases_migrate_preview(
    *, case_ids: Collection[int], version_id: int, now: datetime, horizon: timedelta = timedelta(days=60)
) -> list[CaseMove]:
    """What `cases_migrate` would do to each case at `now` (aware UTC), in the order given; writes nothing.

    Raises SollecitoError for a version that cannot be followed.
    """
    version, target = _target(version_id)
    rows = {row.pk: row for row in Case.objects.filter(pk__in=case_ids)}
    lives = {life.key: life for life in open_cases.lives(list(case_ids), now)}
    found = []
    for case_id in case_ids:
        row, life = rows.get(case_id), lives.get(case_id)
        if row is None or life is None or life.case is None:
            continue
        why = _refusal(row, version)
        if why:
            found.append(
                CaseMove(case_id, row.customer_id, row.ladder_version_id, row.position, row.position, refused=why)
            )
            continue
        other = moved(life.case, target, now)
        found.append(
            CaseMove(
                case_id=case_id,
                customer_id=row.customer_id,
                from_version_id=row.ladder_version_id,
                position=row.position,
                new_position=other.position,
                taken=tuple(step.name for step in target.steps if step.position <= other.position),
                before=tuple(foreseen(life, now, horizon)),
                after=tuple(foreseen(replace(life, case=other, next_action_at=None), now, horizon)),
            )
        )
    return found


def cases_refusals(*, case_ids: Collection[int], version_id: int, still_on: int | None = None) -> dict[int, str]:
    """Why cases cannot be moved to a version now, by id; with `still_on` also those that no longer follow that one.
    Two queries. Raises SollecitoError for a version that cannot be followed."""
    version = _followable(version_id)
    found = dict.fromkeys(case_ids, _("It is not there any more."))
    for row in Case.objects.filter(pk__in=case_ids).only("state", "ladder_version_id", "trigger"):
        moved_on = still_on is not None and row.ladder_version_id != still_on
        found[row.pk] = _("Changed since.") if moved_on else _refusal(row, version)
    return {pk: why for pk, why in found.items() if why}


def cases_migrate(
    *, case_ids: Collection[int], version_id: int, actor_id: int, now: datetime, reason: str = ""
) -> MigrateResult:
    """Has live cases follow another version from `now` (aware UTC) on; a second call changes nothing.

    A step taken is not taken again: what both versions call by the same key is the same step. In batches of BATCH,
    each in a transaction of its own. Raises SollecitoError for a version that cannot be followed.
    """
    version, target = _target(version_id)
    done = 0
    refused: dict[int, str] = {}
    for batch in _batches(case_ids):
        with transaction.atomic():
            done += _migrate(batch, version, target, actor_id, reason, now, refused)
    if done:
        wake("campaigns.tasks.escalate_due")
    return MigrateResult(done, refused)


def _migrate(
    case_ids: Sequence[int],
    version: LadderVersion,
    target: LadderSpec,
    actor_id: int,
    reason: str,
    now: datetime,
    refused: dict[int, str],
) -> int:
    owners = Case.objects.filter(pk__in=case_ids).values("customer_id")
    list(Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    rows = {row.pk: row for row in Case.objects.filter(pk__in=case_ids).order_by("pk").select_for_update(no_key=True)}
    fit = []
    for row in rows.values():
        why = _refusal(row, version)
        if why:
            refused[row.pk] = why
        else:
            fit.append(row.pk)
    if not fit:
        return 0
    snapshots = _snapshots(fit, now)
    changed = []
    entries = []
    runs: list[tuple[int, int, int, int]] = []
    for snapshot in snapshots:
        other = moved(snapshot, target, now)
        row = rows[snapshot.case_id]
        previous = row.ladder_version_id
        row.ladder_version, row.position, row.anchor_at = version, other.position, other.anchor_at
        if row.state == CaseState.OPEN:
            row.next_action_at, row.next_action_reason = now, _("Just moved to this version.")
        changed.append(row)
        same = same_steps(snapshot.ladder, target)
        runs += [(row.pk, old, new, row.round) for old, new in same.items() if old in snapshot.runs]
        entries.append(
            Entry(
                customer_id=row.customer_id,
                at=now,
                kind="case.ladder_moved",
                summary=_("Moved to %(version)s, behind its step %(position)s.")
                % {"version": version, "position": other.position},
                body=reason.strip(),
                actor_kind=ActorKind.USER,
                actor_id=actor_id,
                subject=f"case:{row.pk}",
                data={"from": previous, "to": version.pk, "position": other.position},
            )
        )
    Case.objects.bulk_update(
        changed, ["ladder_version", "position", "anchor_at", "next_action_at", "next_action_reason"]
    )
    _carry_over(runs)
    record_many(entries)
    return len(changed)


# What was taken is taken under the new version's step too: its message and its task stay with it.
_RUNS = """
    UPDATE campaigns_steprun r SET step_id = u.new_id
      FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::int[]) AS u(case_id, old_id, new_id, round)
     WHERE r.case_id = u.case_id AND r.step_id = u.old_id AND r.round = u.round
"""
_TASKS = """
    UPDATE campaigns_task t SET key = 'step:' || u.case_id || ':' || u.new_id || ':' || u.round
      FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::int[]) AS u(case_id, old_id, new_id, round)
     WHERE t.key = 'step:' || u.case_id || ':' || u.old_id || ':' || u.round
"""


def _carry_over(runs: Sequence[tuple[int, int, int, int]]) -> None:
    if runs:
        columns = [list(column) for column in zip(*runs, strict=True)]
        with connection.cursor() as cursor:
            cursor.execute(_RUNS, columns)
            cursor.execute(_TASKS, columns)


def _target(version_id: int) -> tuple[LadderVersion, LadderSpec]:
    version = _followable(version_id)
    return version, ladder_specs({version.pk}, published_texts())[version.pk]


def _followable(version_id: int) -> LadderVersion:
    version = LadderVersion.objects.select_related("ladder").filter(pk=version_id).first()
    if version is None:
        raise SollecitoError(_("There is no such version."), code="version_missing")
    if version.status == VersionStatus.DRAFT:
        raise SollecitoError(_("A draft cannot be followed: publish it first."), code="version_draft")
    return version


def _refusal(row: Case, version: LadderVersion) -> str:
    """Why a case cannot be moved; empty if it can."""
    if row.state not in LIVE_STATES:
        return _("The case has ended.")
    if row.ladder_version_id == version.pk:
        return _("It follows this version already.")
    if (row.trigger in PRE_DUNNING) != (version.ladder.trigger in PRE_DUNNING):
        return _("One is about a day that is coming, the other about a debt.")
    return ""


def _batches(case_ids: Collection[int]) -> list[list[int]]:
    ids = list(case_ids)
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]


def _snapshots(case_ids: Collection[int], now: datetime) -> list[CaseSnapshot]:
    return [loaded.snapshot for loaded in load_cases(case_ids, now).cases]
