"""Judges a customer's standing with a brand: open a case, let invoices join and leave, rest, wake, close. Pure.

- A case opens over everything that failed or fell overdue and is neither disputed nor in a plan. Debts found
  late begin with the ladder's first step, whatever their age: nobody's first word is a last notice.
- An invoice that fails later joins the case where it stands; there is no second welcome.
- When the oldest is settled and others remain, the case counts from the oldest of those: it falls back to the
  rung that one has earned, never climbs by it, and begins a new round so that later steps may speak again.
- A promise, a plan, a dispute of everything lets it rest; a pause and an agency are staff's to end.
- It closes as recovered when all was settled and something was paid, as cancelled when nothing was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from billing.models.arrangement import Promise
from billing.models.invoice import InvoiceStatus
from campaigns.engine import ladder as rungs
from campaigns.engine.types import LadderSpec
from campaigns.guard.zones import zone
from campaigns.models.case import TRANSITIONS, CaseState, CloseReason
from customers.errors import check_transition

#: States staff put a case into; facts do not end them.
_STAFF_OWNED = frozenset({CaseState.PAUSED.value, CaseState.AGENCY.value})


@dataclass(frozen=True, slots=True)
class Debt:
    """An invoice as the assessment sees it; `since` is its first failure or due date, aware UTC."""

    id: int
    brand_id: int
    trigger: str
    since: datetime
    status: str = InvoiceStatus.OPEN.value
    #: Minor units still owed.
    balance: int = 0
    disputed: bool = False
    in_plan: bool = False
    #: It was in a case that ended unpaid or that staff closed: it does not start another.
    finished: bool = False

    @property
    def owed(self) -> bool:
        return self.status == InvoiceStatus.OPEN and self.balance > 0

    @property
    def pressed(self) -> bool:
        return self.owed and not self.disputed and not self.in_plan

    @property
    def outcome(self) -> str:
        """How it was settled, for CaseInvoice.outcome."""
        return "credited" if self.status == InvoiceStatus.OPEN else self.status


@dataclass(frozen=True, slots=True)
class LiveCase:
    """The customer's open case with a brand."""

    id: int
    state: str
    ladder: LadderSpec
    anchor_at: datetime
    round: int
    position: int
    rests_until: datetime | None
    #: Invoices in it that have not left.
    members: tuple[Debt, ...] = ()
    #: An invoice left it as paid already.
    paid_before: bool = False


@dataclass(frozen=True, slots=True)
class PromiseFact:
    """An open promise; `paid` is what has come in since it was made, in its currency (minor units)."""

    id: int
    amount: int
    expires_at: datetime
    paid: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """A published ladder a new case may follow; in order of priority."""

    trigger: str
    brand_id: int | None
    spec: LadderSpec
    #: Whom it is for; None: everybody.
    segment_id: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is known of one customer with one brand."""

    customer_id: int
    brand_id: int
    zone: str
    excluded: bool = False
    case: LiveCase | None = None
    #: Invoices that failed or fell overdue and are in no live case.
    loose: tuple[Debt, ...] = ()
    promise: PromiseFact | None = None
    #: Of the segments offers are made to, those the customer is in.
    segments: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class CaseFields:
    """What a case is to hold from now on."""

    state: str
    anchor_at: datetime
    round: int
    position: int
    #: None: as it is. Only looked at where `look` is set or the case closes or rests.
    next_action_at: datetime | None = None
    next_action_reason: str = ""
    rests_until: datetime | None = None
    rest_reason: str = ""
    close_reason: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One line for the log."""

    kind: str
    summary: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opening:
    """A case to be opened."""

    trigger: str
    ladder: LadderSpec


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is to be written for one customer and brand."""

    customer_id: int
    brand_id: int
    case_id: int | None = None
    opening: Opening | None = None
    #: None: the case's own row stays as it is.
    fields: CaseFields | None = None
    joins: tuple[int, ...] = ()
    leaves: tuple[tuple[int, str], ...] = ()
    told: tuple[Told, ...] = ()
    promise_id: int | None = None
    promise_status: str = ""
    receipt: bool = False


def assess(standing: Standing, offers: Sequence[Offer], now: datetime) -> Assessment | None:
    """What changes for a customer and brand at `now` (aware UTC); None if nothing does. Pure."""
    promise_status, told = _promise(standing, now)
    rests_by = standing.promise if standing.promise is not None and not promise_status else None
    if standing.case is not None:
        changed = _go_on(standing, standing.case, rests_by, now)
    else:
        changed = _open(standing, rests_by, offers, now)
    if changed is None and not promise_status:
        return None
    base = changed or Assessment(standing.customer_id, standing.brand_id)
    return Assessment(
        customer_id=standing.customer_id,
        brand_id=standing.brand_id,
        case_id=standing.case.id if standing.case else None,
        opening=base.opening,
        fields=base.fields,
        joins=base.joins,
        leaves=base.leaves,
        told=(*told, *base.told),
        promise_id=standing.promise.id if standing.promise and promise_status else None,
        promise_status=promise_status,
        receipt=base.receipt,
    )


def _promise(standing: Standing, now: datetime) -> tuple[str, tuple[Told, ...]]:
    """The end of the promise, if it has one now: kept, or broken once its day and grace have passed unpaid."""
    promise = standing.promise
    if promise is None:
        return "", ()
    owes = any(d.owed for d in standing.loose) or (
        standing.case is not None and any(d.owed for d in standing.case.members)
    )
    if not owes or promise.paid >= promise.amount:
        return Promise.Status.KEPT.value, (Told("promise.kept", _("The promise to pay was kept.")),)
    if promise.expires_at <= now:
        return Promise.Status.BROKEN.value, (Told("promise.broken", _("The promise to pay was broken.")),)
    return "", ()


def _open(
    standing: Standing, promise: PromiseFact | None, offers: Sequence[Offer], now: datetime
) -> Assessment | None:
    debts = [debt for debt in standing.loose if debt.owed and not debt.finished]
    pressed = sorted((debt for debt in debts if debt.pressed), key=lambda debt: (debt.since, debt.id))
    if standing.excluded or not pressed:
        return None
    # The oldest debt's trigger chooses; where no ladder answers to it, the next oldest's.
    offer, trigger = next(
        (
            (offer, debt.trigger)
            for debt in pressed
            for offer in offers
            if offer.trigger == debt.trigger
            and offer.brand_id in (None, standing.brand_id)
            and (offer.segment_id is None or offer.segment_id in standing.segments)
        ),
        (None, ""),
    )
    if offer is None:
        return None
    anchor = rungs.without_jump(offer.spec, pressed[0].since, 0, now, zone(standing.zone))
    state, until, why = _resting(promise)
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


def _resting(promise: PromiseFact | None) -> tuple[str, datetime | None, str]:
    if promise is None:
        return CaseState.OPEN.value, None, ""
    return CaseState.PROMISED.value, promise.expires_at, _("A promise to pay stands.")


def _go_on(standing: Standing, case: LiveCase, promise: PromiseFact | None, now: datetime) -> Assessment | None:
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
        return _resting(promise)
    if all(debt.disputed for debt in remaining):
        return CaseState.DISPUTED.value, None, _("Everything owed is disputed.")
    return CaseState.IN_PLAN.value, None, _("What is owed is in a payment plan.")
