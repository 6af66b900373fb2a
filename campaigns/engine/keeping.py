"""Judges a live case over debts: invoices join and leave, it rests and wakes, counts anew, closes. Pure.

- An invoice that fails later joins the case where it stands; there is no second welcome.
- When the oldest is settled and others remain, the case counts from the oldest of those: it falls back to the
  rung that one has earned, never climbs by it, and begins a new round so that later steps may speak again.
- A promise, a plan, a dispute of everything lets it rest; a pause and an agency are staff's to end.
- It closes as recovered when all was settled and something was paid, as cancelled when nothing was.
"""

from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import gettext as _

from billing.models.invoice import InvoiceStatus
from campaigns.engine import ladder as rungs
from campaigns.engine.standing import Assessment, CaseFields, Debt, LiveCase, PromiseFact, Standing, Told
from campaigns.guard.zones import zone
from campaigns.models.case import TRANSITIONS, CaseState, CloseReason
from customers.errors import check_transition

#: States staff put a case into; facts do not end them.
_STAFF_OWNED = frozenset({CaseState.PAUSED.value, CaseState.AGENCY.value})


def resting(promise: PromiseFact | None) -> tuple[str, datetime | None, str]:
    """The state a standing promise asks for, until when and why."""
    if promise is None:
        return CaseState.OPEN.value, None, ""
    return CaseState.PROMISED.value, promise.expires_at, _("A promise to pay stands.")


def go_on(standing: Standing, case: LiveCase, promise: PromiseFact | None, now: datetime) -> Assessment | None:
    """What changes for a live case over debts; None if nothing does."""
    leaves = tuple((debt.id, debt.outcome) for debt in case.members if not debt.owed)
    joining = () if standing.excluded else tuple(d for d in standing.loose if d.owed and not d.finished)
    remaining = [debt for debt in (*case.members, *joining) if debt.owed]
    told: list[Told] = [Told("case.invoice_left", _left(outcome), {"invoice": pk}) for pk, outcome in leaves]
    told += [Told("case.invoice_joined", _("An invoice joined the case."), {"invoice": debt.id}) for debt in joining]
    if standing.excluded or not remaining:
        return _close(standing, case, leaves, remaining, told)
    fields = _keep(standing, case, remaining, joining, promise, told, now)
    if fields is None and not leaves and not joining:
        return None
    return Assessment(
        standing.customer_id,
        standing.brand_id,
        fields=fields,
        joins=tuple(debt.id for debt in joining),
        leaves=leaves,
        told=tuple(told),
    )


def _left(outcome: str) -> str:
    words = {
        "paid": _("An invoice of the case was paid."),
        "void": _("An invoice of the case was voided."),
        "uncollectible": _("An invoice of the case was marked uncollectible."),
    }
    return words.get(outcome, _("Nothing is owed any more on an invoice of the case."))


def _close(
    standing: Standing,
    case: LiveCase,
    leaves: tuple[tuple[int, str], ...],
    remaining: Sequence[Debt],
    told: list[Told],
) -> Assessment:
    paid = case.paid_before or any(outcome == InvoiceStatus.PAID for _id, outcome in leaves)
    if remaining:
        state, reason, summary = CaseState.CANCELLED, CloseReason.EXCLUDED, _("Closed: excluded from dunning.")
    elif paid:
        state, reason, summary = CaseState.RECOVERED, CloseReason.PAID, _("Recovered: everything is paid.")
    else:
        state, reason, summary = CaseState.CANCELLED, CloseReason.VOIDED, _("Closed: nothing is owed any more.")
    check_transition(TRANSITIONS, what="Case", source=case.state, target=state.value)
    told.append(Told(f"case.{state.value}", summary))
    return Assessment(
        standing.customer_id,
        standing.brand_id,
        fields=CaseFields(
            state=state.value,
            anchor_at=case.anchor_at,
            round=case.round,
            position=case.position,
            close_reason=reason.value,
        ),
        leaves=(*leaves, *((debt.id, reason.value) for debt in remaining if debt in case.members)),
        told=tuple(told),
        receipt=state is CaseState.RECOVERED,
    )


def _keep(
    standing: Standing,
    case: LiveCase,
    remaining: Sequence[Debt],
    joining: Sequence[Debt],
    promise: PromiseFact | None,
    told: list[Told],
    now: datetime,
) -> CaseFields | None:
    """The live case's new fields, None if they stay; adds to `told`."""
    tz = zone(standing.zone)
    pressed = [debt for debt in remaining if debt.pressed]
    state, until, why = _state(case, remaining, pressed, promise)
    anchor, position, round_ = case.anchor_at, case.position, case.round
    oldest = min(debt.since for debt in pressed or remaining)
    if oldest > anchor:
        position = min(position, rungs.earned(case.ladder, oldest, now, tz))
        anchor, round_ = oldest, round_ + 1
        told.append(
            Told(
                "case.reanchored",
                _("The oldest debt is settled; the case counts from the next."),
                {"position": position, "round": round_},
            )
        )
    elif position == 0 and any(debt.since < anchor for debt in joining):
        # Told of in the wrong order, before anything was said: the case counts from the oldest all the same.
        anchor = min(anchor, rungs.without_jump(case.ladder, oldest, 0, now, tz))
    if state != case.state:
        if state == CaseState.OPEN:
            anchor = rungs.without_jump(case.ladder, anchor, position, now, tz)
            told.append(Told("case.woken", _("The case goes on.")))
        else:
            told.append(Told("case.rested", why, {"state": state}))
    unchanged = (state, anchor, position, round_) == (case.state, case.anchor_at, case.position, case.round)
    if unchanged and (state in _STAFF_OWNED or until == case.rests_until):
        return None
    check_transition(TRANSITIONS, what="Case", source=case.state, target=state)
    if state in _STAFF_OWNED:
        # A pause with a date is ended by the escalate loop, at that date.
        at, reason = (case.rests_until if state == CaseState.PAUSED else None), ""
        until = case.rests_until
    elif state == CaseState.OPEN:
        at, reason = now, _("The facts have changed.")
    else:
        at, reason = None, why
    return CaseFields(
        state=state,
        anchor_at=anchor,
        round=round_,
        position=position,
        next_action_at=at,
        next_action_reason=reason,
        rests_until=until,
        rest_reason=why,
    )


def _state(
    case: LiveCase, remaining: Sequence[Debt], pressed: Sequence[Debt], promise: PromiseFact | None
) -> tuple[str, datetime | None, str]:
    """The state the facts ask for, until when and why."""
    if case.state in _STAFF_OWNED:
        return case.state, case.rests_until, ""
    if pressed:
        return resting(promise)
    if all(debt.disputed for debt in remaining):
        return CaseState.DISPUTED.value, None, _("Everything owed is disputed.")
    return CaseState.IN_PLAN.value, None, _("What is owed is in a payment plan.")
