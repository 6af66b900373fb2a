"""Judges what is coming: invoices about to fall due, cards about to expire, renewals. Pure.

A case about such a day opens when the first step of its ladder falls due, counts back from the day and closes without
a thank-you when the day has come, the matter is settled, or something has really happened meanwhile.
"""

from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import gettext as _

from campaigns.engine import ladder as rungs
from campaigns.engine.standing import Assessment, CaseFields, LiveCase, Occasion, Offer, Opening, Standing, Told
from campaigns.guard.zones import zone
from campaigns.models.case import TRANSITIONS, CaseState, CloseReason
from campaigns.models.ladder import Trigger
from customers.errors import check_transition

_DUE = Trigger.INVOICE_DUE.value


def begins(standing: Standing, occasion: Occasion, offers: Sequence[Offer]) -> datetime | None:
    """When a case about the occasion would open, by the first of `offers` for it; None without one."""
    offer = next((offer for offer in offers if offer.trigger == occasion.trigger), None)
    return rungs.begins(offer.spec, occasion.at, zone(standing.zone)) if offer else None


def announce(standing: Standing, offers: Sequence[Offer], now: datetime) -> Assessment | None:
    """Opens a case about the soonest day a ladder has something to say about; None if there is none yet."""
    if standing.excluded:
        return None
    for occasion in standing.occasions:
        offer = next((offer for offer in offers if offer.trigger == occasion.trigger), None)
        if offer is None or occasion.finished or not _begun(offer, occasion, standing, now):
            continue
        # Every invoice that is announced by now is in the one letter.
        about = [
            other
            for other in standing.occasions
            if other.trigger == _DUE == occasion.trigger and not other.finished and _begun(offer, other, standing, now)
        ]
        joins = tuple(other.invoice_id for other in about if other.invoice_id is not None)
        return Assessment(
            standing.customer_id,
            standing.brand_id,
            opening=Opening(occasion.trigger, offer.spec, occasion.payment_method_id, occasion.subscription_id),
            fields=CaseFields(
                state=CaseState.OPEN.value,
                anchor_at=occasion.at,
                round=1,
                position=0,
                next_action_at=now,
                next_action_reason=_("Just opened."),
            ),
            joins=joins,
            told=(Told("case.opened", _("A case was opened for a day that is coming."), {"day": occasion.at}),),
        )
    return None


def _begun(offer: Offer, occasion: Occasion, standing: Standing, now: datetime) -> bool:
    return rungs.begins(offer.spec, occasion.at, zone(standing.zone)) <= now < occasion.at


def go_ahead(standing: Standing, case: LiveCase, *, overtaken: bool, now: datetime) -> Assessment | None:
    """What changes for a live case about a day that is coming; `overtaken` by a debt that has its own ladder."""
    offer = Offer(case.trigger, None, case.ladder)
    # A day that has moved so far that nothing is said of it yet is a new matter, when its time comes.
    mine = [o for o in standing.occasions if _about(o, case) and _begun(offer, o, standing, now)]
    still_coming = {occasion.invoice_id for occasion in mine}
    settled = tuple(
        (debt.id, debt.outcome if not debt.owed else CloseReason.MOOT.value)
        for debt in case.members
        if debt.id not in still_coming
    )
    if standing.excluded or overtaken or not mine:
        return _end(standing, case, mine, excluded=standing.excluded)
    joining = tuple(
        occasion.invoice_id
        for occasion in mine
        if occasion.invoice_id is not None
        and not occasion.finished
        and occasion.invoice_id not in {debt.id for debt in case.members}
    )
    members = {debt.id for debt in case.members} - {pk for pk, _outcome in settled} | set(joining)
    days = [occasion.at for occasion in mine if occasion.invoice_id is None or occasion.invoice_id in members]
    if not days:
        return _end(standing, case, mine, excluded=False)
    fields = _counted_anew(standing, case, min(days), now) if min(days) != case.anchor_at else None
    if fields is None and not settled and not joining:
        return None
    told = [Told("case.invoice_left", _("An invoice left the case."), {"invoice": pk}) for pk, _why in settled]
    told += [Told("case.invoice_joined", _("An invoice joined the case."), {"invoice": pk}) for pk in joining]
    if fields is not None:
        data = {"day": fields.anchor_at, "position": fields.position, "round": fields.round}
        told.append(Told("case.reanchored", _("Another day is the next; the case counts from it."), data))
    return Assessment(
        standing.customer_id, standing.brand_id, fields=fields, joins=joining, leaves=settled, told=tuple(told)
    )


def _about(occasion: Occasion, case: LiveCase) -> bool:
    return occasion.trigger == case.trigger and (
        occasion.trigger == _DUE
        or (occasion.payment_method_id, occasion.subscription_id) == (case.payment_method_id, case.subscription_id)
    )


def _counted_anew(standing: Standing, case: LiveCase, day: datetime, now: datetime) -> CaseFields:
    """The case about another day: it falls back to the step that day has earned, and never climbs by it."""
    earned = rungs.earned(case.ladder, day, now, zone(standing.zone))
    opened = case.state == CaseState.OPEN
    return CaseFields(
        state=case.state,
        anchor_at=day,
        round=case.round + 1,
        position=min(case.position, earned),
        next_action_at=now if opened else case.rests_until,
        next_action_reason=_("The day has changed.") if opened else "",
        rests_until=case.rests_until,
    )


def _end(standing: Standing, case: LiveCase, mine: Sequence[Occasion], *, excluded: bool) -> Assessment:
    check_transition(TRANSITIONS, what="Case", source=case.state, target=CaseState.CANCELLED.value)
    reason = CloseReason.EXCLUDED if excluded else CloseReason.MOOT
    summary = _("Closed: excluded from dunning.") if excluded else _("Closed: the occasion has passed.")
    return Assessment(
        standing.customer_id,
        standing.brand_id,
        fields=CaseFields(
            state=CaseState.CANCELLED.value,
            anchor_at=case.anchor_at,
            round=case.round,
            position=case.position,
            close_reason=reason.value,
        ),
        leaves=tuple((debt.id, reason.value if debt.owed else debt.outcome) for debt in case.members),
        told=(Told("case.cancelled", summary),),
    )
