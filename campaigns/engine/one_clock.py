"""Ladder and retries know each other: when a notice waits for a charge, when a charge must not be ordered. Pure."""

from datetime import datetime, timedelta
from typing import NamedTuple

from billing.retries.taxonomy import AsksFor
from campaigns.engine.calendar import in_words
from campaigns.engine.types import CaseSnapshot, StepSpec
from campaigns.engine.words import phrase as _
from campaigns.guard.zones import zone

#: A retry less likely than this is not worth keeping the customer in the dark for. One in twenty: the prior of a
#: single early try is low, the ladder says how long it may be waited for, and waiting costs hours, not money.
WORTH_WAITING = 0.05
#: After the moment of a retry: time for its outcome to arrive.
RETRY_SETTLES = timedelta(hours=1)
#: How soon to look again at what is settled within minutes (a message in the outbox, a charge under way).
SOON = timedelta(minutes=10)

NEW_CARD = AsksFor.NEW_CARD.value


class Hold(NamedTuple):
    """Why a step waits, until when (aware UTC) and by which rule."""

    until: datetime
    rule: str
    why: str


def charging(case: CaseSnapshot, now: datetime) -> Hold | None:
    """A hold while a charge of the case is under way."""
    if any(invoice.retry_in_flight for invoice in case.invoices):
        return Hold(now + SOON, "one_clock.charging", _("A charge is under way."))
    return None


def retry_first(case: CaseSnapshot, step: StepSpec, at: datetime, now: datetime) -> Hold | None:
    """A hold for a message if a charge is under way, one with decent odds comes within the step's patience, or the
    ladder's silent phase lasts and the card may still be charged."""
    if (hold := charging(case, now)) is not None:
        return hold
    silent_until = case.anchor_at + timedelta(hours=case.ladder.silent_hours)
    if now < silent_until and (hold := _silent(case, now, silent_until)) is not None:
        return hold
    patience = timedelta(hours=step.wait_for_retry_hours)
    # Waited long enough: the next retry, and the one after, must not keep a customer in the dark for ever.
    if not patience or now - at > patience:
        return None
    if any(invoice.retry_unplanned for invoice in case.invoices):
        return Hold(now + SOON, "one_clock.planning", _("The next retry is being planned."))
    soonest = _soonest(case, now + patience)
    if soonest is None:
        return None
    why = _("A retry is planned for %(at)s; a message may be needless.") % {"at": in_words(soonest, zone(case.zone))}
    return Hold(max(soonest, now) + RETRY_SETTLES, "one_clock.retry_first", why)


def _silent(case: CaseSnapshot, now: datetime, until: datetime) -> Hold | None:
    if any(invoice.retry_unplanned for invoice in case.invoices):
        return Hold(min(now + SOON, until), "one_clock.planning", _("The next retry is being planned."))
    soonest = _soonest(case, until)
    if soonest is None:
        return None  # nothing is tried any more: silence would help nobody
    why = _("Silent phase: the card is charged again on %(at)s.") % {"at": in_words(soonest, zone(case.zone))}
    return Hold(min(max(soonest, now) + RETRY_SETTLES, until), "one_clock.silent", why)


def _soonest(case: CaseSnapshot, until: datetime) -> datetime | None:
    """The next charge worth waiting for that comes no later than `until`."""
    return min(
        (
            invoice.retry_at
            for invoice in case.invoices
            if invoice.retry_at is not None
            and invoice.retry_at <= until
            and (invoice.retry_probability is None or invoice.retry_probability >= WORTH_WAITING)
        ),
        default=None,
    )


def chargeable(case: CaseSnapshot) -> tuple[int, ...]:
    """Invoices a charge may be ordered for: not those whose card was refused for good."""
    return tuple(invoice.id for invoice in case.invoices if invoice.asks_for != NEW_CARD)
