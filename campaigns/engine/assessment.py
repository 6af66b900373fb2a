"""Judges a customer's standing with a brand: open a case, keep it, close it, go over to another ladder. Pure.

- A case opens over everything that failed or fell overdue and is neither disputed nor in a plan. Debts found
  late begin with the ladder's first step, whatever their age: nobody's first word is a last notice.
- The customer's own ladder wins over every offer; else the first offer, by priority, whose trigger, brand and
  segment fit. `no dunning` wins over all of it.
- A promise or plan that breaks is a trigger of its own: a live case goes over to the ladder for it, if there is one.
- What is only coming (campaigns.engine.occasions) never stands in the way of what has happened.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.utils.translation import gettext as _

from billing.models.arrangement import Promise
from campaigns.engine import ladder as rungs
from campaigns.engine.keeping import go_on, resting
from campaigns.engine.occasions import announce, go_ahead
from campaigns.engine.standing import (
    Assessment,
    CaseFields,
    Debt,
    LiveCase,
    Offer,
    Opening,
    PromiseFact,
    Standing,
    Told,
)
from campaigns.guard.zones import zone
from campaigns.models.case import CaseState
from campaigns.models.ladder import PRE_DUNNING, Trigger

_BROKEN = Trigger.PROMISE_BROKEN.value
_MISSED = Trigger.INSTALMENT_MISSED.value


def assess(standing: Standing, offers: Sequence[Offer], now: datetime) -> tuple[Assessment, ...]:
    """What changes for a customer and brand at `now` (aware UTC), in this order; nothing if nothing does. Pure."""
    promise_status, promise_told = _promise(standing, now)
    missed, plan_told = _plan(standing)
    if missed:
        standing = _out_of_plan(standing)
    kept = standing.promise if standing.promise is not None and not promise_status else None
    broken = _BROKEN if promise_status == Promise.Status.BROKEN else _MISSED if missed else ""
    changes = _changes(standing, kept, broken, offers, now)
    told = (*promise_told, *plan_told)
    if not told:
        return tuple(changes)
    first = changes[0] if changes else Assessment(standing.customer_id, standing.brand_id)
    first = replace(
        first,
        case_id=first.case_id or (standing.case.id if standing.case and first.opening is None else None),
        told=(*told, *first.told),
        promise_id=standing.promise.id if standing.promise and promise_status else None,
        promise_status=promise_status,
        plan_broken_id=standing.plan.id if standing.plan and missed else None,
    )
    return (first, *changes[1:])


def _changes(
    standing: Standing, promise: PromiseFact | None, broken: str, offers: Sequence[Offer], now: datetime
) -> list[Assessment]:
    case = standing.case
    if case is None:
        opened = _open(standing, promise, broken, offers, now) or announce(standing, _best_for(standing, offers), now)
        return [opened] if opened else []
    if case.ahead:
        # A failure is more than a warning of one: its own ladder takes the customer over.
        opened = _open(standing, promise, broken, offers, now)
        ahead = go_ahead(standing, case, overtaken=opened is not None, now=now)
        return [replace(ahead, case_id=case.id), *([opened] if opened else [])] if ahead else []
    changed = go_on(standing, case, promise, now)
    if broken:
        changed = _go_over(standing, case, changed, broken, offers, now)
    return [replace(changed, case_id=case.id)] if changed else []


def _promise(standing: Standing, now: datetime) -> tuple[str, tuple[Told, ...]]:
    """The end of the promise, if it has one now: kept, or broken once its day and grace have passed unpaid."""
    promise = standing.promise
    if promise is None:
        return "", ()
    owes = any(d.owed for d in standing.loose) or (
        standing.case is not None and any(d.owed for d in standing.case.members)
    )
    if not owes or promise.left == 0 or promise.paid >= promise.amount:
        return Promise.Status.KEPT.value, (Told("promise.kept", _("The promise to pay was kept.")),)
    if promise.expires_at <= now:
        return Promise.Status.BROKEN.value, (Told("promise.broken", _("The promise to pay was broken.")),)
    return "", ()


def _plan(standing: Standing) -> tuple[bool, tuple[Told, ...]]:
    """Whether an instalment was missed: less has come in than was due with its grace."""
    plan = standing.plan
    if plan is None or plan.paid >= plan.due:
        return False, ()
    data = {"plan": plan.id, "due": plan.due, "paid": plan.paid}
    return True, (Told("plan.broken", _("An instalment was missed; the payment plan has ended."), data),)


def _out_of_plan(standing: Standing) -> Standing:
    """The standing once the broken plan protects its invoices no more."""
    assert standing.plan is not None
    inside = standing.plan.invoices

    def freed(debts: Sequence[Debt]) -> tuple[Debt, ...]:
        return tuple(replace(debt, in_plan=False) if debt.id in inside else debt for debt in debts)

    case = replace(standing.case, members=freed(standing.case.members)) if standing.case else None
    return replace(standing, case=case, loose=freed(standing.loose))


def _best_for(standing: Standing, offers: Sequence[Offer]) -> list[Offer]:
    """The offers made to this customer, their own ladder first."""
    own = [offer for offer in offers if offer.ladder_id == standing.override_id]
    return own + [
        offer
        for offer in offers
        if offer.ladder_id != standing.override_id
        and offer.brand_id in (None, standing.brand_id)
        and (offer.segment_id is None or offer.segment_id in standing.segments)
    ]


def _offer(standing: Standing, offers: Sequence[Offer], trigger: str) -> Offer | None:
    """The ladder for a trigger of something that has happened. The customer's own answers to any of these."""
    for offer in _best_for(standing, offers):
        own = offer.ladder_id == standing.override_id and offer.trigger not in PRE_DUNNING
        if own or offer.trigger == trigger:
            return offer
    return None


def _open(
    standing: Standing, promise: PromiseFact | None, broken: str, offers: Sequence[Offer], now: datetime
) -> Assessment | None:
    debts = [debt for debt in standing.loose if debt.owed and not debt.finished]
    pressed = sorted((debt for debt in debts if debt.pressed), key=lambda debt: (debt.since, debt.id))
    if standing.excluded or not pressed:
        return None
    # What was broken chooses, then the oldest debt's trigger; where no ladder answers to it, the next oldest's.
    triggers = dict.fromkeys(([broken] if broken else []) + [debt.trigger for debt in pressed])
    found = ((_offer(standing, offers, trigger), trigger) for trigger in triggers)
    offer, trigger = next(((offer, trigger) for offer, trigger in found if offer is not None), (None, ""))
    if offer is None:
        return None
    since = now if trigger == broken else pressed[0].since
    anchor = rungs.without_jump(offer.spec, since, 0, now, zone(standing.zone))
    state, until, why = resting(promise)
    return Assessment(
        standing.customer_id,
        standing.brand_id,
        opening=Opening(trigger, offer.spec),
        fields=CaseFields(
            state=state,
            anchor_at=anchor,
            round=1,
            position=0,
            next_action_at=now if state == CaseState.OPEN else None,
            next_action_reason=_("Just opened.") if state == CaseState.OPEN else why,
            rests_until=until,
            rest_reason=why,
        ),
        joins=tuple(debt.id for debt in debts),
        told=(Told("case.opened", _("A case was opened."), {"invoices": [debt.id for debt in debts]}),),
    )


def _go_over(
    standing: Standing,
    case: LiveCase,
    changed: Assessment | None,
    trigger: str,
    offers: Sequence[Offer],
    now: datetime,
) -> Assessment | None:
    """The change with the case gone over to the ladder for a broken word, if there is one it does not follow yet."""
    offer = next((offer for offer in _best_for(standing, offers) if offer.trigger == trigger), None)
    state = changed.fields.state if changed and changed.fields else case.state
    if offer is None or state != CaseState.OPEN or offer.spec.version_id == case.ladder.version_id:
        return changed
    base = changed or Assessment(standing.customer_id, standing.brand_id)
    round_ = base.fields.round if base.fields else case.round
    return replace(
        base,
        fields=CaseFields(
            state=state,
            anchor_at=now,
            round=round_ + 1,
            position=0,
            next_action_at=now,
            next_action_reason=_("Just gone over to this ladder."),
            version_id=offer.spec.version_id,
            trigger=trigger,
        ),
        told=(
            *base.told,
            Told(
                "case.ladder_started",
                _("Gone over to the ladder for a broken word."),
                {"version": offer.spec.version_id, "from": case.ladder.version_id, "trigger": trigger},
            ),
        ),
    )
