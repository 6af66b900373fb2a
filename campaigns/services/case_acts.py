"""What is done to one case or to many: check, change, write, log, with the customers locked."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.engine.calendar import in_words
from campaigns.engine.decide import wake as woken
from campaigns.engine.load import load_cases
from campaigns.guard.zones import zone, zone_name
from campaigns.models import Case, CaseState
from campaigns.models.case import LIVE_STATES, TRANSITIONS
from campaigns.worklist.marks import work_mark
from customers.bulk import Did
from customers.errors import SollecitoError, check_transition
from customers.log import Entry, record_many
from customers.models import ActorKind, Customer
from customers.services import customers_reassess
from customers.wake import wake


def _nothing(case: Case) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class CaseAct:
    """One thing staff may do to cases. `check` raises SollecitoError where one may not; `change` sets `fields` of rows
    read and locked; `passed_over` says why a case among many is left alone though it could be asked for by itself."""

    kind: str
    fields: tuple[str, ...]
    check: Callable[[Case], None]
    change: Callable[[Sequence[Case], datetime], None]
    summary: Callable[[Case], str]
    passed_over: Callable[[Case], str] = field(default=_nothing)
    reason: str = ""
    #: The customer is assessed again: facts may have changed while the case rested.
    reassess: bool = False
    #: What taking it back needs to know of a case as it was, as JSON.
    before: Callable[[Case], Mapping[str, Any]] = lambda case: {}


def pause_act(*, until: datetime | None, reason: str, now: datetime) -> CaseAct:
    """Lets cases rest until `until` (aware UTC), or until somebody resumes them. Raises SollecitoError if that is not
    after `now`."""
    if until is not None and until <= now:
        raise SollecitoError(_("A pause ends in the future."), code="pause_in_past")

    def change(rows: Sequence[Case], now: datetime) -> None:
        for case in rows:
            case.state = CaseState.PAUSED
            case.rests_until = case.next_action_at = until
            case.rest_reason = reason.strip()[:255]
            case.next_action_reason = _("Paused by staff.")

    def summary(case: Case) -> str:
        if until is None:
            return _("Paused.")
        tz = zone(zone_name(timezone=case.customer.timezone, country=case.customer.country, brand_timezone=""))
        return _("Paused until %(until)s.") % {"until": in_words(until, tz)}

    return CaseAct(
        kind="case.paused",
        fields=("state", "rests_until", "rest_reason", "next_action_at", "next_action_reason"),
        check=lambda case: check_transition(TRANSITIONS, what="Case", source=case.state, target=CaseState.PAUSED),
        change=change,
        summary=summary,
        # A promise or a dispute has an end of its own, which a pause would take the place of.
        passed_over=lambda case: "" if case.state == CaseState.OPEN else _state_words(case),
        reason=reason,
    )


def pause_again_act(paused: Mapping[int, tuple[datetime | None, str]]) -> CaseAct:
    """Lets cases that were resumed rest again, each until its own moment (aware UTC; None: until somebody resumes it)
    and for its own reason."""

    def change(rows: Sequence[Case], now: datetime) -> None:
        for case in rows:
            until, reason = paused[case.pk]
            case.state = CaseState.PAUSED
            case.rests_until = case.next_action_at = until
            case.rest_reason, case.next_action_reason = reason, _("Paused by staff.")

    return CaseAct(
        kind="case.paused",
        fields=("state", "rests_until", "rest_reason", "next_action_at", "next_action_reason"),
        check=lambda case: check_transition(TRANSITIONS, what="Case", source=case.state, target=CaseState.PAUSED),
        change=change,
        summary=lambda case: _("Paused again."),
        passed_over=lambda case: "" if case.state == CaseState.OPEN else _state_words(case),
    )


def resume_act(*, only_reason: str | None = None) -> CaseAct:
    """Ends a rest: a case goes on with the step it stood before, due at once if its day has come. With `only_reason`
    cases that rest for another one are passed over."""

    def change(rows: Sequence[Case], now: datetime) -> None:
        snapshots = {
            loaded.snapshot.case_id: loaded.snapshot for loaded in load_cases([c.pk for c in rows], now).cases
        }
        for case in rows:
            case.anchor_at = woken(snapshots[case.pk], now).anchor_at
            case.state = CaseState.OPEN
            case.next_action_at, case.next_action_reason = now, _("Resumed by staff.")
            case.rests_until, case.rest_reason = None, ""

    def passed_over(case: Case) -> str:
        if case.state != CaseState.PAUSED:
            return _state_words(case)
        return _("Changed since.") if only_reason is not None and case.rest_reason != only_reason else ""

    return CaseAct(
        kind="case.resumed",
        fields=("state", "anchor_at", "next_action_at", "next_action_reason", "rests_until", "rest_reason"),
        check=lambda case: check_transition(TRANSITIONS, what="Case", source=case.state, target=CaseState.OPEN),
        change=change,
        summary=lambda case: _("Resumed."),
        passed_over=passed_over,
        reassess=True,
        before=lambda case: {"until": case.rests_until, "reason": case.rest_reason},
    )


def assign_act(*, owner_id: int | None, whoever: bool = False) -> CaseAct:
    """Gives cases an owner, or none; `whoever` for a plan before the owner is chosen. Raises SollecitoError if that is
    no active member of staff."""
    owner = None
    if owner_id is not None:
        owner = get_user_model().objects.filter(pk=owner_id, is_active=True, is_staff=True).first()
        if owner is None:
            raise SollecitoError(_("A case is looked after by active staff."), code="owner_unfit")

    def change(rows: Sequence[Case], now: datetime) -> None:
        for case in rows:
            case.owner = owner

    def passed_over(case: Case) -> str:
        if case.state not in LIVE_STATES:
            return _state_words(case)
        return _("It has this owner already.") if case.owner_id == owner_id and not whoever else ""

    words = _("Assigned to %(name)s.") % {"name": owner} if owner else _("Assigned to nobody.")
    return CaseAct(
        kind="case.assigned",
        fields=("owner",),
        check=lambda case: None,
        change=change,
        summary=lambda case: words,
        passed_over=passed_over,
        before=lambda case: {"owner": case.owner_id},
    )


def assign_back_act(*, owners: Mapping[int, int | None], owner_id: int | None) -> CaseAct:
    """Gives cases back to who had them before `owner_id`; those that went on to somebody else are passed over, and who
    is no active member of staff any more is followed by nobody."""
    people = (
        get_user_model()
        .objects.filter(is_active=True, is_staff=True)
        .in_bulk({pk for pk in owners.values() if pk is not None})
    )

    def change(rows: Sequence[Case], now: datetime) -> None:
        for case in rows:
            case.owner = people.get(owners[case.pk] or 0)

    def passed_over(case: Case) -> str:
        if case.state not in LIVE_STATES:
            return _state_words(case)
        return "" if case.owner_id == owner_id else _("Changed since.")

    def summary(case: Case) -> str:
        return _("Assigned to %(name)s.") % {"name": case.owner} if case.owner else _("Assigned to nobody.")

    return CaseAct(
        kind="case.assigned",
        fields=("owner",),
        check=lambda case: None,
        change=change,
        summary=summary,
        passed_over=passed_over,
    )


def _state_words(case: Case) -> str:
    return _("Its state is: %(state)s.") % {"state": case.get_state_display()}


def case_do(*, case_id: int, act: CaseAct, actor_id: int, now: datetime) -> None:
    """Carries out an act on one case at `now` (aware UTC). Raises SollecitoError if there is no such case, or as the
    act's check does."""
    with transaction.atomic():
        rows = cases_locked([case_id])
        if not rows:
            raise SollecitoError(_("There is no such case."), code="case_missing")
        act.check(rows[0])
        _carry_out(rows, act, actor_id, now)
    if act.reassess:
        wake("campaigns.tasks.assess_customers")


def cases_check(*, case_ids: Collection[int], act: CaseAct) -> dict[int, str]:
    """Why cases that are there would be passed over now, by id; empty if they would not. One query."""
    rows = Case.objects.filter(pk__in=case_ids).only("state", "owner_id", "rests_until", "rest_reason")
    return {row.pk: _passed_over(row, act) for row in rows}


def cases_do(*, case_ids: Collection[int], act: CaseAct, actor_id: int, now: datetime) -> dict[int, Did]:
    """Carries out an act on many cases at `now` (aware UTC), in the caller's transaction and a fixed number of
    statements; says what became of each that is there. A second call changes nothing."""
    rows = cases_locked(case_ids)
    did: dict[int, Did] = {}
    for row in rows:
        why = _passed_over(row, act)
        did[row.pk] = Did.not_done(why) if why else Did(before=act.before(row))
    done = [row for row in rows if did[row.pk].done]
    _carry_out(done, act, actor_id, now)
    if act.reassess and done:
        wake("campaigns.tasks.assess_customers")
    return did


def _passed_over(case: Case, act: CaseAct) -> str:
    try:
        act.check(case)
    except SollecitoError as error:
        return act.passed_over(case) or error.message
    return act.passed_over(case)


def cases_locked(case_ids: Collection[int]) -> list[Case]:
    """The cases, locked after their customers, as the assess loop does it."""
    owners = Case.objects.filter(pk__in=case_ids).values("customer_id")
    people = {
        row.pk: row for row in Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True)
    }
    rows = list(Case.objects.filter(pk__in=case_ids).order_by("pk").select_for_update(no_key=True))
    for row in rows:
        row.customer = people[row.customer_id]
    return rows


def _carry_out(rows: Sequence[Case], act: CaseAct, actor_id: int, now: datetime) -> None:
    if not rows:
        return
    act.change(rows, now)
    Case.objects.bulk_update(rows, act.fields)
    work_mark({row.customer_id for row in rows}, now)
    if act.reassess:
        customers_reassess({row.customer_id for row in rows}, now)
    record_many(
        Entry(
            customer_id=row.customer_id,
            at=now,
            kind=act.kind,
            summary=act.summary(row),
            body=act.reason.strip(),
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"case:{row.pk}",
        )
        for row in rows
    )
